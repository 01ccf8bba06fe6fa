//! Members that fail more than others are left alone for a while.
//!
//! Breakers are moved by probes alone, because what a request costs is chosen by who sends it: if failures opened them,
//! somebody could switch a service off, member by member. So here a member is held against the others in the same
//! moments. What fails everywhere makes nobody an outlier; what a client, or its affinity, has sent to one member does
//! not count; and half of the members stay, whatever they do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use panel_kernel::directory::{Member, Tally};
use panel_kernel::message::Reply;

use super::{Cause, Miss};
use crate::traffic::Outliers;

/// What is to be done about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is as the others are, or too little is known.
    Fine,
    /// It fails often, and too little is known of the others.
    Suspected,
    /// It fails more than the others.
    Outlier,
}

/// Notes how a request has ended at one of the members of a service. Returns for how long that one is left alone from
/// now on, if it is.
pub(super) fn note(
    outliers: Outliers,
    members: &[Arc<Member>],
    member: &Arc<Member>,
    outcome: &Result<Reply, Miss>,
) -> Option<Duration> {
    let has_failed = has_failed(outcome)?;
    let (now, window) = (Instant::now(), outliers.window.0);
    member.record().note(has_failed, now, window);
    let others = || members.iter().filter(|other| !Arc::ptr_eq(other, member));
    let ejected = others().filter(|other| other.record().is_ejected(now)).count();
    let compared = others().filter(|other| !other.record().is_ejected(now));
    let others = compared.map(|other| other.record().tally(now, window));
    let others = others.fold(Tally::default(), std::ops::Add::add);
    match verdict(outliers, member.record().tally(now, window), others) {
        verdict @ (Verdict::Fine | Verdict::Suspected) => {
            member.record().suspect(verdict == Verdict::Suspected);
            None
        }
        // One that is ejected already has answered what it was asked before.
        Verdict::Outlier if member.record().is_ejected(now) => None,
        Verdict::Outlier if (ejected + 1) * 2 > members.len() => None,
        Verdict::Outlier => Some(member.record().eject(now, outliers.eject.0)),
    }
}

/// Whether that is a failure of the member; `None` where it says nothing of it, either way.
fn has_failed(outcome: &Result<Reply, Miss>) -> Option<bool> {
    match outcome {
        Ok(reply) => {
            Some(reply.status.is_server_error() && reply.status != StatusCode::NOT_IMPLEMENTED)
        }
        Err(miss) => match miss.cause {
            Cause::Aborted | Cause::Lost | Cause::Late | Cause::Unwell => Some(true),
            Cause::Busy
            | Cause::Full
            | Cause::Leaving
            | Cause::NotSent
            | Cause::Silent
            | Cause::Ahead => None,
        },
    }
}

fn verdict(outliers: Outliers, own: Tally, others: Tally) -> Verdict {
    let percent = |tally: Tally| u64::from(tally.failed) * 100 / u64::from(tally.asked.max(1));
    let least = u64::from(outliers.percent);
    if own.asked < outliers.least || percent(own) < least {
        return Verdict::Fine;
    }
    if others.asked < outliers.least {
        return Verdict::Suspected;
    }
    if percent(own) < percent(others) + least { Verdict::Fine } else { Verdict::Outlier }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_is_who_fails_more_than_the_others() {
        let outliers = Outliers::default();
        let of = |asked, failed| Tally { asked, failed };
        for (own, others, expected) in [
            (of(19, 19), of(100, 0), Verdict::Fine),
            (of(20, 3), of(100, 0), Verdict::Fine),
            (of(20, 4), of(19, 0), Verdict::Suspected),
            (of(20, 4), of(20, 0), Verdict::Outlier),
            // What fails everywhere says nothing of one.
            (of(100, 100), of(100, 81), Verdict::Fine),
            (of(100, 100), of(100, 80), Verdict::Outlier),
            (of(100, 30), of(1_000, 110), Verdict::Fine),
        ] {
            assert_eq!(verdict(outliers, own, others), expected, "{own:?} {others:?}");
        }
    }
}
