//! Indexes posts that are not yet, or by rules of another version, while everything goes on: after an
//! update that brings other rules, after an import, and at the first start of a release that searches.
//! Posts that are written or changed are indexed by the facts that tell of them.
//!
//! It owns nothing: how far it is, is a row in the database, which is held for as long as a piece of work
//! takes. Nodes of a cluster take turns at it.
//!
//! Failure: the row says where to go on.

use std::time::{Duration, Instant};

use panel_kernel::data::{Database, DbError, Tx};
use panel_kernel::supervision::ChildSpec;
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};

use crate::store::search;
use crate::tags;

/// Between two looks whether there is something to do.
const LOOK: Duration = Duration::from_secs(10);
/// A line in the log after so many pieces.
const REPORTED: u64 = 500;

/// What the indexer is told.
#[derive(Debug)]
pub(crate) enum SearchIndexerMessage {
    /// Time to look, or to go on. A tick.
    Look,
}

impl Message for SearchIndexerMessage {}

struct SearchIndexer {
    db: Database,
}

/// The actor, as a child of the service.
pub(crate) fn child(db: Database) -> ChildSpec {
    ChildSpec::new("search_indexer", move || (SearchIndexer { db: db.clone() }, ()))
}

impl Actor for SearchIndexer {
    type Msg = SearchIndexerMessage;
    /// Pieces done since there was nothing to do.
    type State = u64;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<SearchIndexerMessage>,
        (): (),
    ) -> Result<u64, ActorProcessingErr> {
        myself.send_message(SearchIndexerMessage::Look)?;
        Ok(0)
    }

    async fn handle(
        &self,
        myself: ActorRef<SearchIndexerMessage>,
        SearchIndexerMessage::Look: SearchIndexerMessage,
        pieces: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        let begun = Instant::now();
        let more: Result<bool, DbError> = self.db.transact(|tx| Box::pin(index_some(tx))).await;
        let next = match more {
            Ok(true) => {
                *pieces += 1;
                if pieces.is_multiple_of(REPORTED) {
                    tracing::info!(pieces, "posts are being indexed for searching");
                }
                // As long as the work took, so that others who write have their turns.
                begun.elapsed()
            }
            Ok(false) => {
                if *pieces > 0 {
                    tracing::info!(pieces, "all posts are indexed for searching");
                    *pieces = 0;
                }
                LOOK
            }
            Err(DbError::Fault(error)) => {
                tracing::error!(%error, "posts can't be indexed");
                LOOK
            }
            // An outage, or others in the way: there is time.
            Err(_) => Duration::from_secs(1),
        };
        drop(myself.send_after(next, || SearchIndexerMessage::Look));
        Ok(())
    }
}

/// Indexes some of those that are not; whether there may be more.
async fn index_some(tx: &mut Tx) -> Result<bool, DbError> {
    let more = search::index_some(tx).await?;
    if more {
        tx.makes_old([tags::SEARCH]);
    }
    Ok(more)
}
