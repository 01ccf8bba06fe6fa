//! Who may do what to whose account.

use panel_kernel::http::validate::Check;
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;

const REASON: (usize, usize) = (1, 1_000);

/// Whether `actor` may do anything to an account of rank `target`: nobody does to their equals, nor to
/// themselves. So the last system administrator stays.
pub(crate) fn may_manage(actor: Role, target: Role) -> Result<(), Problem> {
    if actor < Role::Admin {
        return Err(Problem::new(Kind::Forbidden, "this takes the role admin or above"));
    }
    if target >= actor {
        let detail = format!("only who is above {target} may do this to {target}");
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    Ok(())
}

/// Whether `actor` may give somebody the rank `role`.
pub(crate) fn may_appoint(actor: Role, role: Role) -> Result<(), Problem> {
    if role < actor {
        return Ok(());
    }
    let detail = format!("only who is above {role} may make somebody {role}");
    Err(Problem::new(Kind::Forbidden, detail))
}

/// Checks a suspension, and gives the reason as it is kept.
pub(crate) fn suspension(
    reason: &str,
    until: Option<Timestamp>,
    now: Timestamp,
) -> Result<String, Problem> {
    let mut check = Check::new();
    let reason = check.text("reason", reason, REASON.0, REASON.1);
    if until.is_some_and(|until| until <= now) {
        check.fail("until", "past", "must be in the future");
    }
    check.done()?;
    Ok(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reaches_their_own_rank() {
        for actor in Role::ALL {
            for other in Role::ALL {
                let expected = actor >= Role::Admin && other < actor;
                assert_eq!(may_manage(actor, other).is_ok(), expected, "{actor} {other}");
                assert_eq!(may_appoint(actor, other).is_ok(), other < actor, "{actor} {other}");
            }
        }
    }

    #[test]
    fn suspensions_have_a_reason_and_end_later() {
        let now = Timestamp::from_seconds(100);
        assert_eq!(suspension("spam\r\n", None, now).unwrap(), "spam\n");
        assert!(suspension(" ", None, now).is_err());
        assert!(suspension("x", Some(now), now).is_err());
        assert!(suspension("x", Some(Timestamp::from_seconds(101)), now).is_ok());
    }
}
