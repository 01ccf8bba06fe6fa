//! Whom to dial, and when. Pure: the time is handed in.

use std::time::{Duration, Instant};

/// The first wait after a failure; it doubles up to the last.
const FIRST: Duration = Duration::from_millis(100);
const LAST: Duration = Duration::from_secs(5);
/// How long the node that dials is given before the other one knocks.
const PATIENCE: Duration = Duration::from_secs(1);
/// A dial nobody has reported on after this long is lost.
const LOST: Duration = Duration::from_secs(10);
/// Addresses known at most; nodes tell each other of their peers.
const MOST: usize = 256;
/// No name and no address is longer.
const LONGEST: usize = 256;

/// An address, and what is known of who answers there.
#[derive(Debug)]
struct Contact {
    address: String,
    /// Who answered there last.
    name: Option<String>,
    /// From the configuration: never forgotten.
    is_seed: bool,
    /// It is this node's own.
    is_own: bool,
    wait: Duration,
    next: Instant,
    dialing: Option<Instant>,
}

impl Contact {
    /// Between half of the wait and all of it, so that many don't come at once.
    fn back_off(&mut self, jitter: f64, now: Instant) {
        self.next = now + self.wait.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        self.wait = (self.wait * 2).min(LAST);
    }
}

/// Whom to dial.
#[derive(Debug)]
pub(super) struct Contacts {
    me: String,
    list: Vec<Contact>,
}

impl Contacts {
    pub(super) fn new(me: &str, seeds: &[String], now: Instant) -> Self {
        let mut contacts = Self { me: me.to_owned(), list: Vec::new() };
        for seed in seeds {
            contacts.add(seed, None, true, now);
        }
        contacts
    }

    /// A node of this name is said to be there.
    pub(super) fn learn(&mut self, name: &str, address: &str, now: Instant) {
        if name == self.me || name.len().max(address.len()) > LONGEST {
            return;
        }
        if let Some(known) = self.list.iter_mut().find(|contact| contact.address == address) {
            known.name = Some(name.to_owned());
            return;
        }
        // A learnt one that has moved. What the configuration says stays.
        self.list.retain(|contact| contact.is_seed || contact.name.as_deref() != Some(name));
        if self.list.len() < MOST {
            self.add(address, Some(name), false, now);
        }
    }

    fn add(&mut self, address: &str, name: Option<&str>, is_seed: bool, now: Instant) {
        // Of a node that dials us by itself we only have to remind it.
        let waits = name.is_some_and(|name| name < self.me.as_str());
        self.list.push(Contact {
            address: address.to_owned(),
            name: name.map(str::to_owned),
            is_seed,
            is_own: false,
            wait: FIRST,
            next: if waits { now + PATIENCE } else { now },
            dialing: None,
        });
    }

    /// It has left, or has not been seen for long.
    pub(super) fn forget(&mut self, name: &str) {
        self.list.retain(|contact| contact.is_seed || contact.name.as_deref() != Some(name));
    }

