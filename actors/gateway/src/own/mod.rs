//! What the gateway answers itself: health, the list of services and routes, the documents.

mod docs;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, request};
use panel_kernel::access::need_of;
use panel_kernel::deprecation::SUNSET_EXTENSION;
use panel_kernel::directory::{Node, NodeReport};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::service::internal::OPENAPI_PATH;
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::openapi::{Deprecated, OpenApi};

use crate::dispatch::Dispatcher;
use crate::health::{Health, MemberReport};
use crate::outgoing::Outgoing;

const HEALTH: &str = "/api/v2/health";
const SERVICES: &str = "/api/v2/services";
const ROUTES: &str = "/api/v2/routes";
const OPENAPI: &str = "/api/v2/openapi.json";
const DOCS: &str = "/api/v2/docs";
/// All of them.
pub(crate) const OWN_ROUTES: [&str; 5] = [HEALTH, SERVICES, ROUTES, OPENAPI, DOCS];

/// What they can be asked with.
const METHODS: &str = "GET,HEAD,OPTIONS";

/// How long a service's document is believed; it only changes with its release.
const DOCUMENT_LIFE: Duration = Duration::from_secs(10);

/// The gateway's own routes.
#[derive(Clone)]
pub(crate) struct Own {
    pub(crate) health: Health,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) documents: Documents,
}

/// The services' parts of the OpenAPI document, as last heard.
#[derive(Clone, Default)]
pub(crate) struct Documents(Arc<Mutex<BTreeMap<&'static str, (Instant, OpenApi)>>>);

#[derive(Serialize)]
struct ServiceItem {
    name: &'static str,
    prefix: String,
    version: Option<String>,
    members: Vec<MemberReport>,
}

#[derive(Serialize)]
struct RouteItem {
    service: String,
    method: String,
    path: String,
    summary: Option<String>,
    /// It should no longer be used.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deprecated: bool,
    /// From then on it may be gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    sunset: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct Services {
    items: Vec<ServiceItem>,
    nodes: Vec<NodeReport>,
}

#[derive(Serialize)]
struct Items<T> {
    items: Vec<T>,
}

impl Own {
    pub(crate) async fn answer(
        &self,
        route: &'static str,
        parts: &request::Parts,
        request_id: &str,
    ) -> Result<Outgoing, Problem> {
        match parts.method {
            Method::GET | Method::HEAD => {}
            Method::OPTIONS => return Ok(Outgoing::allow(METHODS)),
            _ => return Ok(Outgoing::not_allowed(METHODS, request_id)),
        }
        match route {
            HEALTH => Outgoing::json(&self.health.report()),
            SERVICES => {
                let nodes = self.health.runtime.directory.nodes();
                let nodes = nodes.iter().map(Node::report).collect();
                Outgoing::json(&Services { items: self.services(), nodes })
            }
            ROUTES => Outgoing::json(&Items { items: routes(&self.document().await) }),
            OPENAPI => Outgoing::json(&self.document().await),
            DOCS => docs::page(),
            _ => Err(Problem::new(Kind::NotFound, "there is no such route")),
        }
    }

    fn services(&self) -> Vec<ServiceItem> {
        self.health
            .services
            .iter()
            .map(|name| {
                let members = self.health.service(name).members;
                ServiceItem {
                    name,
                    prefix: format!("/api/v2/{name}"),
                    version: members.first().map(|member| member.version.clone()),
                    members,
                }
            })
            .collect()
    }

    /// What a route needs of who asks, as its service says.
    pub(crate) async fn need(&self, method: &Method, route: &str) -> Option<String> {
        need_of(&self.document().await, method, route)
    }

    /// The services' documents and the gateway's own, as one. A service that can't be asked is
    /// in it as it was last heard.
    async fn document(&self) -> OpenApi {
        let mut merged = own_document();
        for name in self.health.services.iter() {
            let known = self.documents.0.lock().get(name).cloned();
            let fresh = known.as_ref().is_some_and(|(at, _)| at.elapsed() < DOCUMENT_LIFE);
            let document = if fresh {
                None
            } else {
                self.dispatcher.ask::<OpenApi>(name, OPENAPI_PATH).await.ok()
            };
            match (document, known) {
                (Some(document), _) => {
                    let kept = (Instant::now(), document.clone());
                    self.documents.0.lock().insert(name, kept);
                    merged.merge(document);
                }
                (None, Some((_, document))) => merged.merge(document),
                (None, None) => {}
            }
        }
        merged
    }
}

/// The gateway's own part of the OpenAPI document.
#[must_use]
pub fn own_document() -> OpenApi {
    use utoipa::OpenApi as _;
    #[derive(utoipa::OpenApi)]
    #[openapi(
        info(
            title = "Panel",
            description = "A self-hosted community platform: accounts, forum, articles, administration."
        ),
        paths(health, services, routes_doc, openapi_doc, docs_page),
        components(schemas(
            panel_kernel::problem::ProblemBody,
            panel_kernel::problem::FieldError
        ))
    )]
    struct Document;
    let mut document = Document::openapi();
    panel_kernel::access::explain_ways(&mut document);
    document
}

/// How the installation is.
#[utoipa::path(get, path = "/api/v2/health", tag = "gateway",
    responses((status = 200, body = crate::health::HealthReport)))]
#[allow(dead_code, reason = "carries the documentation of a route answered above")]
fn health() {}

/// The services and their members, and the nodes of the cluster.
#[utoipa::path(get, path = "/api/v2/services", tag = "gateway",
    responses((status = 200, description = "`items`: name, prefix, version, members; `nodes`: the nodes of the cluster")))]
#[allow(dead_code, reason = "carries the documentation of a route answered above")]
fn services() {}

/// All routes of all services.
#[utoipa::path(get, path = "/api/v2/routes", tag = "gateway",
    responses((status = 200, description = "`items`: service, method, path, summary")))]
#[allow(dead_code, reason = "carries the documentation of a route answered above")]
fn routes_doc() {}

/// This document.
#[utoipa::path(get, path = "/api/v2/openapi.json", tag = "gateway",
    responses((status = 200, description = "OpenAPI 3.1")))]
#[allow(dead_code, reason = "carries the documentation of a route answered above")]
fn openapi_doc() {}

/// The same for people.
#[utoipa::path(get, path = "/api/v2/docs", tag = "gateway",
    responses((status = 200, description = "a page that explains every route and sends requests", content_type = "text/html")))]
#[allow(dead_code, reason = "carries the documentation of a route answered above")]
fn docs_page() {}

fn routes(document: &OpenApi) -> Vec<RouteItem> {
    let mut items = Vec::new();
    for (path, item) in &document.paths.paths {
        let operations = [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            items.push(RouteItem {
                service: operation
                    .tags
                    .as_ref()
                    .and_then(|tags| tags.first().cloned())
                    .unwrap_or_default(),
                method: method.to_owned(),
                path: path.clone(),
                summary: operation.summary.clone(),
                deprecated: operation.deprecated == Some(Deprecated::True),
                sunset: operation
                    .extensions
                    .as_ref()
                    .and_then(|all| all.get(SUNSET_EXTENSION).cloned()),
            });
        }
    }
    items
}
