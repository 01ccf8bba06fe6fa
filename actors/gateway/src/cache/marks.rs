//! What of the services' answers is old, and what is gone: when each tag was purged last, in the order of purges and
//! of questions.
//!
//! Each purge, of whichever service, has a number, and each question has that of the last purge before it. An answer is
//! from before every purge of one of its tags with a greater number than its question, however late it comes. Tags that
//! were purged long ago are forgotten, together with which they were: all answers from before them count as purged.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use panel_kernel::message::{Extensions, Reply};
use panel_kernel::purge::{Purge, Scope};
use parking_lot::RwLock;

use crate::cdn::Purges;
use crate::tags::Tags;

/// Tags that are remembered, of each kind.
const MOST: usize = 8_192;

/// The marks of all services.
pub(super) struct Marks {
    last: Arc<AtomicU64>,
    services: HashMap<&'static str, OfService>,
}

/// The marks of one service.
#[derive(Default)]
pub(super) struct OfService {
    /// The number of the last purge of any.
    last: Arc<AtomicU64>,
    /// The same when a member was met last, of which nothing had been heard.
    met: AtomicU64,
    stamps: RwLock<Both>,
    /// Whose they are, and who else is told, where there is a CDN.
    also: Option<(&'static str, Purges)>,
}

#[derive(Default)]
struct Both {
    old: Stamps,
    gone: Stamps,
}

/// When what was purged.
#[derive(Default)]
struct Stamps {
    /// Everything, and whatever is not remembered.
    floor: u64,
    tags: HashMap<Box<str>, u64>,
}

impl Marks {
    /// Those of these services, of which a CDN is told as well.
    pub(super) fn of(services: impl Iterator<Item = &'static str>, cdn: Option<&Purges>) -> Self {
        let last = Arc::<AtomicU64>::default();
        let of = |service| OfService {
            last: Arc::clone(&last),
            also: cdn.map(|cdn| (service, cdn.clone())),
            ..OfService::default()
        };
        let services = services.map(|service| (service, of(service))).collect();
        Self { last, services }
    }

    /// The number of the last purge.
    pub(super) fn now(&self) -> u64 {
        self.last.load(Ordering::Acquire)
    }

    /// The services that there are.
    pub(super) fn services(&self) -> impl Iterator<Item = &'static str> {
        self.services.keys().copied()
    }

    /// A service of this name, as it is known here, with its marks.
    pub(super) fn find(&self, service: &str) -> Option<(&'static str, &OfService)> {
        self.services.get_key_value(service).map(|(name, marks)| (*name, marks))
    }

    /// By which tags a service's reply is made old; `None` if it names others of whom there are no marks.
    pub(super) fn tags_of(&self, reply: &Reply, service: &'static str) -> Option<Tags> {
        self.tags(reply.extensions.text(Extensions::TAGS).unwrap_or_default(), service)
    }

    /// The same, as they were said.
    pub(super) fn tags(&self, said: &str, service: &'static str) -> Option<Tags> {
        Tags::parse(service, said, |name| self.find(name).map(|(known, _)| known))
    }

    /// The number of the last purge that concerns an answer with these tags.
    pub(super) fn version(&self, tags: &Tags) -> u64 {
        // Of whom there are no marks, nothing is kept.
        let version = |(place, (service, tags))| {
            let marks = self.services.get(service)?;
            Some(marks.version(tags).max(marks.met_behind(place)))
        };
        tags.by_service().enumerate().filter_map(version).max().unwrap_or_default()
    }

    /// Whether such an answer is gone that was asked for after the purge of this number.
    pub(super) fn is_gone(&self, tags: &Tags, asked: u64) -> bool {
        let mut all = tags.by_service().enumerate();
        all.any(|(place, (service, tags))| {
            let marks = self.services.get(service);
            marks.is_none_or(|marks| marks.is_gone(tags, asked) || marks.met_behind(place) > asked)
        })
    }
}

impl OfService {
    /// A member has come of which nothing was heard before. Of what it had to tell until then nothing concerns its own
    /// answers that are kept here; but another service may have had its words earlier, and shown them.
    pub(super) fn meets(&self) {
        self.met.store(self.last.fetch_add(1, Ordering::AcqRel) + 1, Ordering::Release);
        self.tell(&Purge::everything());
    }

    /// The number from before which answers of another service are gone in which this one's words are; `place` is where
    /// this one stands among those whose words are in it.
    fn met_behind(&self, place: usize) -> u64 {
        if place == 0 { 0 } else { self.met.load(Ordering::Acquire) }
    }

    /// From now on that is old, or gone.
    pub(super) fn apply(&self, purge: &Purge) {
        if purge.is_nothing() {
            return;
        }
        let mut stamps = self.stamps.write();
        // Under the lock, so that they are in order.
        let number = self.last.fetch_add(1, Ordering::AcqRel) + 1;
        stamps.old.stamp(&purge.old, number);
        stamps.gone.stamp(&purge.gone, number);
        drop(stamps);
        // After that: what a CDN asks for from now on is not from before it.
        self.tell(purge);
    }

    /// Tells the CDN alone.
    pub(super) fn tell(&self, purge: &Purge) {
        if let Some((service, cdn)) = &self.also {
            cdn.purge(service, purge);
        }
    }

