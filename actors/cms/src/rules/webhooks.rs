//! What a webhook can be told, and what follows from how it answers.

use std::time::Duration;

use http::StatusCode;
use panel_kernel::http::validate::Check;
use panel_kernel::supervision::Backoff;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What there is to be told.
pub(crate) const TOPICS: [&str; 3] = ["article.published", "article.edited", "article.unpublished"];
/// All of it, also what later releases tell.
const EVERYTHING: &str = "*";
/// What is sent to see whether it comes.
pub(crate) const PING: &str = "ping";
/// The most webhooks there are.
pub(crate) const MOST: i64 = 50;
/// What one of them may have waiting.
pub(crate) const MOST_PENDING: i64 = 10_000;
/// For how long a delivery is tried.
pub(crate) const KEEP_TRYING: Duration = Duration::from_secs(3 * 24 * 3_600);
/// So often in a row, for at least that long, a webhook takes nothing before it is thought to be dead.
pub(crate) const MOST_MISSES: i64 = 10;
/// For how long deliveries are signed with an earlier secret, too.
pub(crate) const BOTH_SECRETS: Duration = Duration::from_secs(24 * 3_600);
const MAX_URL_CHARS: usize = 2_000;
const MAX_DESCRIPTION_CHARS: usize = 200;
/// Between attempts: twice as long each time.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_secs(5), most: Duration::from_secs(3_600) };

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryState {
    /// It is to be sent, for the first time or again.
    Pending,
    /// It was answered with 2xx.
    Delivered,
    /// It is not tried any more.
    Failed,
}

impl DeliveryState {
    /// As it is stored and shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed].into_iter().find(|it| it.name() == name)
    }
}

/// Why nothing is sent to a webhook any more, where nobody has said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DisabledBecause {
    /// It answered that there is nobody (410).
    Gone,
    /// Nothing has come through for days.
    Failing,
}

impl DisabledBecause {
    /// As it is stored and shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Gone, Self::Failing].into_iter().find(|it| it.name() == name)
    }
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has it.
    Delivered,
    /// It does not take this one, or not now: others are tried meanwhile.
    Refused(String),
    /// It can't be reached, or takes nothing at the moment; and when it says it will.
    Unreachable(String, Option<Duration>),
    /// There is nobody any more.
    Gone,
}

/// What an answer means (<https://www.standardwebhooks.com>).
pub(crate) fn verdict(
    status: StatusCode,
    location: Option<&str>,
    retry_after: Option<Duration>,
) -> Verdict {
    match status.as_u16() {
        200..300 => Verdict::Delivered,
        300..400 => {
            let to = location.map(|to| format!(" to {to}")).unwrap_or_default();
            Verdict::Refused(format!("redirects{to} are not followed; change the URL"))
        }
        410 => Verdict::Gone,
        408 | 425 | 429 | 502..=504 => {
            Verdict::Unreachable("it takes nothing at the moment".to_owned(), retry_after)
        }
        _ => Verdict::Refused("only 2xx counts as taken".to_owned()),
    }
}

/// How long to wait after so many failures: at least as long as it was asked for, within bounds.
pub(crate) fn wait(failures: i64, asked: Option<Duration>) -> Duration {
    let usual = BACKOFF.wait(u32::try_from(failures).unwrap_or(u32::MAX));
    asked.map_or(usual, |asked| asked.clamp(usual, BACKOFF.most))
}

/// Where it is. What is at that address is looked at when it is asked.
pub(crate) fn url(check: &mut Check, text: &str) -> String {
    check.line("url", text, 1, MAX_URL_CHARS)
}

/// What it is for.
pub(crate) fn description(check: &mut Check, text: &str) -> String {
    check.line("description", text, 0, MAX_DESCRIPTION_CHARS)
}

/// What it is to be told: each once, in one order.
pub(crate) fn topics(check: &mut Check, given: &[String]) -> Vec<String> {
    if given.iter().any(|topic| topic == EVERYTHING) {
        return vec![EVERYTHING.to_owned()];
    }
    if given.is_empty() {
        check.fail("topics", "required", "must name at least one topic, or be [\"*\"]");
    }
    if given.iter().any(|topic| !TOPICS.contains(&topic.as_str())) {
        check.fail("topics", "unknown", format!("can be: *, {}", TOPICS.join(", ")));
    }
    let known = TOPICS.iter().filter(|known| given.iter().any(|topic| topic == *known));
    known.map(|topic| (*topic).to_owned()).collect()
}

/// Whether one that is to be told these is told that.
pub(crate) fn wants(topics: &[String], topic: &str) -> bool {
    topics.iter().any(|wanted| wanted == EVERYTHING || wanted == topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(status: u16) -> Verdict {
        verdict(StatusCode::from_u16(status).unwrap(), Some("/b"), Some(Duration::from_secs(9)))
    }

    #[test]
    fn answers_mean_what_they_say() {
        for status in [200, 201, 204] {
            assert_eq!(verdict_of(status), Verdict::Delivered);
        }
        for status in [301, 302, 307, 308] {
            assert!(matches!(verdict_of(status), Verdict::Refused(why) if why.contains("to /b")));
        }
        assert_eq!(verdict_of(410), Verdict::Gone);
        let nine = Some(Duration::from_secs(9));
        for status in [408, 429, 502, 503, 504] {
            assert!(matches!(verdict_of(status), Verdict::Unreachable(_, it) if it == nine));
        }
        for status in [400, 401, 404, 405, 500, 501] {
            assert!(matches!(verdict_of(status), Verdict::Refused(_)), "{status}");
        }
    }

    #[test]
    fn pauses_become_longer_and_are_as_long_as_asked_for_up_to_an_hour() {
        let seconds =
            |failures, asked: Option<u64>| wait(failures, asked.map(Duration::from_secs)).as_secs();
        assert_eq!([1, 2, 3, 4].map(|failures| seconds(failures, None)), [5, 10, 20, 40]);
        assert_eq!([30, i64::MAX].map(|failures| seconds(failures, None)), [3_600; 2]);
        assert_eq!(seconds(1, Some(60)), 60);
        assert_eq!(seconds(3, Some(1)), 20);
        assert_eq!(seconds(1, Some(1_000_000)), 3_600);
    }

    #[test]
    fn topics_are_named_once_in_one_order() {
        let of = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|&topic| topic.to_owned()).collect();
            let mut check = Check::new();
            let topics = topics(&mut check, &given);
            check
                .done()
                .map(|()| topics.join(" "))
                .map_err(|problem| problem.errors[0].code.clone())
        };
        let twice = ["article.edited", "article.published", "article.edited"];
        assert_eq!(of(&twice).unwrap(), "article.published article.edited");
        assert_eq!(of(&["article.edited", "*"]).unwrap(), "*");
        assert_eq!(of(&[]).unwrap_err(), "required");
        assert_eq!(of(&["article.edited", "user.registered"]).unwrap_err(), "unknown");
        assert_eq!(of(&["ping"]).unwrap_err(), "unknown");
        assert!(wants(&["*".to_owned()], "article.published"));
        assert!(!wants(&["article.edited".to_owned()], "article.published"));
    }
}
