//! The service, put together. It has no actors of its own.

use std::sync::Arc;

use panel_kernel::config::{BadValue, Section};
use panel_kernel::service::{Assembly, Registration, ServiceSpec};

use super::api::{self, App};
use super::config::GuestbookConfig;
use super::store;

/// The service's entry in the node's list.
pub(crate) const SERVICE: Registration = Registration { name: "guestbook", configure, effective };

fn effective(section: &Section) -> Result<serde_json::Value, BadValue> {
    section.effective(&GuestbookConfig::parse(section)?)
}

fn configure(section: &Section) -> Result<ServiceSpec, BadValue> {
    let config = GuestbookConfig::parse(section)?;
    Ok(ServiceSpec {
        name: SERVICE.name,
        port: 5005,
        pages: &[],
        pool: config.pool,
        migrations: panel_kernel::migrations!(
            "it/guestbook/migrations/sqlite",
            "it/guestbook/migrations/postgres"
        ),
        subscriptions: &[],
        openapi: api::openapi,
        assemble: Arc::new(move |context| {
            Assembly::new(api::router(App::new(context, config.max_chars))).personal(store::RECORDS)
        }),
    })
}
