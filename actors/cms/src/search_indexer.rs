//! Indexes published articles, as they are published and change; and, while everything goes on, those that are not indexed
//! yet, or by rules of another version: after an update that brings other rules, and at the first start of a release
//! that searches.
//!
//! Failure: articles are found later, or as they were; what is not published any more is not found whatever the index says.

use std::time::Instant;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use panel_kernel::data::{Conn, Database, DbError, Tx};
use panel_kernel::events::{Event, Follow, Rejected, follower};
use panel_kernel::ids::Id;
use panel_kernel::metrics::Metrics;
use panel_kernel::supervision::ChildSpec;
use serde::Deserialize;

use crate::store::search;
use crate::tags;

/// The actor, as a child of the service.
pub(crate) fn child(db: &Database, metrics: &Metrics) -> ChildSpec {
    follower("search_indexer", (db, metrics), SearchIndexer)
}

#[derive(Clone, Debug)]
struct SearchIndexer;

/// What is told of an article, as far as it matters here.
#[derive(Deserialize)]
struct Told {
    id: Id,
}

impl Follow for SearchIndexer {
    /// When work was begun that is to be made up for by a pause.
    type News = Option<Instant>;

    const TOPICS: &'static [&'static str] = &["article.*"];

    fn apply<'t>(
        &'t self,
        tx: &'t mut Tx,
        event: &'t Event,
        _: &'t mut Option<Instant>,
    ) -> BoxFuture<'t, Result<(), Rejected>> {
        async move {
            let Told { id } = serde_json::from_str(event.payload.get())?;
            search::index(tx, id).await?;
            tx.makes_old([tags::SEARCH]);
            Ok(())
        }
        .boxed()
    }

    fn has_more<'c>(&'c self, conn: &'c mut Conn) -> BoxFuture<'c, Result<bool, DbError>> {
        search::is_behind(conn).boxed()
    }

    fn piece<'t>(
        &'t self,
        tx: &'t mut Tx,
        begun: &'t mut Option<Instant>,
    ) -> BoxFuture<'t, Result<(), DbError>> {
        async move {
            *begun = Some(Instant::now());
            search::index_some(tx).await?;
            tx.makes_old([tags::SEARCH]);
            Ok(())
        }
        .boxed()
    }

    fn tell(&self, begun: Option<Instant>) -> BoxFuture<'_, ()> {
        async move {
            if let Some(begun) = begun {
                // As long as the work took, so that others who write have their turns.
                tokio::time::sleep(begun.elapsed()).await;
            }
        }
        .boxed()
    }

    fn begins(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }
}
