//! What is said about articles. The forum has it, in a thread for each article that wants comments; here it is asked
//! for what it has, as whoever asks may see it.
//!
//! Failure: an article is read without what the forum does not tell in time. One that hangs is not waited for by
//! everybody: after it did not answer, one at a time finds out whether it does; and who asks for comments alone, or says
//! something, waits for it beside a few others, so that articles are read though it hangs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::response::Response;
use http::Method;
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::service::{RequestMeta, Runtime, Told, forward, read};
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::ToSchema;

/// Who has the comments.
const FORUM: &str = "forum";
/// How long the forum has for the page of an article, which hears of it a quarter of a second later at most.
const PATIENCE: Duration = Duration::from_millis(250);
/// The same for who asks for nothing else.
const OWN_PATIENCE: Duration = Duration::from_secs(5);
/// Of so many workers of the service, one may wait for who asks for nothing else.
const ONE_OF: usize = 2;
/// How long those wait for a place.
const IN_LINE: Duration = Duration::from_millis(100);
/// After it has not answered in time, how long it is left alone.
const PAUSE: Duration = Duration::from_secs(2);

/// What somebody said about an article. It is a post of the forum, which has all that can be done with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Comment {
    pub(crate) id: Id,
    /// Its place in the thread of the forum; they ascend.
    pub(crate) number: i64,
    pub(crate) author: Commenter,
    /// Markdown. Empty where a comment was deleted.
    pub(crate) body: String,
    /// The same as safe HTML.
    pub(crate) body_html: String,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
    /// How many reacted how.
    pub(crate) reactions: BTreeMap<String, i64>,
    /// The comment that it answers.
    pub(crate) reply_to: Option<Id>,
    /// Only there, and true, where a comment was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub(crate) deleted: bool,
    /// How the reader reacted; only for those who are signed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub(crate) my_reactions: Option<Vec<String>>,
}

/// Who said something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Commenter {
    /// The account.
    pub(crate) id: Id,
    /// The name shown, or `deleted user`.
    pub(crate) name: String,
}

/// The thread of the forum in which an article is discussed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Discussion {
    pub(crate) id: Id,
    pub(crate) slug: String,
    /// How many replies there are.
    pub(crate) reply_count: i64,
    /// Whether moderators alone can say something.
    pub(crate) locked: bool,
}

impl Discussion {
    /// The page at which it is read, and written in.
    pub(crate) fn path(&self) -> String {
        format!("/forum/threads/{}/{}", self.id, self.slug)
    }
}

/// What is said about an article.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Discussed {
    /// Where; nothing if nowhere, or not where the reader may read.
    pub(crate) thread: Option<Discussion>,
    /// What there is after the number asked for, ascending.
    pub(crate) posts: Vec<Comment>,
    /// After which number there are more, if there are.
    pub(crate) more_after: Option<i64>,
}

/// The comments. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Comments {
    runtime: Runtime,
    trouble: Arc<Trouble>,
    /// For who asks for nothing else.
    places: Arc<Semaphore>,
}

/// When the forum is asked again, in microseconds; 0 while it answers.
#[derive(Debug, Default)]
struct Trouble(AtomicI64);

impl Trouble {
    /// Whether it is to be asked now: while it does not answer, by one reader at a time.
    fn lets_ask(&self, now: Timestamp) -> bool {
        let again = self.0.load(Ordering::Relaxed);
        if again == 0 {
            return true;
        }
        let later = now.plus(PAUSE).as_micros();
        let is_due = again <= now.as_micros() || again > later;
        let order = Ordering::Relaxed;
        is_due && self.0.compare_exchange(again, later, order, order).is_ok()
    }

    /// What came of it.
    fn note(&self, is_late: bool, now: Timestamp) {
        let again = if is_late { now.plus(PAUSE).as_micros() } else { 0 };
        let before = self.0.swap(again, Ordering::Relaxed);
        if is_late && before == 0 {
            tracing::warn!(
                "the forum does not answer in time: articles are shown without comments"
            );
        } else if !is_late && before != 0 {
            tracing::info!("the forum answers again");
        }
    }
}

impl Comments {
    /// Those that this node can ask for, in a service of so many workers.
    pub(crate) fn new(runtime: &Runtime, workers: usize) -> Self {
        let places = Arc::new(Semaphore::new((workers / ONE_OF).max(1)));
        Self { runtime: runtime.clone(), trouble: Arc::default(), places }
    }

