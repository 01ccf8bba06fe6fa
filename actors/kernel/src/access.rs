//! Who may ask for what, before a route's own rules look closer.
//!
//! Every route declares what it needs where it is put into the router, and the declaration is the
//! check: [`Guarded::guarded`] sets it in front of the handlers and writes it into the OpenAPI
//! document (`security`, `x-panel-access`, `x-panel-scope`). The scopes of API keys follow from the
//! service and the method, and are checked for every request that reaches a service, declared or not.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures::future::{Either, Ready, ready};
use http::Method;
use tower::{Layer, Service};
use utoipa::openapi::OpenApi;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::deprecation::Deprecation;
use crate::message::Principal;
use crate::problem::{Kind, Problem};
use crate::role::Role;
use crate::service::RequestMeta;

/// What a route needs of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it answers everybody, each in their way.
    Nothing,
    /// An account, by a session or by an API key that has the scope.
    Account,
    /// An account, by a session: what an API key may never do, such as making another.
    Session,
    /// An account of at least this rank, by a session or by an API key that has the scope.
    Rank(Role),
}

impl Need {
    /// Whether `principal` has it.
    ///
    /// # Errors
    /// 401 where nobody is signed in, 403 where somebody is and that is not enough.
    pub fn check(self, principal: &Principal) -> Result<(), Problem> {
        match self {
            Self::Nothing => Ok(()),
            Self::Account => principal.user().map(drop),
            Self::Rank(role) => principal.at_least(role).map(drop),
            Self::Session => match principal.user()?.scopes {
                Some(_) => Err(Problem::new(Kind::Forbidden, "an API key can't do this; sign in")),
                None => Ok(()),
            },
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str(NOTHING),
            Self::Account => f.write_str(ACCOUNT),
            Self::Session => f.write_str(SESSION),
            Self::Rank(role) => role.fmt(f),
        }
    }
}

impl FromStr for Need {
    type Err = ();

    /// As it is written in the document.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            NOTHING => Ok(Self::Nothing),
            ACCOUNT => Ok(Self::Account),
            SESSION => Ok(Self::Session),
            role => role.parse().map(Self::Rank).map_err(drop),
        }
    }
}

/// What an API key must be allowed for a request with this method to `service`: `forum:read` for
/// what only reads, else `forum:write`. Neither contains the other.
#[must_use]
pub fn scope(service: &str, method: &Method) -> String {
    format!("{service}:{}", if method.is_safe() { "read" } else { "write" })
}

/// Whether who asks may ask `service` this at all: an API key only within its scopes.
///
/// # Errors
/// 403 that names the scope.
pub fn within_scopes(principal: &Principal, service: &str, method: &Method) -> Result<(), Problem> {
    let Principal::User(user) = principal else { return Ok(()) };
    let Some(scopes) = &user.scopes else { return Ok(()) };
    let needed = scope(service, method);
    if scopes.contains(&needed) {
        return Ok(());
    }
    let detail = format!("this takes the scope {needed}, which the API key does not have");
    Err(Problem::new(Kind::Forbidden, detail).code("scope_required"))
}

/// Routes with what they need.
pub trait Guarded<S> {
    /// These routes, for those who have what `need` says.
    #[must_use]
    fn guarded(self, need: Need, routes: UtoipaMethodRouter<S>) -> Self;

    /// These routes, which take a file of at most so many bytes as their body: it is put into the blob store on its way
    /// ([`crate::http::Upload`]). Who may not ask is refused before anything is read.
    #[must_use]
    fn uploading(self, need: Need, most: u64, routes: UtoipaMethodRouter<S>) -> Self;

    /// The same for routes that are to end: their answers and the document say so, refusals too.
    #[must_use]
    fn deprecated(
        self,
        need: Need,
        deprecation: Deprecation,
        routes: UtoipaMethodRouter<S>,
    ) -> Self;
}

