//! How much is asked, and what is said about it: little with all other tests, more for the
//! figures (`make faults`).

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use panel_harness::History;

/// Where a line for each measurement goes, if anywhere: then the load is a large one.
const REPORT: &str = "PANEL_FAULTS_REPORT";

/// By how much a goal may be missed on a machine that does much else.
const SLACK: Duration = Duration::from_secs(4);

/// The load.
pub(crate) struct Scale {
    /// Clients that are signed in.
    pub(crate) people: usize,
    /// Clients that are not.
    pub(crate) readers: usize,
    /// Writes in a hundred requests of the former.
    pub(crate) writes: u32,
    /// Between two requests of a client.
    pub(crate) pause: Duration,
}

/// Whether this run is for the figures.
pub(crate) fn is_measured() -> bool {
    std::env::var_os(REPORT).is_some()
}

/// How much is asked in this run.
pub(crate) fn scale() -> Scale {
    if is_measured() {
        Scale { people: 56, readers: 8, writes: 11, pause: Duration::from_millis(100) }
    } else {
        Scale { people: 8, readers: 2, writes: 50, pause: Duration::ZERO }
    }
}

/// Writes and requests that show that things go on.
pub(crate) fn enough() -> (usize, usize) {
    if is_measured() { (100, 1_000) } else { (30, 60) }
}

/// By how much the longest request may be longer than the usual one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most this long.
    Within(Duration),
    /// Nothing was promised; no request fails, and that is all.
    None,
}

impl Goal {
    /// Of a crash.
    pub(crate) const CRASH: Self = Self::Within(Duration::from_millis(250));
    /// Of a node that falls silent.
    pub(crate) const SILENCE: Self = Self::Within(Duration::from_millis(1_500));
}

/// Says what a fault has cost: how much longer than the median before it the longest request
/// since took.
pub(crate) fn report(what: &str, goal: Goal, history: &History, from: Instant) {
    let before = history.before(from).latency();
    let after = history.during(from, Instant::now()).latency();
    let added = after.longest().saturating_sub(before.percentile(50));
    let verdict = match goal {
        Goal::Within(limit) if added <= limit => format!("≤ {} reached", millis(limit)),
        Goal::Within(limit) => format!("≤ {} **short**", millis(limit)),
        Goal::None => "–".to_owned(),
    };
    if let Goal::Within(limit) = goal {
        // A figure may fall short where much else goes on; what failed to be noticed is a fault.
        assert!(added <= limit + SLACK, "{what}: {added:?} more than before");
    }
    row(&[
        what,
        &history.entries().len().to_string(),
        &history.failures().values().sum::<usize>().to_string(),
        &millis(before.percentile(50)),
        &millis(before.longest()),
        &millis(after.percentile(99)),
        &millis(added),
        &verdict,
    ]);
}

/// A figure of another kind.
pub(crate) fn figure(what: &str, measured: &str, goal: &str, is_reached: bool) {
    let verdict = match goal {
        "–" => "",
        _ if is_reached => "reached",
        _ => "**short**",
    };
    row(&[what, measured, goal, verdict]);
}

pub(crate) fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1_000.0)
}

#[allow(clippy::print_stderr, reason = "figures go beside the test's outcome")]
fn row(cells: &[&str]) {
    let mut line = String::from("|");
    for cell in cells {
        // Writing to a text can't fail.
        let _ = write!(line, " {cell} |");
    }
    eprintln!("{line}");
    if let Some(path) = std::env::var_os(REPORT) {
        let mut report = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        // One write: several tests may have the file open.
        report.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}
