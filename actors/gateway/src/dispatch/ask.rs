//! What the gateway itself wants to know of a service.

use std::time::Duration;

use http::{HeaderMap, Method};
use panel_kernel::ids::random_hex;
use panel_kernel::message::{Body, Envelope, Extensions, Payload, Principal, TraceContext};
use panel_kernel::problem::{Kind, Problem};
use serde::de::DeserializeOwned;

use super::Dispatcher;

/// How long it waits for the answer.
const PATIENCE: Duration = Duration::from_secs(2);

impl Dispatcher {
    /// Asks a member of `service`, as an insider who goes first.
    ///
    /// # Errors
    /// What a client would hear; of the kind of the answer's status where that is no success.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        service: &str,
        path: &str,
    ) -> Result<T, Problem> {
        self.ask_as("gateway", service, path).await
    }

    /// Asks what clients make it ask: it waits in line with them.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn ask_for_clients<T: DeserializeOwned>(
        &self,
        service: &str,
        path: &str,
    ) -> Result<T, Problem> {
        self.ask_as(Principal::FOR_CLIENTS, service, path).await
    }

    async fn ask_as<T: DeserializeOwned>(
        &self,
        name: &str,
        service: &str,
        path: &str,
    ) -> Result<T, Problem> {
        let odd = |why: String| Problem::new(Kind::Internal, format!("{service}: {why}"));
        let envelope = Envelope {
            method: Method::GET,
            uri: path.parse().map_err(|error| odd(format!("{error}")))?,
            headers: HeaderMap::new(),
            body: Payload::EMPTY,
            principal: Principal::Service(name.to_owned()),
            deadline: self.clock.now().plus(PATIENCE),
            idempotency_key: None,
            trace: TraceContext::begin(),
            request_id: random_hex(),
            extensions: Extensions::default(),
        };
        let plan = self.own_plan(service);
        let reply = self.call(service, envelope, &plan).await?.reply;
        match reply.body {
            Body::Inline(json) if reply.status.is_success() => {
                serde_json::from_slice(&json).map_err(|error| odd(error.to_string()))
            }
            _ => match Kind::from_status(reply.status) {
                Kind::Unavailable => Err(Problem::unavailable(service, "is not ready")),
                kind => Err(Problem::new(kind, format!("{service} answered {}", reply.status))),
            },
        }
    }
}
