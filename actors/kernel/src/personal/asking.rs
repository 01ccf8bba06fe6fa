//! The asking side.

use serde::de::DeserializeOwned;

use super::{Kinds, PATH, Page};
use crate::ids::Id;
use crate::problem::Problem;
use crate::service::{Runtime, ask};

/// Asks services what they have of somebody.
#[derive(Clone, Debug)]
pub struct Asking {
    runtime: Runtime,
}

impl Asking {
    /// From this node.
    #[must_use]
    pub fn new(runtime: &Runtime) -> Self {
        Self { runtime: runtime.clone() }
    }

    /// The services there are, in order.
    pub fn services(&self) -> impl Iterator<Item = &'static str> + use<> {
        let services = std::sync::Arc::clone(&self.runtime.services);
        (0..services.len()).map(move |at| services[at])
    }

    /// The kinds of records that a service has.
    ///
    /// # Errors
    /// 503 if it can't be asked now.
    pub async fn kinds(&self, service: &'static str) -> Result<Vec<String>, Problem> {
        let kinds: Kinds = self.get(service, PATH).await?;
        Ok(kinds.kinds)
    }

    /// The records of a kind that a service has of a person, after those up to `after`.
    ///
    /// # Errors
    /// 503 if it can't be asked now.
    pub async fn page(
        &self,
        service: &'static str,
        kind: &str,
        person: Id,
        after: Option<i64>,
    ) -> Result<Page, Problem> {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        self.get(service, &format!("{PATH}/{kind}?person={person}{after}")).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        service: &'static str,
        path: &str,
    ) -> Result<T, Problem> {
        let answer = ask(&self.runtime, service, path).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            tracing::error!(service, %error, "what a service has of somebody can't be read");
            Problem::internal()
        })
    }
}
