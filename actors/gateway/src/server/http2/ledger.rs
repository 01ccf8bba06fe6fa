//! Which requests are under way on a connection, and whose turn it is in each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a connection that is to end waits for its client to have heard of it.
const PARTING: Duration = Duration::from_secs(2);

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on; to be looked at again then.
    Fine(Instant),
    /// Nothing was asked for long: it is to end, and to be looked at again then.
    Idle(Instant),
    /// Its client does not go on, nor does it leave.
    Over,
}

/// The requests of one connection. There are at most as many as may be under way at once.
#[derive(Debug)]
pub(super) struct Ledger {
    /// How long nothing may be asked.
    idle: Duration,
    /// How long an answer may wait for its client.
    patience: Duration,
    page: Mutex<Page>,
}

#[derive(Debug)]
struct Page {
    next: u64,
    /// Each request, and since when something waits there for the client.
    open: BTreeMap<u64, Option<Instant>>,
    /// When the last of them ended.
    quiet_since: Instant,
}

/// One of them, until its answer is sent or given up.
#[derive(Debug)]
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    number: u64,
}

impl Ledger {
    pub(super) fn new(idle: Duration, patience: Duration) -> Self {
        let page = Page { next: 0, open: BTreeMap::new(), quiet_since: Instant::now() };
        Self { idle, patience, page: Mutex::new(page) }
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Entry {
        let mut page = self.page.lock();
        let number = page.next;
        page.next += 1;
        page.open.insert(number, None);
        drop(page);
        Entry { ledger: Arc::clone(self), number }
    }

    /// How the connection is, which was told at that time that it is to end, if it was.
    pub(super) fn look(&self, now: Instant, told: Option<Instant>) -> Verdict {
        let page = self.page.lock();
        if page.open.is_empty() {
            let end = told.map_or(page.quiet_since + self.idle, |told| told.max(page.quiet_since));
            return match now {
                now if now < end => Verdict::Fine(end),
                now if now < end + PARTING => Verdict::Idle(end + PARTING),
                _ => Verdict::Over,
            };
        }
        let longest = page.open.values().flatten().min();
        match longest.map(|since| *since + self.patience) {
            Some(end) if end <= now => Verdict::Over,
            Some(end) => Verdict::Fine(end),
            None => Verdict::Fine(now + self.patience),
        }
    }
}

impl Entry {
    /// There is something for the client to take.
    pub(super) fn offered(&self) {
        self.set(Some(Instant::now()));
    }

    /// There is nothing for it to take.
    pub(super) fn is_ours(&self) {
        self.set(None);
    }

    fn set(&self, since: Option<Instant>) {
        self.ledger.page.lock().open.insert(self.number, since);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut page = self.ledger.page.lock();
        page.open.remove(&self.number);
        page.quiet_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(10);
    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn where_nothing_is_asked_it_ends_in_two_steps() {
        let ledger = Arc::new(Ledger::new(IDLE, PATIENCE));
        let begun = ledger.page.lock().quiet_since;
        let end = begun + IDLE;
        assert_eq!(ledger.look(begun, None), Verdict::Fine(end));
        assert_eq!(ledger.look(end, None), Verdict::Idle(end + PARTING));
        assert_eq!(ledger.look(end, Some(end)), Verdict::Idle(end + PARTING));
        assert_eq!(ledger.look(end + PARTING, Some(end)), Verdict::Over);
        let entry = ledger.begin();
        let late = begun + IDLE * 9;
        assert_eq!(ledger.look(late, Some(end)), Verdict::Fine(late + PATIENCE), "one came still");
        drop(entry);
        let quiet = ledger.page.lock().quiet_since;
        assert!(quiet >= begun);
        assert_eq!(ledger.look(quiet, None), Verdict::Fine(quiet + IDLE), "it begins anew");
        assert_eq!(ledger.look(quiet, Some(begun)), Verdict::Idle(quiet + PARTING));
    }

    #[test]
    fn what_a_client_does_not_take_ends_it_and_what_we_owe_does_not() {
        let ledger = Arc::new(Ledger::new(IDLE, PATIENCE));
        let (slow, quick) = (ledger.begin(), ledger.begin());
        slow.offered();
        quick.offered();
        let since = ledger.page.lock().open[&slow.number].unwrap();
        assert_eq!(ledger.look(since, None), Verdict::Fine(since + PATIENCE));
        quick.offered();
        let late = since + PATIENCE;
        assert_eq!(ledger.look(late, None), Verdict::Over, "the quick one does not save it");
        slow.is_ours();
        drop(quick);
        assert_eq!(ledger.look(late, None), Verdict::Fine(late + PATIENCE));
        drop(slow);
        assert!(ledger.page.lock().open.is_empty());
    }
}
