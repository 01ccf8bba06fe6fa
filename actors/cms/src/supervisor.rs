//! The service, put together.

use std::sync::Arc;

use panel_kernel::config::{BadValue, Section};
use panel_kernel::data::Migrations;
use panel_kernel::service::{Assembly, Registration, ServiceSpec};
use panel_text::rendering::Renderer;

use crate::api::{self, Cms};
use crate::config::CmsConfig;
use crate::events::{Listener, SUBSCRIPTIONS};
use crate::media::Media;
use crate::webhooks::Webhooks;
use crate::{pages, scheduler, search_indexer, store};

/// The service's entry in the node's list.
pub const SERVICE: Registration = Registration { name: "cms", configure, effective };

/// The service's schema, for administrative commands.
#[must_use]
pub fn migrations() -> Migrations {
    panel_kernel::migrations!("../../migrations/cms/sqlite", "../../migrations/cms/postgres")
}

fn effective(section: &Section) -> Result<serde_json::Value, BadValue> {
    section.effective(&CmsConfig::parse(section)?)
}

fn configure(section: &Section) -> Result<ServiceSpec, BadValue> {
    let config = CmsConfig::parse(section)?;
    let renderer = Renderer::new(SERVICE.name, config.pool);
    let outbound = config.webhooks.outbound()?;
    Ok(ServiceSpec {
        name: SERVICE.name,
        port: 5003,
        pages: pages::PREFIXES,
        pool: config.pool,
        migrations: migrations(),
        subscriptions: SUBSCRIPTIONS,
        openapi: api::openapi,
        assemble: Arc::new(move |context| {
            let media = Media::new(context, &config.media, config.pool.workers);
            let media_tree = media.child(context);
            let webhooks = Webhooks::new(context, outbound.clone());
            let cms = Cms::new(context, &config, &renderer, &media, &webhooks);
            Assembly::new(api::router(Arc::new(cms)))
                .child(scheduler::child(&context.db))
                .child(search_indexer::child(&context.db, &context.runtime.metrics))
                .child(media_tree)
                .child(webhooks.child(context))
                .consumer(Listener)
                .personal(store::personal::RECORDS)
                .expiring(store::articles::EXPIRIES)
                .expiring(store::webhooks::EXPIRIES)
        }),
    })
}
