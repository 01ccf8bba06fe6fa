//! What is done in moderation without a moderator: posts whose flags weigh enough are hidden, bans whose
//! time is over end, and the rules for what is written are kept at hand.
//!
//! It owns nothing but a copy of the rules. Flags and bans are rows, and so is whether somebody has yet to
//! look at them; nodes of a cluster that look at the same time do it once between them.
//!
//! Failure: flags are taken, and what they come to is done later; bans are over when their time is, whoever
//! writes that down; and rules hold as they were last known.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::FutureExt as _;
use panel_kernel::data::{Database, DbError, OwnAct, Tx};
use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::supervision::{Bell, ChildSpec};
use panel_kernel::time::Timestamp;
use ractor::{Actor, ActorProcessingErr, ActorRef, Message};
use serde_json::json;

use crate::SERVICE;
use crate::events::BanEnded;
use crate::hiding::hide;
use crate::rules::ITSELF;
use crate::rules::content::ContentRules;
use crate::store::moderation::bans::{self, Ban};
use crate::store::moderation::log::{self, Deed};
use crate::store::moderation::{content_rules, queue};
use crate::store::posts;
use crate::tags;

/// Between two looks, where nobody has said that there is something to do here.
const LOOK: Duration = Duration::from_secs(1);
/// What is done at one look.
const MOST: i64 = 100;

/// What the automat is told.
#[derive(Debug)]
pub(crate) enum AutomatMessage {
    /// There is something to do.
    Wake,
    /// Time to look. A tick.
    Look,
}

impl Message for AutomatMessage {}

/// The rules as last known. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct RulesInForce(Arc<ArcSwap<ContentRules>>);

impl RulesInForce {
    /// As they are now.
    pub(crate) fn current(&self) -> Arc<ContentRules> {
        self.0.load_full()
    }
}

/// How routes reach the automat.
#[derive(Clone, Debug)]
pub(crate) struct Automat {
    db: Database,
    bell: Bell<AutomatMessage>,
    rules: RulesInForce,
    /// The weight of flags that hides a post; 0: none does.
    hide_at: i64,
}

impl Automat {
    /// For the posts of this database, hidden by flags of this weight.
    pub(crate) fn new(db: Database, hide_at: u32) -> Self {
        let (bell, rules) = (Bell::new(|| AutomatMessage::Wake), RulesInForce::default());
        Self { db, bell, rules, hide_at: i64::from(hide_at) }
    }

    /// There is something to do.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    /// The rules it keeps.
    pub(crate) fn rules(&self) -> RulesInForce {
        self.rules.clone()
    }

    /// The actor behind it, as a child of the service.
    pub(crate) fn into_child(self) -> ChildSpec {
        ChildSpec::new("moderation_automat", move || (ModerationAutomat(self.clone()), ()))
    }

    async fn look(&self, known: &mut Option<i64>) -> Result<(), DbError> {
        let now = self.db.clock().now();
        let mut conn = self.db.reader().await?;
        let version = content_rules::version(&mut conn).await?;
        if *known != Some(version) {
            let rules = content_rules::all(&mut conn).await?;
            let rules = ContentRules::new(rules.into_iter().map(|made| made.rule).collect());
            self.rules.0.store(Arc::new(rules));
            *known = Some(version);
        }
        let due = queue::due(&mut conn, MOST).await?;
        let over = bans::over(&mut conn, now, MOST).await?;
        drop(conn);
        for (item, post) in due {
            let (deed, hide_at) = (self.db.next_id().await?, self.hide_at);
            let ids = (item, post, deed);
            self.db.transact(move |tx| weigh(tx, ids, hide_at, now).boxed()).await?;
        }
        for ban in over {
            let deed = self.db.next_id().await?;
            self.db.transact(move |tx| end(tx, ban, deed, now).boxed()).await?;
        }
        Ok(())
    }
}

struct ModerationAutomat(Automat);

impl Actor for ModerationAutomat {
    type Msg = AutomatMessage;
    /// The version of the rules that are at hand.
    type State = Option<i64>;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<AutomatMessage>,
        (): (),
    ) -> Result<Option<i64>, ActorProcessingErr> {
        self.0.bell.answered_by(&myself);
        myself.send_message(AutomatMessage::Look)?;
        Ok(None)
    }

    async fn handle(
        &self,
        myself: ActorRef<AutomatMessage>,
        message: AutomatMessage,
        known: &mut Option<i64>,
    ) -> Result<(), ActorProcessingErr> {
        self.0.bell.heard();
        // After an outage, or where others were in the way, there is another look.
        if let Err(DbError::Fault(error)) = self.0.look(known).await {
            tracing::error!(%error, "moderation waits");
        }
        if matches!(message, AutomatMessage::Look) {
            drop(myself.send_after(LOOK, || AutomatMessage::Look));
        }
        Ok(())
    }
}

/// Hides a post whose flags weigh enough, if it is not by somebody who moderates.
async fn weigh(
    tx: &mut Tx,
    (item, post, deed): (Id, Id, Id),
    hide_at: i64,
    now: Timestamp,
) -> Result<(), DbError> {
    // As everywhere: first the thread, then the post, then what is said about it.
    let held = posts::hold(tx, post, ITSELF).await?;
    let Some(weight) = queue::weigh(tx, item).await? else { return Ok(()) };
    let Some((standing, thread)) = held else { return Ok(()) };
    let is_staff = standing.author_level >= Role::Moderator.level();
    let post = standing.post;
    if hide_at == 0 || weight < hide_at || is_staff || post.deleted || thread.deleted {
        return Ok(());
    }
    hide(tx, &post, None, now).await?;
    let done = Deed {
        action: "post.hide",
        user: Some(post.author.id),
        post: Some(post.id),
        thread: Some(thread.id),
        category: Some(standing.category_id),
        reason: "flags",
    };
    tx.makes_old([tags::LOG]);
    log::insert(tx, deed, None, &done, now).await?;
    let state = |is_hidden: bool| Some(json!({"hidden": is_hidden, "weight": weight}));
    let target = format!("post:{}", post.id);
    let act = OwnAct { action: "post.hide", target, before: state(false), after: state(true) };
    tx.audit_of_service(SERVICE.name, &act, now);
    Ok(())
}

/// Ends a ban whose time is over.
async fn end(tx: &mut Tx, ban: Ban, deed: Id, now: Timestamp) -> Result<(), DbError> {
    if !bans::end(tx, ban.id, None, now).await? {
        return Ok(());
    }
    queue::resolve_ban(tx, ban.id, (None, now)).await?;
    let (id, user_id) = (ban.id, ban.user.id);
    tx.publish(&BanEnded { id, user_id, moderator_id: None });
    let user = Some(user_id);
    let done = Deed {
        action: "ban.end",
        user,
        category: ban.category_id,
        reason: "time",
        ..Deed::default()
    };
    tx.makes_old([tags::LOG]);
    log::insert(tx, deed, None, &done, now).await?;
    let state = |until: Option<Timestamp>| Some(json!({"user_id": user_id, "until": until}));
    let target = format!("ban:{id}");
    let (before, after) = (state(ban.until), state(Some(now)));
    tx.audit_of_service(SERVICE.name, &OwnAct { action: "ban.end", target, before, after }, now);
    Ok(())
}
