//! What clients asked, and what they were answered.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// What makes the body of each write another: `load-<load>-<client>-<write>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Marker {
    /// Which of the loads of this process.
    pub load: u32,
    /// Which of its clients.
    pub client: u32,
    /// Which of the client's writes.
    pub write: u32,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load-{}-{}-{}", self.load, self.client, self.write)
    }
}

impl FromStr for Marker {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix("load-").ok_or(())?.split('-');
        let mut next = || parts.next().and_then(|part| part.parse().ok()).ok_or(());
        let marker = Self { load: next()?, client: next()?, write: next()? };
        if parts.next().is_none() { Ok(marker) } else { Err(()) }
    }
}

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A reply to the thread: a write.
    Reply,
    /// The next page of the thread's posts, or the last one again.
    ListPosts,
    /// The thread itself, with the number of its replies.
    ReadThread,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reply => "reply",
            Self::ListPosts => "list posts",
            Self::ReadThread => "read thread",
        })
    }
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Silence {
    /// Nobody took the connection: nothing was sent.
    NotConnected,
    /// The connection ended first: what was done is unknown.
    Lost,
    /// It did not come in time: what was done is unknown.
    TimedOut,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// With what was asked for.
    Done(u16),
    /// With a refusal, or with an answer that nobody can use.
    Refused {
        /// The status.
        status: u16,
        /// The kind of problem, `unavailable`; `unreadable` if it was no problem document.
        problem: Box<str>,
    },
    /// Without an answer.
    Silent(Silence),
}

impl Outcome {
    /// Whether the client got what it asked for.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(status) => write!(f, "{status}"),
            Self::Refused { status, problem } => write!(f, "{status} {problem}"),
            Self::Silent(Silence::NotConnected) => f.write_str("not connected"),
            Self::Silent(Silence::Lost) => f.write_str("connection lost"),
            Self::Silent(Silence::TimedOut) => f.write_str("no answer in time"),
        }
    }
}

/// A request and its end.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose; each client has one request at a time.
    pub client: u32,
    /// What for.
    pub kind: Kind,
    /// The marker of a write.
    pub marker: Option<Marker>,
    /// When it was sent first.
    pub started: Instant,
    /// When its client knew its end, after it was sent for the last time.
    pub ended: Instant,
    /// Its end.
    pub outcome: Outcome,
    /// The highest number of a post that the answer speaks of: of the post made, of the last one
    /// listed, or of the last one that the thread counts.
    pub seen: Option<u64>,
    /// How much older than its question the answer may be, by its own word: nothing, or for
    /// readers who are not signed in what caches may show them; [`Duration::MAX`] if it says that
    /// it only stands in.
    pub staleness: Duration,
    /// How often it went on to another gateway, which a load balancer would have done unseen.
    pub failovers: u16,
    /// How often its client sent it again after that did not help.
    pub resent: u16,
}

impl Entry {
    /// From being sent first to its end.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.ended - self.started
    }

    /// Whether this is a write that the client was told to be done.
    #[must_use]
    pub fn is_acknowledged_write(&self) -> bool {
        self.kind == Kind::Reply && self.outcome.is_done()
    }
}

/// The requests of all clients, in the order of their ends.
#[derive(Clone, Debug, Default)]
pub struct History {
    entries: Vec<Entry>,
}

impl History {
    /// From requests in the order of their ends.
    #[must_use]
    pub const fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// Its requests.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Those that had ended by then.
    #[must_use]
    pub fn before(&self, moment: Instant) -> Self {
        self.only(|entry| entry.ended <= moment)
    }

    /// Those that were under way at any moment between the two.
    #[must_use]
    pub fn during(&self, from: Instant, to: Instant) -> Self {
        self.only(|entry| entry.started < to && entry.ended > from)
    }

    /// Those that began then or later.
    #[must_use]
    pub fn after(&self, moment: Instant) -> Self {
        self.only(|entry| entry.started >= moment)
    }

    /// Those that fulfil a condition.
    #[must_use]
    pub fn only(&self, is_meant: impl Fn(&Entry) -> bool) -> Self {
        Self::new(self.entries.iter().filter(|entry| is_meant(entry)).cloned().collect())
    }

    /// How many failed in each way.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| !entry.outcome.is_done()) {
            *found.entry(entry.outcome.to_string()).or_default() += 1;
        }
        found
    }

    /// How long the requests took, also those that failed.
    #[must_use]
    pub fn latency(&self) -> Latency {
        Latency::of(self.entries.iter().map(Entry::took).collect())
    }

    /// How often requests went on to another gateway.
    #[must_use]
    pub fn failovers(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.failovers)).sum()
    }

    /// How often clients sent a request again.
    #[must_use]
    pub fn resent(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.resent)).sum()
    }

    /// How long after a moment the last failure ended; zero if none did. `None` if nothing
    /// succeeded after that: then it is not over.
    #[must_use]
    pub fn recovery(&self, from: Instant) -> Option<Duration> {
        let ended = |done: bool| {
            let ends = self.entries.iter().filter(move |entry| entry.outcome.is_done() == done);
            ends.map(|entry| entry.ended).max().filter(|ended| *ended > from)
        };
        let last_failure = ended(false).unwrap_or(from);
        (ended(true)? > last_failure).then(|| last_failure - from)
    }
}

/// In one line, as a report has it.
impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let failures = self.failures();
        let failed: usize = failures.values().sum();
        write!(f, "{} requests, {failed} failed", self.entries.len())?;
        let mut ways = failures.iter().map(|(way, count)| format!("{count} × {way}"));
        if let Some(first) = ways.next() {
            let ways = ways.fold(first, |ways, next| format!("{ways}, {next}"));
            write!(f, " ({ways})")?;
        }
        let (failovers, resent) = (self.failovers(), self.resent());
        write!(f, ", {failovers} failovers, {resent} sent again; {}", self.latency())
    }
}

/// How long requests took, by the nearest-rank method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    sorted: Vec<Duration>,
}

impl Latency {
    /// Of these times, in any order.
    #[must_use]
    pub fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self { sorted: took }
    }

    /// The time within which so many per cent were over; zero if there was nothing.
    ///
    /// # Panics
    /// If `percent` is not from 1 to 100.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        assert!((1..=100).contains(&percent), "{percent} is no percentile");
        let rank = (self.sorted.len() * percent).div_ceil(100);
        rank.checked_sub(1).map_or(Duration::ZERO, |place| self.sorted[place])
    }

    /// The longest; zero if there was nothing.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.sorted.last().copied().unwrap_or_default()
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [50, 99].map(|percent| self.percentile(percent));
        write!(f, "p50 {p50:.1?}, p99 {p99:.1?}, longest {:.1?}", self.longest())
    }
}