impl<S: Clone + Send + Sync + 'static> Guarded<S> for OpenApiRouter<S> {
    fn guarded(self, need: Need, routes: UtoipaMethodRouter<S>) -> Self {
        self.routes(guard(need, routes))
    }

    fn uploading(self, need: Need, most: u64, routes: UtoipaMethodRouter<S>) -> Self {
        let (schemas, mut paths, handlers) = guard(need, routes);
        for item in paths.paths.values_mut() {
            for (_, operation) in operations(item) {
                extend(operation, ExtensionsBuilder::new().add(UPLOAD, most));
            }
        }
        self.routes((schemas, paths, handlers))
    }

    fn deprecated(
        self,
        need: Need,
        deprecation: Deprecation,
        routes: UtoipaMethodRouter<S>,
    ) -> Self {
        self.routes(deprecation.of(guard(need, routes)))
    }
}

/// Puts the check in front of routes, and into their documentation.
fn guard<S: Clone + Send + Sync + 'static>(
    need: Need,
    routes: UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S> {
    let (schemas, mut paths, handlers) = routes;
    for (path, item) in &mut paths.paths {
        for (method, operation) in operations(item) {
            declare(need, &scope(service_of(path), &method), operation);
        }
    }
    // In front of the handlers alone: a method that is not there is 405 to everybody.
    let open = need == Need::Nothing;
    let handlers = if open { handlers } else { handlers.route_layer(Guard(need)) };
    (schemas, paths, handlers)
}

/// The operations of a path.
pub(crate) fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    [
        (Method::GET, &mut item.get),
        (Method::PUT, &mut item.put),
        (Method::POST, &mut item.post),
        (Method::DELETE, &mut item.delete),
        (Method::PATCH, &mut item.patch),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// What changes something and needs nobody: signing in, say. Paths with parameters are left out.
pub fn open_writes(document: OpenApi) -> impl Iterator<Item = (Method, String)> {
    document.paths.paths.into_iter().flat_map(|(path, mut item)| {
        let open = operations(&mut item).filter(|(method, operation)| {
            let declared = operation.extensions.as_ref().and_then(|all| all.get(ACCESS));
            *method != Method::GET && declared.is_some_and(|need| need == NOTHING)
        });
        let methods: Vec<Method> = open.map(|(method, _)| method).collect();
        methods.into_iter().map(move |method| (method, path.clone()))
    })
}

/// A route that takes a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadRoute {
    /// How it is asked.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: String,
    /// Who may.
    pub need: Need,
    /// The longest file, in bytes.
    pub most: u64,
}

/// The routes that take files.
pub fn uploads(document: OpenApi) -> impl Iterator<Item = UploadRoute> {
    document.paths.paths.into_iter().flat_map(|(path, mut item)| {
        let all: Vec<UploadRoute> = operations(&mut item)
            .filter_map(|(method, operation)| {
                let declared = operation.extensions.as_ref()?;
                let most = declared.get(UPLOAD)?.as_u64()?;
                let need = declared.get(ACCESS)?.as_str()?.parse().ok()?;
                Some(UploadRoute { method, path: path.clone(), need, most })
            })
            .collect();
        all
    })
}

/// What the document says that a route needs.
#[must_use]
pub fn need_of(document: &OpenApi, method: &Method, route: &str) -> Option<String> {
    let mut item = document.paths.paths.get(route)?.clone();
    // HEAD is GET without the body.
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    let (_, operation) = operations(&mut item).find(|(its, _)| its == method)?;
    operation.extensions.as_ref()?.get(ACCESS)?.as_str().map(str::to_owned)
}

/// The service in `/api/v2/<service>/…`.
fn service_of(path: &str) -> &str {
    path.split('/').nth(3).unwrap_or_default()
}

/// Writes into the document what the guard checks.
fn declare(need: Need, scope: &str, operation: &mut Operation) {
    let mut extensions = ExtensionsBuilder::new().add(ACCESS, need.to_string());
    let none: [&str; 0] = [];
    let mut ways =
        vec![SecurityRequirement::new(BEARER, none), SecurityRequirement::new(COOKIE, none)];
    if need != Need::Session {
        extensions = extensions.add("x-panel-scope", scope);
        ways.push(SecurityRequirement::new(API_KEY, [scope]));
    }
    if need == Need::Nothing {
        // Either of these, or none.
        ways.push(SecurityRequirement::default());
    }
    operation.security = Some(ways);
    extend(operation, extensions);
}

