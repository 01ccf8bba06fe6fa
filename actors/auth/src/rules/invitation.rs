//! What an invitation may be.

use std::time::Duration;

use panel_kernel::http::validate::Check;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;

const NOTE_MAX: usize = 200;
const USES: (i64, i64) = (1, 1_000);
const LIFE: Duration = Duration::from_secs(7 * 24 * 3_600);
const LONGEST: Duration = Duration::from_secs(90 * 24 * 3_600);

/// An invitation as it will be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invitation {
    pub(crate) note: String,
    pub(crate) uses: i64,
    pub(crate) expires_at: Timestamp,
}

/// Checks an invitation: for one account and for a week, if nothing else is said.
pub(crate) fn invitation(
    note: Option<&str>,
    uses: Option<i64>,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Invitation, Problem> {
    let mut check = Check::new();
    let note = check.line("note", note.unwrap_or_default(), 0, NOTE_MAX);
    let uses = uses.unwrap_or(USES.0);
    if !(USES.0..=USES.1).contains(&uses) {
        let message = format!("must be between {} and {}", USES.0, USES.1);
        check.fail("uses", "out_of_range", message);
    }
    let expires_at = expires_at.unwrap_or(now.plus(LIFE));
    if expires_at <= now {
        check.fail("expires_at", "past", "must be in the future");
    } else if expires_at > now.plus(LONGEST) {
        check.fail("expires_at", "out_of_range", "must be within 90 days");
    }
    check.done()?;
    Ok(Invitation { note, uses, expires_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invitations_have_bounds() {
        let now = Timestamp::from_seconds(100);
        let usual = invitation(None, None, None, now).unwrap();
        assert_eq!((usual.uses, usual.expires_at), (1, now.plus(LIFE)));
        let at = |days: u64| Some(now.plus(Duration::from_secs(days * 24 * 3_600)));
        assert!(invitation(Some("the club"), Some(1_000), at(90), now).is_ok());
        for (uses, until) in [(0, at(1)), (-1, at(1)), (1_001, at(1)), (1, at(91)), (1, Some(now))]
        {
            assert!(invitation(None, Some(uses), until, now).is_err(), "{uses} {until:?}");
        }
        assert!(invitation(Some(&"x".repeat(201)), None, None, now).is_err());
    }
}
