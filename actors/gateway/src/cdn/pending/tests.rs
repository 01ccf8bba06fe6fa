//! Nothing that is purged is lost, and no more than there is room for is remembered.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const MILLIS: Duration = Duration::from_millis(1);

fn tag(tag: &str) -> What {
    What::Tag("forum", tag.into())
}

fn names(sent: &[Sent]) -> Vec<What> {
    sent.iter().map(|(what, _)| what.clone()).collect()
}

#[test]
fn each_is_sent_once_and_twice_again_after_it_was_taken() {
    let (mut pending, start) = (Pending::default(), Instant::now());
    pending.add(tag("one"), start);
    pending.add(tag("one"), start + 10 * MILLIS);
    assert_eq!(pending.take(9, start), []);
    assert_eq!((pending.unsent(), pending.oldest()), (1, Some(start)));
    let mut now = start;
    for pause in [GATHER, AGAIN[0], AGAIN[1]] {
        let before = pause.checked_sub(MILLIS).unwrap();
        assert_eq!(pending.take(9, now + before), []);
        now += pause;
        let sent = pending.take(9, now);
        assert_eq!(names(&sent), [tag("one")]);
        // It fails, and is still there; then it is taken.
        pending.settle(&sent, false, now);
        assert_eq!(pending.take(9, now), sent);
        pending.settle(&sent, true, now);
        assert_eq!(pending.unsent(), 0);
    }
    assert_eq!((pending.next_due(), pending.entries.len()), (None, 0));
}

#[test]
fn what_is_purged_while_it_is_on_its_way_is_sent_after_that() {
    for again in [tag("one"), What::Service("forum"), What::Site] {
        let (mut pending, now) = (Pending::default(), Instant::now());
        pending.add(again.clone(), now);
        let sent = pending.take(9, now + GATHER);
        assert_eq!(names(&sent), std::slice::from_ref(&again));
        pending.add(tag("one"), now + GATHER);
        pending.add(again.clone(), now + GATHER);
        pending.settle(&sent, true, now + GATHER);
        assert_eq!(names(&pending.take(9, now + 2 * GATHER)), [again]);
    }
}

#[test]
fn what_is_wide_swallows_what_is_narrow_and_covers_it() {
    let (mut pending, now) = (Pending::default(), Instant::now());
    for what in [tag("one"), What::Tag("cms", "one".into()), What::Service("forum"), tag("two")] {
        pending.add(what, now);
    }
    let due = now + GATHER;
    assert_eq!(
        names(&pending.take(9, due)),
        [What::Service("forum"), What::Tag("cms", "one".into())]
    );
    pending.add(What::Site, now);
    assert_eq!(pending.unsent(), 1);
    pending.add(What::Service("cms"), now);
    assert_eq!(names(&pending.take(9, due)), [What::Site]);
}

#[test]
fn what_was_not_sent_yet_comes_before_what_is_sent_again() {
    let (mut pending, now) = (Pending::default(), Instant::now());
    pending.add(tag("one"), now);
    let sent = pending.take(9, now + GATHER);
    pending.settle(&sent, true, now + GATHER);
    let (earlier, later) = (now + AGAIN[0], now + 2 * AGAIN[0]);
    pending.add(tag("three"), earlier + MILLIS);
    pending.add(tag("two"), earlier);
    assert_eq!(names(&pending.take(2, later)), [tag("two"), tag("three")]);
    assert_eq!(names(&pending.take(9, later)), [tag("two"), tag("three"), tag("one")]);
}

#[test]
fn too_many_tags_are_their_service() {
    let (mut pending, now) = (Pending::default(), Instant::now());
    pending.add(What::Tag("cms", "one".into()), now);
    for n in 0..100_000 {
        pending.add(tag(&n.to_string()), now);
        assert!(pending.entries.len() <= MOST);
    }
    let sent = names(&pending.take(usize::MAX, now + GATHER));
    assert_eq!(sent, [What::Service("forum"), What::Tag("cms", "one".into())]);
}

/// What can happen.
#[derive(Clone, Debug)]
enum Step {
    Purge(What),
    /// So many are taken out.
    Send(usize),
    /// What was taken out last was taken, or not.
    Settle(bool),
    Wait(u64),
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        8 => (0..4_u8).prop_map(|n| tag(&n.to_string())),
        2 => Just(What::Service("forum")),
        1 => Just(What::Site),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => what().prop_map(Step::Purge),
        3 => (1..4_usize).prop_map(Step::Send),
        3 => any::<bool>().prop_map(Step::Settle),
        2 => (0..20_000_u64).prop_map(Step::Wait),
    ]
}

/// Whether purging this purges that.
fn covers(this: &What, that: &What) -> bool {
    this == that
        || *this == What::Site
        || matches!((this, that), (What::Service(one), What::Tag(other, _)) if one == other)
}

proptest! {
    /// Whatever happens, each purge is followed by a request that was begun after it, purges it, and was taken; and
    /// by two more of those.
    #[test]
    fn every_purge_is_sent_after_it_was_asked_for(steps in prop::collection::vec(step(), 0..60)) {
        let mut pending = Pending::default();
        let mut now = Instant::now();
        // When each was purged last, and how often it was taken since, as the order of steps.
        let mut owed: HashMap<What, usize> = HashMap::new();
        let mut under_way: Option<(Vec<Sent>, HashMap<What, usize>)> = None;
        let ending = std::iter::repeat_n([Step::Wait(60_000), Step::Send(9), Step::Settle(true)], 20);
        for step in steps.into_iter().chain([Step::Settle(false)]).chain(ending.flatten()) {
            match step {
                Step::Purge(what) => {
                    pending.add(what.clone(), now);
                    owed.insert(what, 3);
                }
                Step::Send(most) if under_way.is_none() => {
                    let sent = pending.take(most, now);
                    prop_assert!(sent.len() <= most);
                    under_way = Some((sent, std::mem::take(&mut owed)));
                }
                Step::Settle(is_taken) => {
                    let Some((sent, before)) = under_way.take() else { continue };
                    pending.settle(&sent, is_taken, now);
                    for (what, times) in before {
                        let purged = is_taken && sent.iter().any(|(one, _)| covers(one, &what));
                        let left = if purged { times - 1 } else { times };
                        // What was purged again meanwhile is owed anew.
                        if left > 0 {
                            owed.entry(what).or_insert(left);
                        }
                    }
                }
                Step::Wait(millis) => now += Duration::from_millis(millis),
                Step::Send(_) => {}
            }
        }
        prop_assert!(owed.is_empty(), "{owed:?}");
        prop_assert_eq!(pending.entries.len(), 0);
    }
}