/// Writes more about an operation than OpenAPI has words for.
pub(crate) fn extend(operation: &mut Operation, extensions: ExtensionsBuilder) {
    let declared = extensions.build();
    match &mut operation.extensions {
        Some(extensions) => extensions.merge(declared),
        none => *none = Some(declared),
    }
}

/// Where the document says what an operation needs.
const ACCESS: &str = "x-panel-access";
const NOTHING: &str = "nothing";
const ACCOUNT: &str = "account";
const SESSION: &str = "session";
/// Where it says how long a file it takes.
const UPLOAD: &str = "x-panel-upload";

const BEARER: &str = "bearer";
const COOKIE: &str = "cookie";
const API_KEY: &str = "api_key";

/// Explains the ways to show who asks, which operations refer to.
pub fn explain_ways(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    let cookie = "A session of a browser; what changes something takes X-CSRF-Token as well. \
                  Over plain HTTP its name is panel_session.";
    let cookie = ApiKeyValue::with_description("__Host-panel_session", cookie);
    components.add_security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let key = ApiKeyValue::with_description("X-API-Key", "For programs, within its scopes.");
    components.add_security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(key)));
}

/// Puts the check in front of a handler.
#[derive(Clone, Copy, Debug)]
struct Guard(Need);

impl<S> Layer<S> for Guard {
    type Service = Guarding<S>;

    fn layer(&self, handler: S) -> Guarding<S> {
        Guarding { need: self.0, handler }
    }
}

/// A handler behind the check.
#[derive(Clone, Debug)]
struct Guarding<S> {
    need: Need,
    handler: S,
}

impl<S: Service<Request, Response = Response, Error = Infallible>> Service<Request>
    for Guarding<S>
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response, Infallible>>, S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.handler.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // Every request through a front door has it; one without came around it.
        let meta = request.extensions().get::<Arc<RequestMeta>>();
        let checked = match meta {
            Some(meta) => self.need.check(&meta.principal),
            None => Err(Problem::internal()),
        };
        match checked {
            Ok(()) => Either::Right(self.handler.call(request)),
            Err(problem) => Either::Left(ready(Ok(problem.into_response()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Id;
    use crate::message::User;

    fn user(role: Role, scopes: Option<&[&str]>) -> Principal {
        let scopes = scopes.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
        let (id, session) = (Id::from_raw(1), Id::from_raw(2));
        Principal::User(User { id, session, name: "Ada".to_owned(), role, scopes })
    }

    fn status(checked: Result<(), Problem>) -> u16 {
        checked.map_or_else(|problem| problem.kind.status().as_u16(), |()| 200)
    }

    #[test]
    fn needs_are_met_or_refused() {
        let key = user(Role::Admin, Some(&["forum:read"]));
        let (nobody, other) = (Principal::Anonymous, Principal::Service("forum".to_owned()));
        for (need, expected) in [
            // Nobody, a service, a user, a moderator, an administrator's key.
            (Need::Nothing, [200, 200, 200, 200, 200]),
            (Need::Account, [401, 401, 200, 200, 200]),
            (Need::Session, [401, 401, 200, 200, 403]),
            (Need::Rank(Role::Moderator), [401, 401, 403, 200, 200]),
        ] {
            let (ada, bob) = (user(Role::User, None), user(Role::Moderator, None));
            let answers = [&nobody, &other, &ada, &bob, &key].map(|who| status(need.check(who)));
            assert_eq!(answers, expected, "{need}");
        }
    }

    #[test]
    fn keys_stay_within_their_scopes() {
        let key = user(Role::SystemAdmin, Some(&["forum:read", "cms:write"]));
        let may = |service: &str, method: &Method| status(within_scopes(&key, service, method));
        assert_eq!(may("forum", &Method::GET), 200);
        assert_eq!(may("forum", &Method::POST), 403);
        assert_eq!(may("cms", &Method::DELETE), 200);
        assert_eq!(may("cms", &Method::HEAD), 403);
        assert_eq!(may("for", &Method::GET), 403);
        let nothing = user(Role::User, Some(&[]));
        assert_eq!(status(within_scopes(&nothing, "forum", &Method::GET)), 403);
        assert_eq!(status(within_scopes(&user(Role::User, None), "forum", &Method::PUT)), 200);
    }
}
