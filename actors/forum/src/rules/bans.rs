//! Who may be kept from writing, by whom, and from what. Pure.

use panel_kernel::http::RouteError;
use panel_kernel::http::validate::Check;
use panel_kernel::ids::Id;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Viewer;

/// The longest reason, note, message or appeal, in characters.
pub(crate) const MAX_REASON_CHARS: usize = 1_000;

/// What somebody is kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BanKind {
    /// Whatever others see: texts, reactions, flags.
    Ban,
    /// Texts.
    Silence,
}

impl BanKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ban => "ban",
            Self::Silence => "silence",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        if name == "silence" { Self::Silence } else { Self::Ban }
    }
}

/// What somebody is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Write or change a text.
    Text,
    /// React, flag, or delete.
    Other,
}

/// A ban, as far as it decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) kind: BanKind,
    pub(crate) reason: String,
    pub(crate) until: Option<Timestamp>,
    /// Not everywhere.
    pub(crate) is_local: bool,
}

impl InForce {
    /// Whether it keeps them from that.
    pub(crate) fn forbids(&self, act: Act) -> bool {
        self.kind == BanKind::Ban || act == Act::Text
    }

    /// How somebody hears of it.
    pub(crate) fn refusal(&self) -> Problem {
        let place = if self.is_local { "in this category" } else { "here" };
        let until = self.until.map_or_else(String::new, |until| format!(" until {until}"));
        let what = match self.kind {
            BanKind::Ban => "take part",
            BanKind::Silence => "write",
        };
        let detail = format!("you may not {what} {place}{until}: {}", self.reason);
        Problem::new(Kind::Forbidden, detail).code("banned")
    }
}

/// Whether somebody may act against somebody of that level (0: not known, so an account like any other).
/// Nobody does against their own rank, or a higher one.
pub(crate) fn outranks(viewer: Viewer, level: i64) -> Result<(), RouteError> {
    if viewer.moderates && viewer.level > level.max(Role::User.level()) {
        Ok(())
    } else {
        Err(RouteError::Forbidden("only somebody of a higher rank may do this"))
    }
}

/// Checks what is said about a ban, and when it ends.
pub(crate) fn ban(
    check: &mut Check,
    reason: &str,
    until: Option<Timestamp>,
    now: Timestamp,
) -> String {
    if until.is_some_and(|until| until <= now) {
        check.fail("until", "past", "must be in the future");
    }
    check.text("reason", reason.trim(), 1, MAX_REASON_CHARS)
}

/// Whether somebody may do this to themselves: nobody would be left to undo it.
pub(crate) fn is_other(viewer: Viewer, user: Id) -> Result<(), RouteError> {
    if viewer.who == Some(user) { Err(RouteError::Conflict("that is you")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(role: Role) -> Viewer {
        Viewer { who: None, level: role.level(), moderates: role >= Role::Moderator }
    }

    #[test]
    fn nobody_acts_against_their_own_rank() {
        for by in Role::ALL {
            for against in Role::ALL {
                let may = outranks(viewer(by), against.level()).is_ok();
                assert_eq!(may, by >= Role::Moderator && by > against, "{by} {against}");
            }
        }
        assert!(outranks(viewer(Role::Moderator), 0).is_ok());
        assert!(outranks(viewer(Role::User), 0).is_err());
    }

    #[test]
    fn bans_say_what_and_why() {
        let ban = |kind| InForce { kind, reason: "spam".into(), until: None, is_local: false };
        assert!(ban(BanKind::Ban).forbids(Act::Other) && ban(BanKind::Silence).forbids(Act::Text));
        assert!(!ban(BanKind::Silence).forbids(Act::Other));
        let problem = ban(BanKind::Silence).refusal();
        assert_eq!(problem.detail, "you may not write here: spam");
        let until = Some(Timestamp::from_seconds(0));
        let local = InForce { until, is_local: true, ..ban(BanKind::Ban) };
        let said = "you may not take part in this category until 1970-01-01T00:00:00Z: spam";
        assert!(local.refusal().detail.starts_with(&said[..50]), "{}", local.refusal().detail);
        for kind in [BanKind::Ban, BanKind::Silence] {
            assert_eq!(BanKind::named(kind.name()), kind);
        }
    }
}