    /// The addresses to dial now: nobody who is linked, and no node twice at a time.
    pub(super) fn due(&mut self, is_linked: impl Fn(&str) -> bool, now: Instant) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for contact in &mut self.list {
            if contact.dialing.is_some_and(|since| now.duration_since(since) > LOST) {
                contact.dialing = None;
            }
            if contact.dialing.is_some() {
                names.extend(contact.name.clone());
            }
        }
        let mut due = Vec::new();
        for contact in &mut self.list {
            let taken =
                contact.name.as_ref().is_some_and(|name| is_linked(name) || names.contains(name));
            if contact.is_own || taken || contact.dialing.is_some() || contact.next > now {
                continue;
            }
            contact.dialing = Some(now);
            names.extend(contact.name.clone());
            due.push(contact.address.clone());
        }
        due
    }

    /// Somebody of this name has answered there: a link, or the promise of one.
    pub(super) fn answered(&mut self, address: &str, name: &str, now: Instant) {
        self.ended(address, |contact| {
            contact.name = Some(name.to_owned());
            contact.next = now + PATIENCE;
        });
    }

    /// The link to it works.
    pub(super) fn linked(&mut self, name: &str) {
        for contact in self.of(name) {
            contact.wait = FIRST;
        }
    }

    /// The link to it has ended before it worked: as if nobody had answered.
    pub(super) fn fell_through(&mut self, name: &str, jitter: f64, now: Instant) {
        for contact in self.of(name) {
            contact.back_off(jitter, now);
        }
    }

    /// Nobody has, or nobody who can be linked with. `jitter` is random, from 0 to 1.
    pub(super) fn failed(&mut self, address: &str, jitter: f64, now: Instant) {
        self.ended(address, |contact| {
            contact.back_off(jitter, now);
            if !contact.is_seed {
                return;
            }
            // Another node may answer there by now.
            contact.name = None;
        });
    }

    /// It is this node that answers there.
    pub(super) fn is_own(&mut self, address: &str) {
        self.ended(address, |contact| contact.is_own = true);
    }

    /// The link to it has ended: whoever dials does so soon.
    pub(super) fn lost(&mut self, name: &str, now: Instant) {
        let dials = self.me.as_str() < name;
        for contact in self.of(name) {
            contact.wait = FIRST;
            contact.next = if dials { now } else { now + PATIENCE };
        }
    }

    /// It has knocked: it is there now, whatever a dial that has been under way for long still waits
    /// for. (A node that was restarted elsewhere may be behind a name whose old address swallows
    /// everything.)
    pub(super) fn knocked(&mut self, name: &str, address: &str, now: Instant) {
        self.learn(name, address, now);
        for contact in self.of(name) {
            contact.next = now;
            if contact.dialing.is_some_and(|since| now.duration_since(since) >= PATIENCE) {
                contact.dialing = None;
            }
        }
    }

    fn of(&mut self, name: &str) -> impl Iterator<Item = &mut Contact> {
        self.list.iter_mut().filter(move |one| one.name.as_deref() == Some(name))
    }

    fn ended(&mut self, address: &str, change: impl FnOnce(&mut Contact)) {
        let found = self.list.iter_mut().find(|contact| contact.address == address);
        if let Some(contact) = found {
            contact.dialing = None;
            change(contact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(begun: Instant, millis: u64) -> Instant {
        begun + Duration::from_millis(millis)
    }

    fn nobody(_: &str) -> bool {
        false
    }

    #[test]
    fn seeds_are_dialled_for_ever_with_growing_waits() {
        let begun = Instant::now();
        let mut contacts = Contacts::new("n1", &["a:1".to_owned()], begun);
        let mut now = begun;
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert_eq!(contacts.due(nobody, now), ["a:1"]);
            assert!(contacts.due(nobody, now).is_empty(), "one attempt at a time");
            contacts.failed("a:1", 1.0, now);
            let waited =
                (0..10_000).find(|millis| !contacts.due(nobody, at(now, *millis)).is_empty());
            waits.push(waited.unwrap());
            now = at(now, waits[waits.len() - 1]);
            contacts.failed("a:1", 0.0, now);
            now = at(now, 5_000);
        }
        assert_eq!(waits[0], 100);
        assert_eq!(waits[11], 5_000);
        contacts.forget("n2");
        assert_eq!(contacts.due(nobody, now), ["a:1"]);
    }

    #[test]
    fn who_is_linked_is_left_alone_and_no_node_is_dialled_twice_at_a_time() {
        let begun = Instant::now();
        let seeds = ["a:1".to_owned(), "b:1".to_owned()];
        let mut contacts = Contacts::new("n1", &seeds, begun);
        assert_eq!(contacts.due(nobody, begun).len(), 2);
        contacts.answered("a:1", "n2", begun);
        contacts.answered("b:1", "n2", begun);
        let later = at(begun, 2_000);
        assert!(contacts.due(|name| name == "n2", later).is_empty());
        assert_eq!(contacts.due(nobody, later), ["a:1"], "both are n2");
        contacts.failed("a:1", 0.0, later);
        contacts.is_own("b:1");
        assert_eq!(contacts.due(nobody, at(later, 10_000)), ["a:1"]);
    }

    #[test]
    fn the_lower_dials_and_the_higher_knocks_when_it_has_waited() {
        let begun = Instant::now();
        let mut contacts = Contacts::new("n2", &[], begun);
        contacts.learn("n1", "a:1", begun);
        contacts.learn("n3", "c:1", begun);
        contacts.learn("n2", "b:1", begun);
        assert_eq!(contacts.due(nobody, begun), ["c:1"], "itself it never dials");
        assert_eq!(contacts.due(nobody, at(begun, 1_000)), ["a:1"]);
        contacts.answered("a:1", "n1", at(begun, 1_000));
        contacts.learn("n1", "a:2", at(begun, 1_500));
        assert_eq!(contacts.due(nobody, at(begun, 2_500)), ["a:2"], "it has moved");
        contacts.forget("n1");
        contacts.forget("n3");
        assert!(contacts.due(nobody, at(begun, 60_000)).is_empty());
    }

    #[test]
    fn who_knocks_is_dialled_although_a_dial_is_under_way() {
        let begun = Instant::now();
        let mut contacts = Contacts::new("n1", &["n2.internal:1".to_owned()], begun);
        assert_eq!(contacts.due(nobody, begun), ["n2.internal:1"]);
        contacts.answered("n2.internal:1", "n2", begun);
        contacts.lost("n2", begun);
        // To where it was before; nobody answers.
        assert_eq!(contacts.due(nobody, begun), ["n2.internal:1"]);
        assert!(contacts.due(nobody, at(begun, 500)).is_empty());
        contacts.knocked("n2", "n2.internal:1", at(begun, 500));
        assert!(contacts.due(nobody, at(begun, 500)).is_empty(), "it may be answered any moment");
        contacts.knocked("n2", "n2.internal:1", at(begun, 1_500));
        assert_eq!(contacts.due(nobody, at(begun, 1_500)), ["n2.internal:1"]);
    }

    #[test]
    fn who_greets_and_goes_is_dialled_less_and_less() {
        let begun = Instant::now();
        let mut contacts = Contacts::new("n1", &["a:1".to_owned()], begun);
        let (mut now, mut dials) = (begun, 0);
        while now < begun + Duration::from_secs(60) {
            if !contacts.due(nobody, now).is_empty() {
                dials += 1;
                contacts.answered("a:1", "n2", now);
                contacts.fell_through("n2", 1.0, now);
            }
            now += Duration::from_millis(10);
        }
        assert!((10..30).contains(&dials), "{dials}");
        contacts.linked("n2");
        contacts.lost("n2", now);
        assert_eq!(contacts.due(nobody, now), ["a:1"], "who was linked is dialled at once");
    }

    #[test]
    fn what_others_tell_does_not_grow_without_bound() {
        let now = Instant::now();
        let mut contacts = Contacts::new("n1", &[], now);
        for number in 0..10_000 {
            contacts.learn(&format!("x{number}"), &format!("x:{number}"), now);
        }
        assert_eq!(contacts.list.len(), MOST);
    }
}