    fn version(&self, tags: &[Box<str>]) -> u64 {
        let stamps = self.stamps.read();
        stamps.old.last(tags).max(stamps.gone.last(tags))
    }

    fn is_gone(&self, tags: &[Box<str>], asked: u64) -> bool {
        self.stamps.read().gone.last(tags) > asked
    }
}

impl Stamps {
    fn stamp(&mut self, scope: &Scope, number: u64) {
        match scope {
            Scope::Everything => {
                self.floor = number;
                self.tags.clear();
            }
            Scope::Tags(tags) => {
                for tag in tags {
                    if self.tags.len() >= MOST {
                        self.forget();
                    }
                    self.tags.insert(tag.as_str().into(), number);
                }
            }
        }
    }

    /// Forgets the half that was purged longest ago.
    fn forget(&mut self) {
        let mut numbers: Vec<u64> = self.tags.values().copied().collect();
        let middle = numbers.len() / 2;
        let (_, median, _) = numbers.select_nth_unstable(middle);
        let median = *median;
        self.tags.retain(|_, number| *number > median);
        self.floor = self.floor.max(median);
    }

    fn last(&self, tags: &[Box<str>]) -> u64 {
        let tags = tags.iter().filter_map(|tag| self.tags.get(tag)).copied();
        tags.max().unwrap_or_default().max(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(tags: &[&str]) -> Vec<Box<str>> {
        tags.iter().map(|tag| Box::from(*tag)).collect()
    }

    fn now(marks: &OfService) -> u64 {
        marks.last.load(Ordering::Acquire)
    }

    #[test]
    fn an_answer_with_words_of_two_services_is_made_old_by_both() {
        let marks = Marks::of(["cms", "forum"].into_iter(), None);
        let of = |said| marks.tags(said, "cms").unwrap();
        let (both, own, other) =
            (of("article:1 forum/thread:2"), of("article:1"), of("forum/thread:3"));
        let purge = |service: &str, purge: &Purge| marks.find(service).unwrap().1.apply(purge);
        let mut asked = marks.now();
        purge("forum", &Purge::of(["thread:2"]));
        assert!(marks.version(&both) > asked && marks.version(&own) <= asked);
        assert!(marks.version(&other) <= asked && !marks.is_gone(&both, asked));
        asked = marks.now();
        // Of the same name, and of another service.
        purge("cms", &Purge::gone(["thread:3"]));
        assert!(marks.version(&other) <= asked && !marks.is_gone(&other, asked));
        purge("forum", &Purge::gone(["thread:3"]));
        assert!(marks.is_gone(&other, asked) && !marks.is_gone(&both, asked));
        purge("cms", &Purge::gone(["article:1"]));
        assert!(marks.is_gone(&both, asked) && !marks.is_gone(&both, marks.now()));
        asked = marks.now();
        purge("forum", &Purge::everything());
        assert!(marks.version(&both) > asked && marks.version(&own) <= asked);
        // What a member had to tell before it was met may concern what others have said of it.
        let forums = marks.tags("thread:2", "forum").unwrap();
        asked = marks.now();
        marks.find("forum").unwrap().1.meets();
        assert!(marks.is_gone(&both, asked) && marks.version(&both) > asked);
        assert!(!marks.is_gone(&own, asked) && !marks.is_gone(&forums, asked));
        assert!(!marks.is_gone(&both, marks.now()) && marks.version(&forums) <= asked);
    }

    #[test]
    fn a_purge_concerns_what_carries_its_tags_and_was_asked_before() {
        let marks = OfService::default();
        let (lists, one, both) = (tags(&["lists"]), tags(&["one"]), tags(&["lists", "one"]));
        let before = now(&marks);
        marks.apply(&Purge::of(["one"]));
        let between = now(&marks);
        assert!(marks.version(&one) > before && marks.version(&both) > before);
        assert_eq!(marks.version(&lists), before);
        assert_eq!(marks.version(&one), between);
        assert!(!marks.is_gone(&both, before));
        marks.apply(&Purge::gone(["lists"]));
        assert!(marks.is_gone(&both, between) && !marks.is_gone(&one, between));
        assert!(!marks.is_gone(&both, now(&marks)));
        marks.apply(&Purge::nothing());
        let before = now(&marks);
        marks.apply(&Purge::everything());
        for tags in [&lists, &one, &both, &Vec::new()] {
            assert!(marks.version(tags) > before && !marks.is_gone(tags, before));
        }
        marks.apply(&Purge::everything_gone());
        assert!(marks.is_gone(&[], before));
    }

    #[test]
    fn what_is_forgotten_counts_as_purged_and_memory_is_bounded() {
        let marks = OfService::default();
        let number = |n: u64| tags(&[&n.to_string()]);
        for n in 0..100_000 {
            let asked = now(&marks);
            marks.apply(&Purge::gone([n.to_string()]));
            // Whatever was asked before is gone, and stays so; what is asked now is not.
            assert!(marks.is_gone(&number(n), asked) && marks.is_gone(&number(n / 2), n / 2));
            assert!(!marks.is_gone(&number(n), now(&marks)));
        }
        let stamps = marks.stamps.read();
        assert!(stamps.gone.tags.len() <= MOST && stamps.gone.floor < 100_000 - MOST as u64 / 4);
        assert!(stamps.old.tags.is_empty() && stamps.old.floor == 0);
    }
}
