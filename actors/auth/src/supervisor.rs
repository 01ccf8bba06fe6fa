//! The service's actors, read as a table.

use std::sync::Arc;
use std::time::Duration;

use panel_kernel::blocking::BlockingPool;
use panel_kernel::config::{BadValue, Section};
use panel_kernel::data::Migrations;
use panel_kernel::identity::{CsrfTokens, SiteCookie};
use panel_kernel::ids::random_bytes;
use panel_kernel::personal::Asking;
use panel_kernel::service::{Assembly, Registration, ServiceContext, ServiceSpec};
use panel_kernel::supervision::ChildSpec;

use crate::api::{self, App, Away, Factors};
use crate::breaches::Breaches;
use crate::config::AuthConfig;
use crate::export::{self, ExportBell, Exporter};
use crate::federation::Federation;
use crate::hashing::{Passwords, argon2id, hash};
use crate::heard::{self, Heard};
use crate::mail::{Delivery, Mailer, Post};
use crate::passkeys::Passkeys;
use crate::rotation;
use crate::setup::Setup;
use crate::store::{
    api_keys, invitations, keys, mailed, mails, one_time, passkeys, personal, sessions,
};
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
    let hashing = BlockingPool::standing_back(config.hashing_threads(), config.hashing_queue);
    let passwords = Passwords::new(hashing, argon2, &nobody);
    let counts = Counts::new(&config);
    let delivery = Arc::new(Delivery::new(&config.mail)?);
    let federation = Federation::new(&config.providers)?;
    let breaches = Breaches::new(&config.breach_url)?;
    let parts = Parts { config, passwords, counts, delivery, federation, breaches };
    Ok(ServiceSpec {
        name: SERVICE.name,
        port: 5001,
        pages: &[
            "/setup",
            "/join",
            "/verify-email",
            "/reset-password",
            "/forgot-password",
            "/sign-in",
            "/account-export",
        ],
        pool: parts.config.pool,
        migrations: migrations(),
        subscriptions: heard::SUBSCRIPTIONS,
        openapi: || api::routes().into_openapi(),
        assemble: Arc::new(move |context| assemble(&parts, context)),
    })
}

/// What outlives the tree.
struct Parts {
    config: AuthConfig,
    passwords: Passwords,
    counts: Counts,
    delivery: Arc<Delivery>,
    federation: Federation,
    breaches: Breaches,
}

fn assemble(parts: &Parts, context: &ServiceContext) -> Assembly {
    let Parts { config, passwords, counts, delivery, federation, breaches } = parts;
    let (keys, post) = (Keys::default(), Post::new(&context.runtime));
    let exports = export::bell();
    let app = App {
        db: context.db.clone(),
        runtime: context.runtime.clone(),
        config: config.clone(),
        keys: keys.clone(),
        passwords: passwords.clone(),
        throttle: Throttle::new(config, counts.clone(), &context.runtime),
        post: post.clone(),
        cookie: SiteCookie::session(&context.runtime.public_url),
        factors: Factors(context.runtime.key.derive("auth second factors")),
        passkeys: Passkeys::new(&context.runtime.public_url, &context.runtime.key),
        csrf: CsrfTokens::new(&context.runtime.key),
        federation: federation.clone(),
        breaches: breaches.clone(),
        away: Away::new(&context.runtime),
        exports: exports.clone(),
    };
    Assembly::new(api::router(app))
        .private()
        .child(token_keeper(config, context, keys))
        .child(mailer(delivery, context, post.clone()))
        .child(exporter(config, context, post.clone(), exports))
        .child(setup(context))
        .consumer(Heard { db: context.db.clone(), post })
        .personal(personal::RECORDS)
        .expiring(sessions::EXPIRIES)
        .expiring(api_keys::EXPIRIES)
        .expiring([keys::EXPIRY, one_time::EXPIRY, mails::EXPIRY, passkeys::EXPIRY])
        .expiring([invitations::EXPIRY, mailed::EXPIRY])
}

fn mailer(delivery: &Arc<Delivery>, context: &ServiceContext, post: Post) -> ChildSpec {
    let (db, delivery) = (context.db.clone(), Arc::clone(delivery));
    let directory = context.runtime.data_dir.join("mail");
    let outcomes = context.runtime.metrics.mails.clone();
    ChildSpec::new("mailer", move || {
        let (db, post, delivery) = (db.clone(), post.clone(), Arc::clone(&delivery));
        let (directory, outcomes) = (directory.clone(), outcomes.clone());
        (Mailer { db, post, delivery, directory, outcomes }, ())
    })
    // A server that hangs must not hold up a drain; the mail is claimed, and comes later.
    .shutdown(Duration::from_secs(2))
}

fn exporter(
    config: &AuthConfig,
    context: &ServiceContext,
    post: Post,
    bell: ExportBell,
) -> ChildSpec {
    let (db, runtime, life) = (context.db.clone(), context.runtime.clone(), config.export_life.0);
    // One at a time is put together.
    let computing = BlockingPool::new(1, 0);
    ChildSpec::new("exporter", move || {
        let exporter = Exporter {
            db: db.clone(),
            asking: Asking::new(&runtime),
            blobs: runtime.blobs.clone(),
            node: runtime.node.name.to_string(),
            post: post.clone(),
            bell: bell.clone(),
            computing: computing.clone(),
            site: runtime.public_url.to_string(),
            life,
            outcomes: runtime.metrics.exports.clone(),
        };
        (exporter, ())
    })
    // It may be waiting for an answer; what it is at is claimed, and begun anew.
    .shutdown(Duration::from_secs(2))
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
