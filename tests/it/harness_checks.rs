//! The checks of the harness, on histories made up for it: each passes what is right, and fails
//! on what it is there for.

use std::time::{Duration, Instant};

use panel_harness::checks;
use panel_harness::checks::Violation;
use panel_harness::load::{Entry, History, Kind, Marker, Outcome, Silence};

/// Requests one after the other, ten milliseconds each.
struct Story {
    began: Instant,
    entries: Vec<Entry>,
}

const STEP: Duration = Duration::from_millis(10);

fn marker(client: u32, write: u32) -> Marker {
    Marker { load: 7, client, write }
}

fn refused() -> Outcome {
    Outcome::Refused { status: 503, problem: "unavailable".into() }
}

impl Story {
    fn new() -> Self {
        Self { began: Instant::now(), entries: Vec::new() }
    }

    fn at(&self, step: u32) -> Instant {
        self.began + STEP * step
    }

    fn now(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap()
    }

    fn add(mut self, client: u32, kind: Kind, outcome: Outcome, seen: Option<u64>) -> Self {
        let (started, ended) = (self.at(self.now()), self.at(self.now() + 1));
        self.entries.push(Entry {
            client,
            kind,
            marker: None,
            started,
            ended,
            outcome,
            seen,
            staleness: Duration::ZERO,
            failovers: 0,
            resent: 0,
        });
        self
    }

    fn reads(self, client: u32, seen: u64) -> Self {
        self.add(client, Kind::ListPosts, Outcome::Done(200), Some(seen))
    }

    fn looks(self, client: u32, seen: u64) -> Self {
        self.add(client, Kind::ReadThread, Outcome::Done(200), Some(seen))
    }

    fn reads_old(self, client: u32, seen: u64, staleness: Duration) -> Self {
        let mut story = self.reads(client, seen);
        story.entries.last_mut().unwrap().staleness = staleness;
        story
    }

    fn fails(self, client: u32, outcome: Outcome) -> Self {
        self.add(client, Kind::ListPosts, outcome, None)
    }

    fn writes(self, client: u32, write: u32, number: u64) -> Self {
        self.writes_with(client, write, Outcome::Done(201), Some(number))
    }

    fn writes_with(self, client: u32, write: u32, outcome: Outcome, seen: Option<u64>) -> Self {
        let mut story = self.add(client, Kind::Reply, outcome, seen);
        story.entries.last_mut().unwrap().marker = Some(marker(client, write));
        story
    }

    fn told(&self) -> History {
        History::new(self.entries.clone())
    }
}

fn texts(markers: &[(u32, u32)]) -> Vec<String> {
    let markers = markers.iter().map(|(client, write)| marker(*client, *write).to_string());
    std::iter::once("first".to_owned()).chain(markers).collect()
}

