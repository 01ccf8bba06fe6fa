//! What is to be purged at the CDN and was not yet, and what is to be purged there once more.
//!
//! Each of it is there once, however often it is purged. What is purged of a whole service swallows its tags, what is
//! purged of the site everything; and too many tags are their service. So there is a bound, and nothing is lost.
//!
//! One that is purged again while it is on its way is sent again after that.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long purges gather before they are sent.
const GATHER: Duration = Duration::from_millis(30);
/// When a purge that was taken is sent once more, and when once more after that. An answer from before it may come to
/// the CDN after it: one that was on its way, or of a gateway that has heard of the purge a moment later; and one that
/// is cut off from the service shows what it has for eleven seconds.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(13)];
/// The most that is remembered, of tags and services.
const MOST: usize = 4_096;

/// What is purged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum What {
    /// All that the CDN has of the site.
    Site,
    /// All answers of a service.
    Service(&'static str),
    /// Those that carry a tag.
    Tag(&'static str, Box<str>),
}

/// One of it, as it was sent.
pub(super) type Sent = (What, u64);

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The number of the last purge of it.
    number: u64,
    /// How often it was taken since then.
    taken: usize,
    /// Since when it waits, if it was not taken yet.
    since: Instant,
    /// When it is sent.
    due: Instant,
    is_under_way: bool,
}

/// What is pending.
#[derive(Debug, Default)]
pub(super) struct Pending {
    entries: HashMap<What, Entry>,
    last: u64,
}

impl Pending {
    /// That is to be purged.
    pub(super) fn add(&mut self, what: What, now: Instant) {
        if self.is_covered(&what) {
            return;
        }
        match &what {
            What::Site => self.entries.clear(),
            What::Service(service) => self.forget_tags(service),
            What::Tag(..) => {}
        }
        self.last += 1;
        let fresh = Entry {
            number: self.last,
            taken: 0,
            since: now,
            due: now + GATHER,
            is_under_way: false,
        };
        let entry = self.entries.entry(what).or_insert(fresh);
        if entry.taken == 0 {
            // On its way for the first time, and not for this.
            entry.number = self.last;
        } else {
            *entry = Entry { is_under_way: entry.is_under_way, ..fresh };
        }
        if self.entries.len() > MOST {
            self.fold(now);
        }
    }

    /// Whether something that waits, and is not on its way, purges that.
    fn is_covered(&self, what: &What) -> bool {
        let waits = |what: &What| {
            self.entries.get(what).is_some_and(|entry| entry.taken == 0 && !entry.is_under_way)
        };
        let is_in_service = matches!(what, What::Tag(service, _) if waits(&What::Service(service)));
        waits(what) || is_in_service || waits(&What::Site)
    }

    fn forget_tags(&mut self, service: &str) {
        self.entries.retain(|what, _| !matches!(what, What::Tag(other, _) if *other == service));
    }

    /// The service with the most tags is purged instead of those.
    fn fold(&mut self, now: Instant) {
        let mut counts: HashMap<&'static str, usize> = HashMap::new();
        for what in self.entries.keys() {
            if let What::Tag(service, _) = what {
                *counts.entry(service).or_default() += 1;
            }
        }
        if let Some((service, _)) = counts.into_iter().max_by_key(|(_, count)| *count) {
            self.add(What::Service(service), now);
        }
    }

    /// What is to be sent now, so many at most: first what was not sent yet, and of that what waits longest.
    pub(super) fn take(&mut self, most: usize, now: Instant) -> Vec<Sent> {
        let due = self.entries.iter_mut().filter(|(_, entry)| entry.due <= now);
        let mut due: Vec<(&What, &mut Entry)> = due.collect();
        due.sort_by(|(a, one), (b, other)| {
            (one.taken, one.since, *a).cmp(&(other.taken, other.since, *b))
        });
        due.truncate(most);
        let take = |(what, entry): (&What, &mut Entry)| {
            entry.is_under_way = true;
            (what.clone(), entry.number)
        };
        due.into_iter().map(take).collect()
    }

    /// What was sent was taken, or not. What was purged again meanwhile is to be sent in any case.
    pub(super) fn settle(&mut self, sent: &[Sent], is_taken: bool, now: Instant) {
        for (what, number) in sent {
            let Some(entry) = self.entries.get_mut(what) else { continue };
            entry.is_under_way = false;
            if !is_taken {
                continue;
            }
            if entry.number != *number {
                // What waits now is a later one.
                entry.since = now;
                continue;
            }
            match AGAIN.get(entry.taken) {
                Some(pause) => (entry.taken, entry.due) = (entry.taken + 1, now + *pause),
                None => {
                    self.entries.remove(what);
                }
            }
        }
    }

    /// When there is something to send; `None`: when something is purged.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.entries.values().map(|entry| entry.due).min()
    }

    /// How many were not taken yet.
    pub(super) fn unsent(&self) -> usize {
        self.entries.values().filter(|entry| entry.taken == 0).count()
    }

    /// Since when the one waits that waits longest.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let unsent = self.entries.values().filter(|entry| entry.taken == 0);
        unsent.map(|entry| entry.since).min()
    }
}

#[cfg(test)]
mod tests;
