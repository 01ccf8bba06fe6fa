//! What stands between a text and its readers: bans, limits of accounts that are new, rules for what is
//! written. And what moderators have done, to be remembered.

use panel_kernel::data::Conn;
use panel_kernel::http::{RouteError, SignedIn};
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;
use panel_text::markdown::Rendered;

use super::Forum;
use super::writing::Writing;
use crate::config::{ModerationConfig, TrustConfig};
use crate::hiding::{hide, hide_thread};
use crate::rules::Viewer;
use crate::rules::bans::Act;
use crate::rules::content::RuleAction;
use crate::rules::trust::{Allowance, Trust};
use crate::store::authors::{self, Conduct};
use crate::store::moderation::log::Deed;
use crate::store::moderation::queue::{Cause, QueueKind};
use crate::store::moderation::{bans, log, queue};
use crate::store::posts::Post;
use crate::store::threads::Thread;
use crate::tags;

/// What the site wants of those who write.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) moderation: ModerationConfig,
    pub(crate) trust: TrustConfig,
    /// Whether accounts that are new have limits.
    pub(crate) limits: bool,
}

impl Policy {
    /// What somebody may write; `None`: as they like.
    pub(crate) fn allowance(&self, trust: Trust, moderates: bool) -> Option<Allowance> {
        if self.limits && !moderates { trust.allowance(&self.trust) } else { None }
    }
}

/// What becomes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is shown.
    Shown,
    /// It is shown, and moderators look at it; why.
    Flagged(String),
    /// Only its author and moderators see it until one of these has looked at it; why.
    Held(String),
}

/// A text, rendered and looked at.
#[derive(Clone, Debug)]
pub(super) struct Screened {
    pub(super) text: Rendered,
    pub(super) verdict: Verdict,
}

impl Screened {
    /// Whether nobody but its author and moderators will see it.
    pub(super) const fn is_held(&self) -> bool {
        matches!(self.verdict, Verdict::Held(_))
    }
}

impl Forum {
    /// What the rules for what is written say to texts, by the names of their fields, with these links. They
    /// say nothing to moderators.
    pub(super) fn screen(
        &self,
        by: &SignedIn,
        texts: &[(&str, &str)],
        links: &[String],
    ) -> Result<Verdict, Problem> {
        if Viewer::from(&by.user).moderates {
            return Ok(Verdict::Shown);
        }
        let (rules, mut verdict) = (self.content_rules.current(), Verdict::Shown);
        for (field, text) in texts {
            let links = if *field == "body" { links } else { &[] };
            let Some(rule) = rules.strictest(&[text], links) else { continue };
            let why = || format!("{} rule: {}", rule.kind.name(), rule.pattern);
            match (rule.action, &verdict) {
                (RuleAction::Refuse, _) => {
                    let message = match rule.message.as_str() {
                        "" => "has something in it that is not wanted here",
                        message => message,
                    };
                    return Err(Problem::field(field, "refused", message));
                }
                (RuleAction::Hold, _) => verdict = Verdict::Held(why()),
                (RuleAction::Flag, Verdict::Shown) => verdict = Verdict::Flagged(why()),
                (RuleAction::Flag, _) => {}
            }
        }
        Ok(verdict)
    }
}

