//! What became of the writes.

use std::collections::{HashMap, HashSet};

use super::Violation;
use crate::load::{Entry, History, Marker};

/// Every write that was acknowledged is there once, every other at most once, and nothing else is
/// there of this load. `found`: the texts of all posts, as read after the load.
///
/// # Errors
/// The first of [`no_write_is_lost`], [`no_write_is_doubled`] and [`no_write_is_unrecorded`] that
/// is not true.
pub fn writes_are_exactly_once(history: &History, found: &[String]) -> Result<(), Violation> {
    no_write_is_lost(history, found)?;
    no_write_is_doubled(history, found)?;
    no_write_is_unrecorded(history, found)
}

/// Every write that was acknowledged is there.
///
/// # Errors
/// Those that are not; or that no write was acknowledged at all.
pub fn no_write_is_lost(history: &History, found: &[String]) -> Result<(), Violation> {
    let there = count(found);
    let acknowledged = || history.entries().iter().filter(|entry| entry.is_acknowledged_write());
    if acknowledged().next().is_none() {
        return Err(Violation::plain("no write was acknowledged"));
    }
    let is_there = |entry: &Entry| entry.marker.is_some_and(|marker| there.contains_key(&marker));
    let lost: Vec<&Entry> = acknowledged().filter(|entry| !is_there(entry)).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let what = format!("{} of {} acknowledged writes are lost", lost.len(), acknowledged().count());
    Err(Violation::of(history, what, &lost))
}

/// No write is there twice, acknowledged or not.
///
/// # Errors
/// Those that are; or that there was no write at all.
pub fn no_write_is_doubled(history: &History, found: &[String]) -> Result<(), Violation> {
    let there = count(found);
    let writes = || history.entries().iter().filter(|entry| entry.marker.is_some());
    if writes().next().is_none() {
        return Err(Violation::plain("there was no write"));
    }
    let times = |entry: &Entry| entry.marker.and_then(|marker| there.get(&marker)).copied();
    let doubled: Vec<&Entry> = writes().filter(|entry| times(entry) > Some(1)).collect();
    if doubled.is_empty() {
        return Ok(());
    }
    let most = doubled.iter().filter_map(|entry| times(entry)).max().unwrap_or_default();
    let what = format!("{} writes are there up to {most} times", doubled.len());
    Err(Violation::of(history, what, &doubled))
}

/// Nothing is there of a write that nobody remembers. For whole histories, not for a part of one.
///
/// # Errors
/// What is there.
pub fn no_write_is_unrecorded(history: &History, found: &[String]) -> Result<(), Violation> {
    let known: HashSet<Marker> =
        history.entries().iter().filter_map(|entry| entry.marker).collect();
    let loads: HashSet<u32> = known.iter().map(|marker| marker.load).collect();
    let mut strange: Vec<Marker> = count(found).into_keys().collect();
    strange.retain(|marker| loads.contains(&marker.load) && !known.contains(marker));
    if strange.is_empty() {
        return Ok(());
    }
    strange.sort_unstable();
    let names: Vec<String> = strange.iter().map(Marker::to_string).collect();
    let what = format!("{} writes are there that no client made", names.len());
    Err(Violation {
        what,
        count: names.len(),
        requests: names.into_iter().take(super::SHOWN).collect(),
    })
}

/// How often each marker is there; texts that are none are somebody else's.
fn count(found: &[String]) -> HashMap<Marker, usize> {
    let mut counted = HashMap::new();
    for marker in found.iter().filter_map(|text| text.parse().ok()) {
        *counted.entry(marker).or_default() += 1;
    }
    counted
}
