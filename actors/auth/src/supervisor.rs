//! The service's actors, read as a table.

use std::sync::Arc;

use panel_kernel::blocking::BlockingPool;
use panel_kernel::config::{BadValue, Section};
use panel_kernel::data::Migrations;
use panel_kernel::ids::random_bytes;
use panel_kernel::service::{Assembly, Registration, ServiceContext, ServiceSpec};
use panel_kernel::supervision::ChildSpec;

use crate::api::{self, App};
use crate::config::AuthConfig;
use crate::hashing::{Passwords, argon2id, hash};
use crate::rotation;
use crate::setup::Setup;
use crate::store::{keys, sessions};
use crate::throttle::{Counts, Throttle};
use crate::token_keeper::{Keys, TokenKeeper};

/// The service's entry in the node's list.
pub const SERVICE: Registration = Registration { name: "auth", configure, effective };

/// The service's schema, for administrative commands.
#[must_use]
pub fn migrations() -> Migrations {
    panel_kernel::migrations!("../../migrations/auth/sqlite", "../../migrations/auth/postgres")
}

fn effective(section: &Section) -> Result<serde_json::Value, BadValue> {
    section.effective(&AuthConfig::parse(section)?)
}

fn configure(section: &Section) -> Result<ServiceSpec, BadValue> {
    let config = AuthConfig::parse(section)?;
    let bad = |reason: String| BadValue { key: "auth.argon2_memory_kib".to_owned(), reason };
    let argon2 = argon2id(config.argon2_memory_kib, config.argon2_iterations).map_err(bad)?;
    // Costs one hash at start, so that an unknown account costs one at login.
    let nobody = hash(&argon2, &random_bytes::<32>()).map_err(bad)?;
    let hashing = BlockingPool::new(config.hashing_threads(), config.hashing_queue);
    let passwords = Passwords::new(hashing, argon2, &nobody);
    let counts = Counts::new(&config);
    Ok(ServiceSpec {
        name: SERVICE.name,
        port: 5001,
        pages: &["/setup"],
        pool: config.pool,
        migrations: migrations(),
        subscriptions: &[],
        openapi: || api::routes().into_openapi(),
        assemble: Arc::new(move |context| assemble(&config, &passwords, &counts, context)),
    })
}

fn assemble(
    config: &AuthConfig,
    passwords: &Passwords,
    counts: &Counts,
    context: &ServiceContext,
) -> Assembly {
    let keys = Keys::default();
    let throttle = Throttle::new(config, counts.clone(), &context.runtime);
    let app = App::new(context, config.clone(), keys.clone(), passwords.clone(), throttle);
    Assembly::new(api::router(app))
        .child(token_keeper(config, context, keys))
        .child(setup(context))
        .expiring(sessions::EXPIRIES)
        .expiring([keys::EXPIRY])
}

fn token_keeper(config: &AuthConfig, context: &ServiceContext, keys: Keys) -> ChildSpec {
    let (db, life) = (context.db.clone(), config.signing_key_life.0);
    let sealing = rotation::sealing_key(&context.runtime.key);
    ChildSpec::new("token_keeper", move || {
        let (db, sealing, keys) = (db.clone(), sealing.clone(), keys.clone());
        (TokenKeeper { db, sealing, keys, life }, ())
    })
}

fn setup(context: &ServiceContext) -> ChildSpec {
    let (db, runtime) = (context.db.clone(), context.runtime.clone());
    ChildSpec::new("setup", move || (Setup { db: db.clone(), runtime: runtime.clone() }, ()))
}