impl Writing<'_> {
    /// Where the first posts of accounts are held, this one may be.
    pub(super) async fn hold_first(&mut self, screened: &mut Screened) -> Result<(), RouteError> {
        let held = i64::from(self.policy.moderation.hold_first_posts);
        if held > 0 && !self.viewer.moderates && !screened.is_held() {
            let conduct = authors::conduct(self.tx, self.by.user.id).await?;
            if conduct.is_none_or(|conduct| conduct.record.post_count < held) {
                screened.verdict = Verdict::Held("first posts".to_owned());
            }
        }
        Ok(())
    }

    /// They write a post in a category, if nothing is against it. Whatever is held of the thread is held
    /// before: who writes in whose name is decided last.
    pub(super) async fn enter(&mut self, category: Id, text: &Rendered) -> Result<(), RouteError> {
        let now = self.by.context.now;
        let conduct = authors::writes(self.tx, &self.by.user, now).await?;
        self.must_not_be_banned(&conduct, category, Act::Text).await?;
        if let Some(allowance) = self.allowance(&conduct) {
            allowance.text(text.links.len(), text.mentioned.len())?;
            let (posts, since) = conduct.burst;
            allowance.burst(posts, since, now)?;
        }
        Ok(())
    }

    /// Whether they may do that in a category. How they stand.
    pub(super) async fn may(&mut self, act: Act, category: Id) -> Result<Conduct, RouteError> {
        let user = self.by.user.id;
        let conduct = authors::conduct(self.tx, user).await?;
        // Somebody who registered a moment ago may not be known yet.
        let conduct = conduct.unwrap_or_else(|| Conduct::unknown(user));
        self.must_not_be_banned(&conduct, category, act).await?;
        Ok(conduct)
    }

    /// Whether they may give a post that text.
    pub(super) async fn may_change_text(
        &mut self,
        category: Id,
        text: &Rendered,
    ) -> Result<(), RouteError> {
        let conduct = self.may(Act::Text, category).await?;
        if let Some(allowance) = self.allowance(&conduct) {
            allowance.text(text.links.len(), text.mentioned.len())?;
        }
        Ok(())
    }

    fn allowance(&self, conduct: &Conduct) -> Option<Allowance> {
        let trust = self.trust(conduct);
        self.policy.allowance(trust, self.viewer.moderates)
    }

    /// How far they are trusted.
    pub(super) fn trust(&self, conduct: &Conduct) -> Trust {
        Trust::of(conduct.record, &self.policy.trust, self.by.context.now)
    }

    async fn must_not_be_banned(
        &mut self,
        conduct: &Conduct,
        category: Id,
        act: Act,
    ) -> Result<(), RouteError> {
        if !conduct.restricted {
            return Ok(());
        }
        let (user, now) = (self.by.user.id, self.by.context.now);
        not_banned(self.tx, (user, category), act, now).await
    }

    /// Does with a post that was stored what is to become of it. What opens a thread is hidden with it.
    pub(super) async fn judge(
        &mut self,
        verdict: &Verdict,
        post: &mut Post,
    ) -> Result<(), RouteError> {
        if self.enqueue(verdict, post.id, post.author.id).await? && !post.deleted {
            hide(self.tx, post, None, self.by.context.now).await?;
            if post.number > 1 {
                (post.deleted, post.hidden, post.version) = (true, true, post.version + 1);
            }
        }
        Ok(())
    }

    /// The same for a thread, by its opening post.
    pub(super) async fn judge_thread(
        &mut self,
        verdict: &Verdict,
        thread: &mut Thread,
        opening: Id,
    ) -> Result<(), RouteError> {
        if self.enqueue(verdict, opening, thread.author.id).await? && !thread.deleted {
            let whose = (thread.id, thread.author.id);
            hide_thread(self.tx, whose, None, self.by.context.now).await?;
            (thread.deleted, thread.hidden, thread.version) = (true, true, thread.version + 1);
        }
        Ok(())
    }

    /// Puts a post into the queue, if it belongs there. Whether it is to be hidden.
    async fn enqueue(
        &mut self,
        verdict: &Verdict,
        post: Id,
        author: Id,
    ) -> Result<bool, RouteError> {
        let (kind, detail) = match verdict {
            Verdict::Shown => return Ok(false),
            Verdict::Flagged(why) => (QueueKind::Matched, why),
            Verdict::Held(why) => (QueueKind::Held, why),
        };
        let cause = Cause { kind, author, detail, flag: None };
        queue::add_post(self.tx, self.item_id, post, &cause, self.by.context.now).await?;
        Ok(kind == QueueKind::Held)
    }

    /// Remembers what they do as a moderator; nothing where they do it to what is their own.
    pub(super) async fn remember(&mut self, deed: Deed<'_>) -> Result<(), RouteError> {
        let by = self.by.user.id;
        if self.viewer.moderates && deed.user != Some(by) {
            self.tx.makes_old([tags::LOG]);
            log::insert(self.tx, self.deed_id, Some(by), &deed, self.by.context.now).await?;
        }
        Ok(())
    }
}

/// Whether nothing keeps somebody from doing that in a category.
pub(super) async fn not_banned(
    conn: &mut Conn,
    (user, category): (Id, Id),
    act: Act,
    now: Timestamp,
) -> Result<(), RouteError> {
    let all = bans::in_force(conn, user, category, now).await?;
    match all.into_iter().find(|ban| ban.forbids(act)) {
        Some(ban) => Err(ban.refusal().into()),
        None => Ok(()),
    }
}

/// What is done to a post, to be remembered.
pub(super) fn deed<'a>(action: &'a str, post: &Post, category: Id, reason: &'a str) -> Deed<'a> {
    Deed {
        action,
        user: Some(post.author.id),
        post: Some(post.id),
        thread: Some(post.thread_id),
        category: Some(category),
        reason,
    }
}

/// What is done to a thread.
pub(super) fn deed_to_thread<'a>(action: &'a str, thread: &Thread, reason: &'a str) -> Deed<'a> {
    Deed {
        action,
        user: Some(thread.author.id),
        post: None,
        thread: Some(thread.id),
        category: Some(thread.category_id),
        reason,
    }
}
