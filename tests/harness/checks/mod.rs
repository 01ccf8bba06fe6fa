//! What has to be true of a [`History`], whatever happened meanwhile.
//!
//! ```ignore
//! checks::writes_are_exactly_once(&history, &thread.bodies(&client).await).unwrap();
//! checks::reads_never_go_back(&history).unwrap();
//! checks::failures_at_most(&history.after(killed), 0).unwrap();
//! ```
//!
//! Each gives a [`Violation`] that shows the requests in question. A check that has nothing to
//! look at fails: a load that did nothing proves nothing.

mod reads;
mod service;
mod writes;

use std::fmt;
use std::time::Duration;

use crate::load::{Entry, History};

pub use reads::{reads_never_go_back, reads_see_own_writes};
pub use service::{
    failure_rate_at_most, failures_at_most, longest_at_most, only_fails_with, percentile_at_most,
    recovers_within,
};
pub use writes::{
    no_write_is_doubled, no_write_is_lost, no_write_is_unrecorded, writes_are_exactly_once,
};

/// Requests that a message shows.
const SHOWN: usize = 20;

/// What is not as it has to be, and the requests that show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    what: String,
    requests: Vec<String>,
    count: usize,
}

impl Violation {
    fn plain(what: impl Into<String>) -> Self {
        Self { what: what.into(), requests: Vec::new(), count: 0 }
    }

    /// Shows the first of these, with times since the beginning of the history.
    fn of(history: &History, what: impl Into<String>, entries: &[&Entry]) -> Self {
        let began = history.entries().iter().map(|entry| entry.started).min();
        let since = |entry: &Entry| began.map_or(Duration::ZERO, |began| entry.started - began);
        let told = |entry: &&Entry| Told { entry, since: since(entry) }.to_string();
        Self {
            what: what.into(),
            requests: entries.iter().take(SHOWN).map(told).collect(),
            count: entries.len(),
        }
    }
}

impl std::error::Error for Violation {}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for request in &self.requests {
            write!(f, "\n    {request}")?;
        }
        match self.count - self.requests.len() {
            0 => Ok(()),
            more => write!(f, "\n    and {more} more"),
        }
    }
}

/// As people read it, because that is what `unwrap` prints.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A request as a message shows it.
struct Told<'a> {
    entry: &'a Entry,
    since: Duration,
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { client, kind, marker, outcome, seen, failovers, resent, .. } = self.entry;
        write!(f, "client {client} at {:.3} s: {kind}", self.since.as_secs_f64())?;
        if let Some(marker) = marker {
            write!(f, " {marker}")?;
        }
        write!(f, ": {outcome} after {:.1?}", self.entry.took())?;
        if let Some(seen) = seen {
            write!(f, ", saw post {seen}")?;
        }
        match self.entry.staleness {
            Duration::ZERO => {}
            Duration::MAX => write!(f, ", an older answer")?,
            staleness => write!(f, ", up to {staleness:?} old")?,
        }
        if *failovers > 0 {
            write!(f, ", {failovers} failovers")?;
        }
        if *resent > 0 {
            write!(f, ", sent again {resent} times")?;
        }
        Ok(())
    }
}
