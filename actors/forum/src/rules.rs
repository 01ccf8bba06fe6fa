//! Who may do what in the forum, and what a valid field is. Pure.

pub(crate) mod bans;
pub(crate) mod content;
pub(crate) mod digests;
pub(crate) mod notices;
pub(crate) mod trust;

use panel_kernel::http::RouteError;
use panel_kernel::http::validate::Check;
use panel_kernel::ids::Id;
use panel_kernel::message::{Principal, User};
use panel_kernel::role::Role;

/// The most categories there may be: the whole tree is one answer.
pub(crate) const MAX_CATEGORIES: i64 = 500;
/// The most tags on a thread.
pub(crate) const MAX_TAGS: usize = 5;
/// The longest title of a thread.
pub(crate) const MAX_TITLE_CHARS: usize = 200;
/// The most drafts somebody can have.
pub(crate) const MAX_DRAFTS: i64 = 100;
const MAX_NAME_CHARS: usize = 80;
const MAX_DESCRIPTION_CHARS: usize = 1_000;

/// A reader, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Viewer {
    /// The account, of those who are signed in.
    pub(crate) who: Option<Id>,
    /// The rank as a number, 0 for the anonymous.
    pub(crate) level: i64,
    /// Whether they moderate: see what is deleted, write where it is locked.
    pub(crate) moderates: bool,
}

impl Viewer {
    /// Who asks.
    pub(crate) fn of(principal: &Principal) -> Self {
        Self::new(principal.user().ok().map(|user| user.id), principal.level())
    }

    fn new(who: Option<Id>, level: i64) -> Self {
        Self { who, level, moderates: level >= Role::Moderator.level() }
    }

    /// The account for statements, in which nobody is 0.
    pub(crate) fn id(self) -> i64 {
        self.who.map_or(0, Id::raw)
    }
}

/// The forum itself, which reads everything.
pub(crate) const ITSELF: Viewer = Viewer { who: None, level: i64::MAX, moderates: true };

impl From<&User> for Viewer {
    fn from(user: &User) -> Self {
        Self::new(Some(user.id), user.role.level())
    }
}

/// Whether they may start threads in, and move threads to, a category of this level.
pub(crate) fn may_post(viewer: Viewer, post_level: i64) -> Result<(), RouteError> {
    if viewer.level >= post_level {
        Ok(())
    } else {
        Err(RouteError::Forbidden("your role may not post in this category"))
    }
}

/// Whether they may reply.
pub(crate) fn may_reply(
    viewer: Viewer,
    post_level: i64,
    locked: bool,
    deleted: bool,
) -> Result<(), RouteError> {
    if deleted {
        return Err(RouteError::Conflict("this thread is deleted"));
    }
    may_post(viewer, post_level)?;
    if locked && !viewer.moderates {
        return Err(RouteError::Forbidden("this thread is locked"));
    }
    Ok(())
}

/// Whether they may edit or delete what somebody of that level wrote.
pub(crate) fn may_change(
    user: &User,
    (author, level): (Id, i64),
    locked: bool,
) -> Result<(), RouteError> {
    let viewer = Viewer::from(user);
    if user.id == author {
        return if locked && !viewer.moderates {
            Err(RouteError::Forbidden("this thread is locked"))
        } else {
            Ok(())
        };
    }
    if viewer.moderates {
        bans::outranks(viewer, level)
    } else {
        Err(RouteError::Forbidden("only its author and moderators may change this"))
    }
}

/// Whether they may undo what somebody of that level did.
pub(crate) fn may_undo(viewer: Viewer, by_level: i64) -> Result<(), RouteError> {
    if viewer.level >= by_level {
        Ok(())
    } else {
        Err(RouteError::Forbidden("somebody of a higher rank did this"))
    }
}

/// Whether a post may be deleted on its own.
pub(crate) fn is_reply(number: i64) -> Result<(), RouteError> {
    if number > 1 {
        Ok(())
    } else {
        Err(RouteError::Conflict("this opens the thread; delete the thread instead"))
    }
}

/// Whether `id` may stand below `parent`, which itself stands below `grandparent`.
pub(crate) fn may_nest(
    id: Id,
    parent: Id,
    grandparent: Option<Id>,
    has_children: bool,
) -> Result<(), RouteError> {
    let mut check = Check::new();
    if id == parent {
        check.fail("parent_id", "cycle", "a category can't be its own parent");
    } else if grandparent.is_some() || has_children {
        check.fail("parent_id", "too_deep", "the tree has two levels");
    }
    Ok(check.done()?)
}

/// The level that holds for reading: never less than the parent's.
pub(crate) fn effective_level(own: i64, parent: Option<i64>) -> i64 {
    parent.map_or(own, |parent| own.max(parent))
}

/// A role as a level; nobody in particular is 0.
pub(crate) fn level(role: Option<Role>) -> i64 {
    role.map_or(0, Role::level)
}

/// Checks the title of a thread.
pub(crate) fn title(check: &mut Check, text: &str) -> String {
    check.line("title", text, 1, MAX_TITLE_CHARS)
}

/// Checks the name of a category.
pub(crate) fn name(check: &mut Check, text: &str) -> String {
    check.line("name", text, 1, MAX_NAME_CHARS)
}

/// Checks the description of a category; a blank one is none.
pub(crate) fn description(check: &mut Check, text: &str) -> Option<String> {
    let text = check.text("description", text.trim(), 0, MAX_DESCRIPTION_CHARS);
    (!text.is_empty()).then_some(text)
}

/// Checks the text of a post.
pub(crate) fn body(check: &mut Check, text: &str, most: usize) -> String {
    check.text("body", text, 1, most)
}

/// Whether this can be the key of a draft.
pub(crate) fn is_draft_key(key: &str) -> bool {
    (1..=100).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

#[cfg(test)]
mod tests;
