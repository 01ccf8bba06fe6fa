//! What readers saw.

use std::collections::HashMap;
use std::time::Instant;

use super::Violation;
use crate::load::{Entry, History, Kind};

/// Nobody sees fewer posts than before: within one client, each way to read ([`Kind`]) tells of
/// ever higher numbers, or of the same again. Posts must not be deleted meanwhile.
///
/// An answer that says it may be older ([`Entry::staleness`]) is compared with what its client had
/// seen that long before.
///
/// # Errors
/// The reads that went back, each after the one it fell behind; or that nobody read twice.
pub fn reads_never_go_back(history: &History) -> Result<(), Violation> {
    let mut seen: HashMap<(u32, Kind), Vec<Highest<'_>>> = HashMap::new();
    let (mut compared, mut back) = (0_usize, Vec::new());
    for entry in done_reads(history) {
        let past = seen.entry((entry.client, entry.kind)).or_default();
        let since = entry.started.checked_sub(entry.staleness);
        let known = past.partition_point(|highest| Some(highest.at) <= since);
        if let Some(Highest { entry: before, .. }) = known.checked_sub(1).map(|last| past[last]) {
            compared += 1;
            if entry.seen < before.seen {
                back.extend([before, entry]);
            }
        }
        let highest = past.last().map_or(entry, |last| last.entry);
        let entry = if entry.seen < highest.seen { highest } else { entry };
        past.push(Highest { at: entry.ended, entry });
    }
    judge(history, compared, &back, "reads went back in time")
}

/// What a client had seen at most, from then on.
#[derive(Clone, Copy)]
struct Highest<'h> {
    at: Instant,
    entry: &'h Entry,
}

/// Who has written sees it: after a client's write was acknowledged, the thread that this client
/// reads counts it.
///
/// # Errors
/// The reads that did not, each after the write; or that nobody read after a write of their own.
pub fn reads_see_own_writes(history: &History) -> Result<(), Violation> {
    let mut written: HashMap<u32, &Entry> = HashMap::new();
    let (mut compared, mut blind) = (0_usize, Vec::new());
    for entry in history.entries().iter().filter(|entry| entry.outcome.is_done()) {
        match (entry.kind, written.get(&entry.client)) {
            (Kind::Reply, before) if before.is_none_or(|before| before.seen < entry.seen) => {
                written.insert(entry.client, entry);
            }
            (Kind::ReadThread, Some(own)) => {
                compared += 1;
                if entry.seen < own.seen {
                    blind.extend([*own, entry]);
                }
            }
            _ => {}
        }
    }
    judge(history, compared, &blind, "reads did not see what their client had written")
}

fn done_reads(history: &History) -> impl Iterator<Item = &Entry> {
    let is_read = |entry: &&Entry| entry.kind != Kind::Reply && entry.outcome.is_done();
    history.entries().iter().filter(is_read)
}

/// `pairs`: the reads in question, each after what it contradicts.
fn judge(
    history: &History,
    compared: usize,
    pairs: &[&Entry],
    what: &str,
) -> Result<(), Violation> {
    if compared == 0 {
        return Err(Violation::plain("there are no reads to compare"));
    }
    if pairs.is_empty() {
        return Ok(());
    }
    let what = format!("{} of {compared} {what}", pairs.len() / 2);
    Err(Violation::of(history, what, pairs))
}
