//! A service that tells, and those that listen, for tests of facts.

use std::sync::Arc;

use futures::future::BoxFuture;
use panel_harness::{Backend, Rig, RigBuilder, TestDatabase, new_id};
use panel_kernel::config::PoolConfig;
use panel_kernel::data::{Database, DbError, Fact, Tx, sql};
use panel_kernel::events::{Consumer, Event, Rejected, Subscription};
use panel_kernel::service::{Assembly, ServiceContext, ServiceSpec};
use serde::{Deserialize, Serialize};

/// What those who listen want to hear.
pub(crate) const HEARS: &[Subscription] =
    &[Subscription { source: "source", topics: &["thing.*"] }];

/// What is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Happened {
    pub(crate) value: String,
}

impl Fact for Happened {
    const TOPIC: &'static str = "thing.happened";
}

/// Tells it.
pub(crate) async fn tell(db: &Database, value: impl Into<String>) -> Result<(), DbError> {
    let value = value.into();
    db.transact(move |tx| {
        Box::pin(async move {
            tx.publish(&Happened { value });
            Ok(())
        })
    })
    .await
}

/// A service without routes.
pub(crate) fn service(
    name: &'static str,
    subscriptions: &'static [Subscription],
    assemble: impl Fn(&ServiceContext) -> Assembly + Send + Sync + 'static,
) -> ServiceSpec {
    ServiceSpec {
        name,
        port: 5_997,
        pages: &[],
        pool: PoolConfig { workers: 2, queue: 8 },
        migrations: panel_harness::probe::migrations(),
        subscriptions,
        openapi: utoipa::openapi::OpenApi::default,
        assemble: Arc::new(assemble),
    }
}

/// The one that tells.
pub(crate) fn source() -> ServiceSpec {
    service("source", &[], |_| Assembly::new(axum::Router::new()))
}

/// One that writes down what it hears.
pub(crate) fn scribe(name: &'static str) -> ServiceSpec {
    service(name, HEARS, |_| Assembly::new(axum::Router::new()).consumer(Scribe))
}

struct Scribe;

impl Consumer for Scribe {
    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        source: &'t str,
        event: &'t Event,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        Box::pin(async move {
            assert_eq!(source, "source");
            let fact: Happened = serde_json::from_str(event.payload.get())?;
            if fact.value == "nonsense" {
                return Err(Rejected::Nonsense("it makes no sense".to_owned()));
            }
            insert(tx, &fact.value).await?;
            Ok(())
        })
    }
}

/// Writes something down.
pub(crate) async fn insert(tx: &mut Tx, value: &str) -> Result<(), DbError> {
    let statement = sql("INSERT INTO effects (id, value, created_at) VALUES ($1, $2, 0)");
    tx.execute(statement.bind(new_id()).bind(value)).await.map(|_| ())
}

/// What was written down, in order.
pub(crate) async fn values(db: &Database) -> Vec<String> {
    let mut conn = db.reader().await.unwrap();
    let rows: Vec<(String,)> =
        conn.all(sql("SELECT value FROM effects ORDER BY id")).await.unwrap();
    rows.into_iter().map(|(value,)| value).collect()
}

/// The one that tells, and one that listens, on this database.
pub(crate) async fn pair_on(database: TestDatabase) -> Rig {
    let builder = RigBuilder::new(database).service(source()).service(scribe("sink"));
    Box::pin(builder.start()).await
}

/// The same on a database of this kind.
pub(crate) async fn pair(backend: Backend) -> Rig {
    pair_on(backend.database().await).await
}
