//! Who may do what with articles, what becomes of them, and what a valid field is. Pure.

pub(crate) mod fields;
pub(crate) mod local_time;
pub(crate) mod pictures;
pub(crate) mod webhooks;

use std::fmt;
use std::str::FromStr;

use panel_kernel::http::RouteError;
use panel_kernel::ids::Id;
use panel_kernel::message::{Principal, User};
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who writes articles at all.
pub(crate) const WRITER: Role = Role::Premium;
/// Who decides about them.
pub(crate) const EDITOR: Role = Role::Moderator;

/// Where an article is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its author writes.
    #[default]
    Draft,
    /// Its author is done; an editor is to look at it.
    InReview,
    /// It appears by itself at its time.
    Scheduled,
    /// Everybody reads it.
    Published,
    /// It was published, or not, and is kept.
    Archived,
}

impl Status {
    /// As it is stored and shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::InReview => "in_review",
            Self::Scheduled => "scheduled",
            Self::Published => "published",
            Self::Archived => "archived",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = [Self::Draft, Self::InReview, Self::Scheduled, Self::Published, Self::Archived];
        all.into_iter().find(|status| status.name() == text).ok_or(())
    }
}

/// A post of the blog, or a page that stands by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One of the blog.
    #[default]
    Post,
    /// One that stands by itself.
    Page,
}

impl Kind {
    /// As it is stored, and called in the audit log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Page => "page",
        }
    }

    /// Below which address of the API they are.
    pub(crate) const fn route(self) -> &'static str {
        match self {
            Self::Post => "/api/v2/cms/posts",
            Self::Page => "/api/v2/cms/pages",
        }
    }
}

/// The page at which people read an article.
pub(crate) fn path(kind: Kind, slug: &str) -> String {
    match kind {
        Kind::Post => format!("/blog/{slug}"),
        Kind::Page => format!("/pages/{slug}"),
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Post, Self::Page].into_iter().find(|kind| kind.name() == text).ok_or(())
    }
}

/// Somebody who asks, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Viewer {
    /// The account, of those who are signed in.
    pub(crate) who: Option<Id>,
    level: i64,
}

impl Viewer {
    /// Who asks.
    pub(crate) fn of(principal: &Principal) -> Self {
        Self { who: principal.user().ok().map(|user| user.id), level: principal.level() }
    }

    /// Whether they decide about articles, and so see all of them.
    pub(crate) const fn edits(self) -> bool {
        self.level >= EDITOR.level()
    }

    /// Whether this is theirs.
    pub(crate) fn is(self, author: Id) -> bool {
        self.who == Some(author)
    }

    /// Whether they see an article that is not published.
    pub(crate) fn sees(self, author: Id) -> bool {
        self.edits() || self.is(author)
    }
}

impl From<&User> for Viewer {
    fn from(user: &User) -> Self {
        Self { who: Some(user.id), level: user.role.level() }
    }
}

/// Whether they may begin one.
pub(crate) fn may_begin(viewer: Viewer, kind: Kind) -> Result<(), RouteError> {
    match kind {
        Kind::Page if !viewer.edits() => Err(RouteError::Forbidden("pages are made by moderators")),
        Kind::Post if viewer.level < WRITER.level() => {
            Err(RouteError::Forbidden("your role may not write articles"))
        }
        _ => Ok(()),
    }
}

/// Whether they may change its text, or delete it: editors may, and its authors until it was approved.
pub(crate) fn may_change(
    viewer: Viewer,
    (is_author, kind): (bool, Kind),
    status: Status,
) -> Result<(), RouteError> {
    if viewer.edits() {
        return Ok(());
    }
    if !is_author {
        return Err(RouteError::Forbidden("only its authors and moderators may change this"));
    }
    may_begin(viewer, kind)?;
    match status {
        Status::Draft | Status::InReview => Ok(()),
        Status::Scheduled | Status::Published | Status::Archived => Err(RouteError::Forbidden(
            "it was approved; a moderator may change it, or unpublish it",
        )),
    }
}

/// Whether they may show it to others before it is published.
pub(crate) fn may_show(viewer: Viewer, is_author: bool) -> Result<(), RouteError> {
    if viewer.edits() || is_author && viewer.level >= WRITER.level() {
        return Ok(());
    }
    Err(RouteError::Forbidden("only its authors, while they write, and moderators may do that"))
}

/// Whether they may say that an article is by these: whose it is, editors say alone.
pub(crate) fn may_sign(viewer: Viewer, before: Id, after: Id) -> Result<(), RouteError> {
    if viewer.edits() || before == after {
        return Ok(());
    }
    Err(RouteError::Forbidden("the first author of an article stays; a moderator may change that"))
}

/// A step on an article's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Its author is done.
    Submit,
    /// An editor agrees: it appears, now or at the time that its author wished.
    Approve,
    /// An editor does not: its author goes on.
    Reject,
    /// It appears now.
    Publish,
    /// It is to appear then.
    Schedule,
    /// It goes back to its author.
    Unpublish,
    /// It goes, and is kept.
    Archive,
}

impl Step {
    /// As the audit log calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Publish => "publish",
            Self::Schedule => "schedule",
            Self::Unpublish => "unpublish",
            Self::Archive => "archive",
        }
    }

    /// From where it can be taken.
    const fn from(self) -> &'static [Status] {
        use Status::{Archived, Draft, InReview, Published, Scheduled};
        match self {
            Self::Submit => &[Draft],
            Self::Approve | Self::Reject => &[InReview],
            Self::Publish | Self::Schedule => &[Draft, InReview, Scheduled, Archived],
            Self::Unpublish => &[InReview, Scheduled, Published, Archived],
            Self::Archive => &[Draft, InReview, Scheduled, Published],
        }
    }
}

/// Where a step leads, if they may take it.
pub(crate) fn takes(
    step: Step,
    viewer: Viewer,
    (is_author, status): (bool, Status),
    (publish_at, now): (Option<Timestamp>, Timestamp),
) -> Result<Status, RouteError> {
    // What was not approved is its author's.
    let is_authors = is_author
        && match (step, status) {
            (Step::Submit, _) => viewer.level >= WRITER.level(),
            (Step::Unpublish, status) => status == Status::InReview,
            _ => false,
        };
    if !viewer.edits() && !is_authors {
        return Err(RouteError::Forbidden("that is for moderators"));
    }
    if !step.from().contains(&status) {
        return Err(RouteError::Conflict(impossible(step)));
    }
    Ok(match step {
        Step::Submit => Status::InReview,
        Step::Approve if publish_at.is_some_and(|at| at > now) => Status::Scheduled,
        Step::Approve | Step::Publish => Status::Published,
        Step::Schedule => Status::Scheduled,
        Step::Reject | Step::Unpublish => Status::Draft,
        Step::Archive => Status::Archived,
    })
}

const fn impossible(step: Step) -> &'static str {
    match step {
        Step::Submit => "only a draft can be submitted",
        Step::Approve => "only what is in review can be approved",
        Step::Reject => "only what is in review can be rejected",
        Step::Publish => "it is published already",
        Step::Schedule => "it is published already; unpublish it first",
        Step::Unpublish => "it is a draft already",
        Step::Archive => "it is archived already",
    }
}

#[cfg(test)]
mod tests;
