//! Mails of what somebody was told and has not read: when, and what they say.

use std::time::Duration;

use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::notices::NoticeKind;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// The first of January 1970 was a Thursday.
const DAYS_FROM_MONDAY: i64 = 3;
/// Lines in one mail.
pub(crate) const MOST_LINES: usize = 20;

/// How often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Digest {
    /// Not at all.
    #[default]
    Never,
    /// Every day.
    Daily,
    /// On Mondays.
    Weekly,
}

impl Digest {
    /// As it is stored.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
        }
    }

    /// By that name.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "daily" => Self::Daily,
            "weekly" => Self::Weekly,
            _ => Self::Never,
        }
    }

    /// When the next one is due after `now`: at that hour, in UTC.
    pub(crate) fn next(self, now: Timestamp, hour: u8) -> Option<Timestamp> {
        let step = match self {
            Self::Never => return None,
            Self::Daily => DAY,
            Self::Weekly => 7 * DAY,
        };
        // Steps begin on a Monday.
        let begin = i64::from(hour) * HOUR - DAYS_FROM_MONDAY * DAY;
        let steps = (now.as_micros() - begin).div_euclid(step) + 1;
        Some(Timestamp::from_micros(begin + steps * step))
    }
}

/// Something that somebody was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) kind: NoticeKind,
    /// The name of who did it.
    pub(crate) actor: Option<String>,
    /// Of the thread, where it may be read.
    pub(crate) title: Option<String>,
    /// Where it is to be read: below the site's address.
    pub(crate) path: Option<String>,
    /// Which thread, for what belongs together.
    pub(crate) thread: Option<i64>,
    /// Which reaction.
    pub(crate) detail: String,
}

/// A line of a mail, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) link: Option<String>,
}

/// What a mail says of these, the latest first; what is new in one thread is one line. And of how many of them it
/// says nothing.
pub(crate) fn lines(told: &[Told], site: &str) -> (Vec<Line>, usize) {
    let (mut lines, mut said): (Vec<Line>, usize) = (Vec::new(), 0);
    let mut threads = Vec::new();
    for it in told {
        let is_watched = it.kind == NoticeKind::Watched;
        if is_watched && threads.contains(&it.thread) {
            said += 1;
            continue;
        }
        if lines.len() >= MOST_LINES {
            continue;
        }
        said += 1;
        let same = |other: &&Told| other.kind == it.kind && other.thread == it.thread;
        let together = if is_watched { told.iter().filter(same).count() } else { 1 };
        if is_watched {
            threads.push(it.thread);
        }
        let link = it.path.as_ref().map(|path| format!("{site}{path}"));
        lines.push(Line { text: text(it, together), link });
    }
    (lines, told.len() - said)
}

fn text(it: &Told, together: usize) -> String {
    let who = it.actor.as_deref().unwrap_or("Somebody");
    let place = match &it.title {
        Some(title) => format!("in \u{201c}{title}\u{201d}"),
        None => "in a thread that you can't read any more".to_owned(),
    };
    match it.kind {
        NoticeKind::Reply => format!("{who} answered you {place}"),
        NoticeKind::Quote => format!("{who} quoted you {place}"),
        NoticeKind::Mention => format!("{who} mentioned you {place}"),
        NoticeKind::Reaction => format!("{who} reacted to a post of yours {place} ({})", it.detail),
        NoticeKind::Watched if together > 1 => format!("{together} new posts {place}"),
        NoticeKind::Watched => format!("A new post by {who} {place}"),
        NoticeKind::Moderation => "Moderators have decided about something of yours".to_owned(),
    }
}

/// What the mail is called.
pub(crate) fn subject(count: usize, site: &str) -> String {
    let host = site.split_once("://").map_or(site, |(_, host)| host);
    match count {
        1 => format!("Something new for you at {host}"),
        _ => format!("{count} things are new for you at {host}"),
    }
}

/// A mail that comes later than that is of no use: another one is near.
pub(crate) const GOOD_FOR: Duration = Duration::from_secs(20 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn next(digest: Digest, now: &str, hour: u8) -> String {
        let now = serde_json::from_value(now.into()).unwrap();
        digest.next(now, hour).unwrap().to_string()
    }

    #[test]
    fn they_are_due_at_their_hour() {
        // A Sunday.
        let now = "2026-11-29T09:30:00Z";
        assert_eq!(next(Digest::Daily, now, 7), "2026-11-30T07:00:00.000000Z");
        assert_eq!(next(Digest::Daily, now, 10), "2026-11-29T10:00:00.000000Z");
        assert_eq!(next(Digest::Weekly, now, 7), "2026-11-30T07:00:00.000000Z");
        // At that very moment it is the next one's turn.
        assert_eq!(next(Digest::Weekly, "2026-11-30T07:00:00Z", 7), "2026-12-07T07:00:00.000000Z");
        assert_eq!(next(Digest::Daily, "1969-12-31T23:00:00Z", 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Digest::Never.next(Timestamp::from_micros(0), 7), None);
    }

    fn told(kind: NoticeKind, thread: i64) -> Told {
        Told {
            kind,
            actor: Some("bob".to_owned()),
            title: Some(format!("T{thread}")),
            path: Some(format!("/t/{thread}")),
            thread: Some(thread),
            detail: "like".to_owned(),
        }
    }

    #[test]
    fn what_is_new_in_one_thread_is_one_line() {
        let all = [
            told(NoticeKind::Watched, 1),
            told(NoticeKind::Reply, 1),
            told(NoticeKind::Watched, 1),
            told(NoticeKind::Watched, 2),
        ];
        let (lines, more) = lines(&all, "https://panel.example");
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        let expected = [
            "2 new posts in \u{201c}T1\u{201d}",
            "bob answered you in \u{201c}T1\u{201d}",
            "A new post by bob in \u{201c}T2\u{201d}",
        ];
        assert_eq!((texts.as_slice(), more), (expected.as_slice(), 0));
        assert_eq!(lines[0].link.as_deref(), Some("https://panel.example/t/1"));
        assert_eq!(
            subject(4, "https://panel.example"),
            "4 things are new for you at panel.example"
        );
    }

    #[test]
    fn what_can_not_be_read_is_not_named_and_much_is_counted() {
        let hidden = Told { title: None, path: None, ..told(NoticeKind::Quote, 3) };
        let all: Vec<Told> = std::iter::repeat_n(hidden, MOST_LINES + 5).collect();
        let (lines, more) = lines(&all, "https://panel.example");
        assert_eq!((lines.len(), more), (MOST_LINES, 5));
        assert_eq!(lines[0].text, "bob quoted you in a thread that you can't read any more");
        assert_eq!(lines[0].link, None);
    }
}