#[track_caller]
fn fails(checked: Result<(), Violation>, words: &[&str]) {
    let message = checked.expect_err("this must be noticed").to_string();
    for word in words {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

#[test]
fn a_marker_reads_as_it_is_written() {
    let one = Marker { load: 1, client: 22, write: 333 };
    assert_eq!(one.to_string(), "load-1-22-333");
    assert_eq!("load-1-22-333".parse(), Ok(one));
    for other in ["", "first", "load-1-22", "load-1-22-333-4", "load-1-22-x", "load--1-2-3"] {
        assert_eq!(other.parse::<Marker>(), Err(()), "{other}");
    }
}

#[test]
fn writes_that_are_exactly_once() {
    let lost = Outcome::Silent(Silence::Lost);
    let story = Story::new().writes(0, 1, 2).writes(1, 1, 3);
    let history = story.writes_with(0, 2, lost, None).writes_with(1, 2, refused(), None).told();
    // What was not acknowledged may be there or not.
    for found in [texts(&[(0, 1), (1, 1)]), texts(&[(0, 2), (1, 1), (0, 1), (1, 2)])] {
        checks::writes_are_exactly_once(&history, &found).unwrap();
    }
    // Whatever another load has written is not looked at.
    let mut found = texts(&[(0, 1), (1, 1)]);
    found.extend(["load-8-0-9", "load-8-0-9"].map(str::to_owned));
    checks::writes_are_exactly_once(&history, &found).unwrap();
}

#[test]
fn a_lost_write_is_noticed() {
    let history = Story::new().writes(0, 1, 2).writes(0, 2, 3).told();
    for check in [checks::no_write_is_lost, checks::writes_are_exactly_once] {
        let shown = ["1 of 2 acknowledged writes are lost", "client 0 at 0.010 s", "load-7-0-2"];
        fails(check(&history, &texts(&[(0, 1)])), &shown);
    }
    fails(checks::no_write_is_lost(&history, &[]), &["2 of 2", "load-7-0-1", "load-7-0-2"]);
}

#[test]
fn a_doubled_write_is_noticed_acknowledged_or_not() {
    let lost = Outcome::Silent(Silence::Lost);
    let history = Story::new().writes(0, 1, 2).writes_with(0, 2, lost, None).told();
    for check in [checks::no_write_is_doubled, checks::writes_are_exactly_once] {
        let shown = ["1 writes are there up to 2 times", "load-7-0-1: 201"];
        fails(check(&history, &texts(&[(0, 1), (0, 1)])), &shown);
        let shown = ["up to 3 times", "load-7-0-2: connection lost after 10.0ms"];
        fails(check(&history, &texts(&[(0, 1), (0, 2), (0, 2), (0, 2)])), &shown);
    }
}

#[test]
fn a_write_that_nobody_made_is_noticed() {
    let history = Story::new().writes(0, 1, 2).told();
    for check in [checks::no_write_is_unrecorded, checks::writes_are_exactly_once] {
        fails(check(&history, &texts(&[(0, 1), (0, 2)])), &["1 writes", "load-7-0-2"]);
    }
}

#[test]
fn reads_that_go_back_are_noticed() {
    // Two clients, and the two ways to read, are not compared with each other.
    let story = || Story::new().reads(0, 5).reads(1, 3).looks(0, 2).reads(0, 5).reads(0, 6);
    checks::reads_never_go_back(&story().told()).unwrap();
    let shown = ["1 of 3 reads went back", "client 0 at 0.040 s: list posts: 200", "saw post 6"];
    fails(checks::reads_never_go_back(&story().reads(0, 4).told()), &shown);
    let shown = ["1 of 3 reads", "client 0 at 0.020 s: read thread", "saw post 1"];
    fails(checks::reads_never_go_back(&story().looks(0, 1).told()), &shown);
    // Measured against the highest, not against the one before.
    fails(checks::reads_never_go_back(&story().reads(0, 4).reads(0, 5).told()), &["2 of 4"]);
    // A failed read saw nothing.
    checks::reads_never_go_back(&story().fails(0, refused()).reads(0, 6).told()).unwrap();
}

#[test]
fn an_answer_may_be_as_old_as_it_says() {
    let story = || Story::new().reads(0, 4).reads(0, 5).reads(0, 6);
    checks::reads_never_go_back(&story().reads_old(0, 5, STEP).told()).unwrap();
    checks::reads_never_go_back(&story().reads_old(0, 0, Duration::MAX).told()).unwrap();
    let shown = ["1 of 3 reads went back", "saw post 5", "saw post 4, up to 10ms old"];
    fails(checks::reads_never_go_back(&story().reads_old(0, 4, STEP).told()), &shown);
    // And whoever has seen such an answer has seen it.
    let seen_old = || story().reads_old(0, 7, Duration::MAX);
    fails(checks::reads_never_go_back(&seen_old().reads(0, 6).told()), &["an older answer"]);
}

#[test]
fn a_read_that_misses_its_clients_own_write_is_noticed() {
    let story = || Story::new().looks(0, 1).writes(0, 1, 3).looks(1, 2);
    checks::reads_see_own_writes(&story().looks(0, 3).looks(0, 4).told()).unwrap();
    let shown = ["1 of 1 reads did not see", "load-7-0-1: 201", "saw post 2"];
    fails(checks::reads_see_own_writes(&story().looks(0, 2).told()), &shown);
    // A write that was not acknowledged need not be seen.
    let lost = || Outcome::Silent(Silence::Lost);
    let history = story().writes_with(0, 2, lost(), Some(9)).looks(0, 3).told();
    checks::reads_see_own_writes(&history).unwrap();
}

#[test]
fn failures_are_counted_and_named() {
    let story = Story::new().reads(0, 1).fails(0, refused()).fails(1, refused());
    let history = story.fails(2, Outcome::Silent(Silence::NotConnected)).told();
    checks::failures_at_most(&history, 3).unwrap();
    let shown =
        ["more than 2 failed", "4 requests, 3 failed (2 × 503 unavailable, 1 × not connected)"];
    fails(checks::failures_at_most(&history, 2), &shown);
    checks::failure_rate_at_most(&history, 0.75).unwrap();
    fails(checks::failure_rate_at_most(&history, 0.74), &["0.7500", "client 2 at 0.030 s"]);
    checks::only_fails_with(&history, &["not connected", "503 unavailable"]).unwrap();
    fails(checks::only_fails_with(&history, &["503 unavailable"]), &["client 2", "not connected"]);
}

#[test]
fn long_requests_are_noticed_in_their_window() {
    let mut story = Story::new();
    for _ in 0..100 {
        story = story.reads(0, 1);
    }
    // The 51st hangs for a second.
    let hung = &mut story.entries[50];
    hung.ended = hung.started + Duration::from_secs(1);
    let (history, step) = (story.told(), |step| story.at(step));
    checks::longest_at_most(&history, Duration::from_secs(1)).unwrap();
    fails(checks::longest_at_most(&history, STEP * 2), &["client 0 at 0.500 s", "after 1.0s"]);
    checks::percentile_at_most(&history, 99, STEP).unwrap();
    fails(checks::percentile_at_most(&history, 100, STEP), &["p100 is 1.0s", "client 0 at 0.500"]);
    let latency = history.latency();
    assert_eq!((latency.percentile(1), latency.percentile(99)), (STEP, STEP));
    assert_eq!((latency.percentile(100), latency.longest()), (STEP * 100, STEP * 100));
    // Before it, during it, after it: it was under way long after it had begun.
    checks::longest_at_most(&history.before(step(51)), STEP).unwrap();
    assert_eq!(history.before(step(51)).entries().len(), 50);
    fails(checks::longest_at_most(&history.during(step(90), step(95)), STEP), &["0.000 s"]);
    assert_eq!(history.during(step(90), step(95)).entries().len(), 6);
    checks::longest_at_most(&history.after(step(51)), STEP).unwrap();
    assert_eq!(history.after(step(51)).entries().len(), 49);
}

#[test]
fn recovery_is_the_end_of_the_last_failure() {
    let story = Story::new().reads(0, 1).fails(0, refused()).fails(0, refused()).reads(0, 1);
    let (history, from) = (story.told(), story.at(1));
    assert_eq!(history.recovery(from), Some(STEP * 2));
    checks::recovers_within(&history, from, STEP * 2).unwrap();
    let shown = ["recovered after 20.0ms, not within 10ms", "client 0 at 0.020 s"];
    fails(checks::recovers_within(&history, from, STEP), &shown);
    // Nothing failed after the moment.
    assert_eq!(history.recovery(story.at(3)), Some(Duration::ZERO));
    // It fails to this day, or nobody has tried.
    let story = story.fails(3, refused());
    assert_eq!(story.told().recovery(from), None);
    fails(checks::recovers_within(&story.told(), from, STEP * 99), &["nothing succ", "client 3"]);
    assert_eq!(story.told().recovery(story.at(9)), None);
}

#[test]
fn what_has_nothing_to_look_at_proves_nothing() {
    let (nothing, second) = (Story::new().told(), Duration::from_secs(1));
    let only_reads = Story::new().reads(0, 1).told();
    let unacknowledged = Story::new().writes_with(0, 1, refused(), None).told();
    fails(checks::no_write_is_lost(&unacknowledged, &[]), &["no write was acknowledged"]);
    fails(checks::no_write_is_doubled(&only_reads, &[]), &["no write"]);
    fails(checks::writes_are_exactly_once(&only_reads, &[]), &["no write"]);
    fails(checks::reads_never_go_back(&only_reads), &["no reads to compare"]);
    fails(checks::reads_see_own_writes(&only_reads), &["no reads to compare"]);
    for checked in [
        checks::failures_at_most(&nothing, 1),
        checks::failure_rate_at_most(&nothing, 1.0),
        checks::only_fails_with(&nothing, &[]),
        checks::longest_at_most(&nothing, second),
        checks::percentile_at_most(&nothing, 99, second),
        checks::recovers_within(&nothing, Instant::now(), second),
    ] {
        fails(checked, &["there was no request"]);
    }
}

#[test]
fn a_message_shows_no_more_than_people_read() {
    let mut story = Story::new();
    for write in 0..50 {
        story = story.writes(0, write, 2);
    }
    let message = checks::no_write_is_lost(&story.told(), &[]).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 22, "{message}");
    assert!(message.ends_with("and 30 more"), "{message}");
}
