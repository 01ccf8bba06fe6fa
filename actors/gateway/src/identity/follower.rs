//! Follows the identity service: asks for its keys, and for what was revoked.

use std::time::Duration;

use panel_kernel::identity::{ACCESS_TOKEN_LIFE, IdentityQuery, IdentityReport, PATH};
use panel_kernel::time::{Clock, Timestamp};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;

use super::{Identity, LATE};
use crate::dispatch::Dispatcher;

/// Two looks fit into the second within which a revocation must be known everywhere.
const LOOK: Duration = Duration::from_millis(400);
/// How often everything that could matter is asked for, not only what is new.
const ALL: Duration = Duration::from_secs(60);

/// What the follower is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum FollowerMessage {
    /// Time to ask. A tick.
    Look,
}

/// Follows the identity service.
pub(crate) struct Follower {
    pub(crate) identity: Identity,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) clock: Clock,
}

/// What it has heard, in this life.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// When it last heard of everything that could matter.
    all: Option<Timestamp>,
    /// When it last heard of all that was new.
    news: Option<Timestamp>,
}

impl Actor for Follower {
    type Msg = FollowerMessage;
    type State = Heard;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<FollowerMessage>,
        (): (),
    ) -> Result<Heard, ActorProcessingErr> {
        myself.send_message(FollowerMessage::Look)?;
        Ok(Heard::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<FollowerMessage>,
        FollowerMessage::Look: FollowerMessage,
        heard: &mut Heard,
    ) -> Result<(), ActorProcessingErr> {
        let known_before = self.identity.known.load().at.is_some();
        if let Err(why) = self.look(heard).await {
            tracing::debug!(why, "identity report failed");
        }
        let known = self.identity.known.load().at.is_some();
        // At the start, keys are wanted as soon as the service is there.
        let next = if known || known_before { LOOK } else { Duration::from_millis(20) };
        drop(myself.send_after(next, || FollowerMessage::Look));
        Ok(())
    }
}

impl Follower {
    /// Asks for what is new, or now and then for everything that could matter, until there is no
    /// more of it.
    async fn look(&self, heard: &mut Heard) -> Result<(), String> {
        let now = self.clock.now();
        // As far back as any token that is still good. Also later on: nothing is lost for long.
        let all = heard.all.is_none_or(|at| at.until(now) >= ALL || now < at);
        let news = heard.news.filter(|_| !all).map(|at| at.minus(LATE));
        let mut query = IdentityQuery {
            since: news.unwrap_or_else(|| now.minus(ACCESS_TOKEN_LIFE).minus(LATE)).as_micros(),
            after: 0,
        };
        loop {
            let IdentityQuery { since, after } = query;
            let path = format!("{PATH}?since={since}&after={after}");
            let asked = self.dispatcher.ask::<IdentityReport>(self.identity.service, &path).await;
            let report = asked.map_err(|problem| problem.detail)?;
            let rest = report.revoked.last().filter(|_| report.more).map(|last| IdentityQuery {
                since: last.until.minus(ACCESS_TOKEN_LIFE).as_micros(),
                after: last.session.raw(),
            });
            self.identity.learn(report, now, rest.is_none());
            match rest {
                Some(rest) => query = rest,
                None => break,
            }
        }
        heard.news = Some(now);
        if all {
            heard.all = heard.news;
        }
        Ok(())
    }
}
