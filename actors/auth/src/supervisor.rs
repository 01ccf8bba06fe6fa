//! The service's actors, read as a table.

use std::sync::Arc;

use panel_kernel::config::{BadValue, Section};
use panel_kernel::data::Migrations;
use panel_kernel::service::{Assembly, Registration, ServiceContext, ServiceSpec};
use panel_kernel::supervision::{Address, ChildSpec};

use crate::api::{self, App};
use crate::config::AuthConfig;
use crate::hashing::{Hashing, Passwords, argon2id};
use crate::setup::Setup;
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
    let nobody = nobody(&argon2).map_err(bad)?;
    Ok(ServiceSpec {
        name: SERVICE.name,
        port: 5001,
        pages: &["/setup"],
        pool: config.pool,
        migrations: migrations(),
        subscriptions: &[],
        openapi: || api::routes().into_openapi(),
        assemble: Arc::new(move |context| assemble(&config, &argon2, &nobody, context)),
    })
}

fn nobody(argon2: &argon2::Argon2<'_>) -> Result<String, String> {
    use argon2::PasswordHasher as _;
    let password = panel_kernel::ids::random_bytes::<32>();
    argon2.hash_password(&password).map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

fn assemble(
    config: &AuthConfig,
    argon2: &argon2::Argon2<'static>,
    nobody: &str,
    context: &ServiceContext,
) -> Assembly {
    let (keys, hashing) = (Keys::default(), Address::new());
    let app = App::new(
        context,
        config.clone(),
        keys.clone(),
        Passwords::new(hashing.clone(), nobody.to_owned()),
    );
    Assembly::new(api::router(app))
        .child(token_keeper(context, keys))
        .child(hashing_pool(config, argon2, hashing))
        .child(setup(context))
}

fn token_keeper(context: &ServiceContext, keys: Keys) -> ChildSpec {
    let (db, ids) = (context.db.clone(), context.runtime.ids.clone());
    let sealing = TokenKeeper::sealing_key(&context.runtime.key);
    ChildSpec::new("token_keeper", move || {
        let keeper = TokenKeeper {
            db: db.clone(),
            ids: ids.clone(),
            sealing: sealing.clone(),
            keys: keys.clone(),
        };
        (keeper, ())
    })
}

fn hashing_pool(
    config: &AuthConfig,
    argon2: &argon2::Argon2<'static>,
    address: Address<crate::hashing::HashingMessage>,
) -> ChildSpec {
    let (argon2, threads, queue) = (argon2.clone(), config.hashing_threads(), config.hashing_queue);
    ChildSpec::new("hashing", move || {
        (Hashing { address: address.clone(), argon2: argon2.clone(), threads, queue }, ())
    })
}

fn setup(context: &ServiceContext) -> ChildSpec {
    let (db, runtime) = (context.db.clone(), context.runtime.clone());
    ChildSpec::new("setup", move || (Setup { db: db.clone(), runtime: runtime.clone() }, ()))
}