    /// The first comments on an article, for its page, which does not wait long.
    ///
    /// # Errors
    /// 503 or 504: the page does without.
    pub(crate) async fn first(
        &self,
        asked: &RequestMeta,
        article: Id,
        limit: u32,
    ) -> Result<Told<Discussed>, Problem> {
        let told = self.ask(asked, article, (0, limit), PATIENCE);
        self.unless_it_hangs(asked, PATIENCE, told).await
    }

    /// The comments on an article after a number.
    ///
    /// # Errors
    /// 503 or 504 if the forum does not tell.
    pub(crate) async fn after(
        &self,
        asked: &RequestMeta,
        article: Id,
        place: (i64, u32),
    ) -> Result<Told<Discussed>, Problem> {
        let _place = self.place_in_line().await?;
        let told = self.ask(asked, article, place, OWN_PATIENCE);
        self.unless_it_hangs(asked, OWN_PATIENCE, told).await
    }

    /// Says something about an article, in their name; `said` is what the forum takes for a reply. Its answer.
    ///
    /// # Errors
    /// 503 with the forum's name if it can't be asked; one that says so if the outcome is not known.
    pub(crate) async fn say<T: Serialize>(
        &self,
        asked: &RequestMeta,
        article: Id,
        said: &T,
    ) -> Result<Response, Problem> {
        let _place = self.place_in_line().await?;
        let path = format!("/.panel/discussions/{article}/posts");
        let done = async {
            let done = forward(&self.runtime, FORUM, asked, (Method::POST, &path), said);
            tokio::time::timeout(OWN_PATIENCE, done).await.unwrap_or_else(|_| {
                // It may yet do it; under the same key it is done once.
                Err(Problem::new(Kind::DeadlineExceeded, "the forum did not answer in time"))
            })
        };
        self.unless_it_hangs(asked, OWN_PATIENCE, done).await
    }

    /// A place among those who ask for nothing else.
    async fn place_in_line(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let busy = || Problem::unavailable(FORUM, "too many wait for the forum already");
        let place = tokio::time::timeout(IN_LINE, self.places.acquire()).await;
        place.map_err(|_| busy())?.map_err(|_| busy())
    }

    /// Asks the forum, if it answered the last who did, or it is time to see whether it does.
    async fn unless_it_hangs<T>(
        &self,
        asked: &RequestMeta,
        patience: Duration,
        asking: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        let clock = &self.runtime.clock;
        let begun = clock.now();
        if !self.trouble.lets_ask(begun) {
            return Err(Problem::unavailable(FORUM, "the forum does not answer"));
        }
        let told = asking.await;
        // Of who had less time than that, nothing follows.
        let had_time = begun.plus(patience) <= asked.deadline;
        let is_late =
            told.as_ref().is_err_and(|why| why.kind == Kind::DeadlineExceeded) && had_time;
        self.trouble.note(is_late, clock.now());
        told
    }

    async fn ask(
        &self,
        asked: &RequestMeta,
        article: Id,
        (after, limit): (i64, u32),
        patience: Duration,
    ) -> Result<Told<Discussed>, Problem> {
        let path = format!("/.panel/discussions/{article}?after={after}&limit={limit}");
        read(&self.runtime, FORUM, asked, &path, patience).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_it_does_not_answer_one_at_a_time_finds_out() {
        let at = |millis: i64| Timestamp::from_micros(1_000_000_000 + millis * 1_000);
        let trouble = Trouble::default();
        assert!(trouble.lets_ask(at(0)) && trouble.lets_ask(at(0)));
        trouble.note(true, at(500));
        assert!(!trouble.lets_ask(at(501)) && !trouble.lets_ask(at(2_499)));
        // One asks; the others do not wait for what becomes of that.
        assert!(trouble.lets_ask(at(2_500)) && !trouble.lets_ask(at(2_500)));
        // They went away before it answered: somebody else asks.
        assert!(trouble.lets_ask(at(4_500)));
        trouble.note(false, at(4_600));
        assert!(trouble.lets_ask(at(4_600)) && trouble.lets_ask(at(4_600)));
        // The clock was set back.
        trouble.note(true, at(1_000_000));
        assert!(trouble.lets_ask(at(0)));
    }
}
