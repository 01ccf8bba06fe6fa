//! What every write of the forum shares: somebody who is signed in, one transaction, one audit
//! record, and for texts their HTML.

use std::sync::Arc;

use futures::future::BoxFuture;
use http::{StatusCode, header};
use panel_kernel::data::{Answer, Audit, Conn, Tx};
use panel_kernel::http::{RouteError, SignedIn};
use panel_kernel::ids::Id;
use panel_text::markdown::{People, Rendered, candidates};
use panel_text::rendering::Renderer;
use serde::Serialize;
use serde_json::Value;

use super::Forum;
use super::conduct::{Policy, Screened};
use crate::people::calling;
use crate::rules::Viewer;
use crate::store::authors;
use crate::store::threads::Thread;
use crate::tags;

/// A write in progress.
pub(super) struct Writing<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) by: SignedIn,
    pub(super) viewer: Viewer,
    pub(super) policy: Arc<Policy>,
    /// What a moderator's act is called in the log, and what something new in the queue is.
    pub(super) deed_id: Id,
    pub(super) item_id: Id,
}

impl Writing<'_> {
    /// A thread was changed. One that goes to another category may be for fewer than before.
    pub(super) fn changes_thread(&mut self, before: &Thread, after: &Thread) {
        if before.category_id == after.category_id {
            self.tx.makes_old(tags::showing(after.id));
        } else {
            self.tx.removes(tags::showing(after.id));
        }
    }

    /// Records the act: `thread.edit` is done to `thread:<id>`.
    pub(super) fn audit(
        &mut self,
        action: &'static str,
        id: Id,
        before: Option<Value>,
        after: Option<Value>,
    ) {
        let noun = action.split('.').next().unwrap_or_default();
        let (target, context) = (format!("{noun}:{id}"), &self.by.context);
        self.tx.audit(&Audit { action, target, before, after, context });
    }
}

impl Forum {
    /// Does `work` exactly once, in one transaction.
    pub(super) async fn write<F>(&self, by: SignedIn, work: F) -> Result<Answer, RouteError>
    where
        F: for<'t> FnOnce(Writing<'t>) -> BoxFuture<'t, Result<Answer, RouteError>>
            + Send
            + 'static,
    {
        let (viewer, context, policy) =
            (Viewer::from(&by.user), by.context.clone(), Arc::clone(&self.policy));
        let (deed_id, item_id) = (self.db.next_id().await?, self.db.next_id().await?);
        self.db
            .write(&context, move |tx| work(Writing { tx, by, viewer, policy, deed_id, item_id }))
            .await
    }

    /// The same for a text in Markdown, with a title where it has one, rendered and looked at. A text that
    /// takes long to render is rendered only if `may` has nothing against its being written; what can change
    /// until then, `work` checks again.
    pub(super) async fn write_text<M, F>(
        &self,
        by: SignedIn,
        (title, body): (Option<&str>, &str),
        may: M,
        work: F,
    ) -> Result<Answer, RouteError>
    where
        M: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<(), RouteError>> + Send,
        F: for<'t> FnOnce(Writing<'t>, Screened) -> BoxFuture<'t, Result<Answer, RouteError>>
            + Send
            + 'static,
    {
        let screened = match self.rendered(body, may).await {
            Ok(mut text) => {
                text.links.retain(|link| !self.is_own(link));
                let texts = title.map(|title| ("title", title)).into_iter().chain([("body", body)]);
                let texts: Vec<_> = texts.collect();
                let verdict = self.screen(&by, &texts, &text.links).map_err(RouteError::from);
                verdict.map(|verdict| Screened { text, verdict })
            }
            Err(refusal) => Err(refusal),
        };
        match screened {
            Ok(screened) => self.write(by, move |writing| work(writing, screened)).await,
            Err(refusal) => self.db.refuse(&by.context, refusal).await,
        }
    }

    /// Whether an address is on this site.
    fn is_own(&self, link: &str) -> bool {
        let rest = link.strip_prefix(&*self.public_url);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
    }

    async fn rendered<M>(&self, body: &str, may: M) -> Result<Rendered, RouteError>
    where
        M: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<(), RouteError>> + Send,
    {
        let called = candidates(body);
        if called.is_empty()
            && let Some(text) = Renderer::at_once(body, &calling(People::new()))
        {
            return Ok(text);
        }
        let mut conn = self.db.reader().await?;
        let dialect = calling(authors::called(&mut conn, &called).await?);
        if let Some(text) = Renderer::at_once(body, &dialect) {
            return Ok(text);
        }
        may(&mut conn).await?;
        drop(conn);
        Ok(self.renderer.in_turn(body, dialect).await?)
    }
}

/// The answer to a write: the thing as it is now, with its tag.
pub(super) fn shown<T: Serialize>(version: i64, thing: &T) -> Answer {
    Answer::versioned(StatusCode::OK, version, thing)
}

/// The answer to a write that made something, with its address below `/api/v2/forum/`.
pub(super) fn created<T: Serialize>(kind: &str, id: Id, version: i64, thing: &T) -> Answer {
    Answer::versioned(StatusCode::CREATED, version, thing)
        .header(header::LOCATION, &format!("/api/v2/forum/{kind}/{id}"))
}
