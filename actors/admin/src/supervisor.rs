//! The service, put together. It has no actors of its own yet.

use std::sync::Arc;

use panel_kernel::config::{BadValue, Section};
use panel_kernel::service::{Assembly, Registration, ServiceSpec};

use crate::api::{self, App};
use crate::config::AdminConfig;
use crate::events::{Listener, SUBSCRIPTIONS};
use crate::store;

/// The service's entry in the node's list.
pub const SERVICE: Registration = Registration { name: "admin", configure, effective };

fn effective(section: &Section) -> Result<serde_json::Value, BadValue> {
    section.effective(&AdminConfig::parse(section)?)
}

fn configure(section: &Section) -> Result<ServiceSpec, BadValue> {
    let config = AdminConfig::parse(section)?;
    Ok(ServiceSpec {
        name: SERVICE.name,
        port: 5004,
        pages: &[],
        pool: config.pool,
        migrations: panel_kernel::migrations!(
            "../../migrations/admin/sqlite",
            "../../migrations/admin/postgres"
        ),
        subscriptions: SUBSCRIPTIONS,
        openapi: || api::routes().into_openapi(),
        assemble: Arc::new(|context| {
            Assembly::new(api::router(App::new(context)))
                .private()
                .consumer(Listener)
                .personal(store::personal::RECORDS)
        }),
    })
}
