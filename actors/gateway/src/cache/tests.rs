//! What may be shown to whom, and for how long.

use std::time::Duration;

use panel_kernel::http::etag;
use panel_kernel::message::Extensions;

use super::*;

const CONTROL: &str = "public, s-maxage=1, stale-while-revalidate=3, stale-if-error=10";

fn cache(bytes: u64) -> Cache {
    Cache::new(bytes, ["forum", "cms"].into_iter(), None, None, &Metrics::new().unwrap()).unwrap()
}

fn request(uri: &str, headers: &[(&str, &str)]) -> request::Parts {
    let mut request = http::Request::get(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000).plus(Duration::from_millis(millis))
}

fn ask<'r>(cache: &Cache, parts: &'r request::Parts, millis: u64) -> Question<'r> {
    cache.question("forum", parts, &Principal::Anonymous, at(millis)).unwrap()
}

#[allow(clippy::unnecessary_wraps, reason = "like the failures beside it")]
fn reply(body: &str, headers: &[(&'static str, &str)]) -> Outcome {
    let mut reply = Reply::json(StatusCode::OK, body.to_owned());
    for (name, value) in headers {
        reply.headers.append(*name, value.parse().unwrap());
    }
    Ok(reply)
}

fn shared(body: &str) -> Outcome {
    reply(body, &[("cache-control", CONTROL)])
}

fn failed() -> Outcome {
    Err(Problem::unavailable("forum", "it is gone"))
}

/// What is kept for a question, as text.
fn text(cache: &Cache, question: &Question<'_>) -> Option<String> {
    cache.find(question).map(|kept| String::from_utf8_lossy(&kept.body).into_owned())
}

/// The same with tags.
fn tagged(body: &str, tags: &str) -> Outcome {
    shared(body).map(|mut reply| {
        reply.extensions.set(Extensions::TAGS, tags.to_owned());
        reply
    })
}

/// A reply that says what its request has made old.
fn purging(status: StatusCode, purge: Option<&Purge>) -> Reply {
    let mut reply = Reply::json(status, "{}");
    if let Some(purge) = purge {
        reply.extensions.set(Extensions::PURGE, purge.to_text());
    }
    reply
}

#[test]
fn an_answer_is_fresh_for_its_time_and_stands_in_for_longer() {
    let (cache, parts) = (cache(1 << 20), request("/a?b=1", &[]));
    cache.land(&ask(&cache, &parts, 0), &shared("1"));
    let kept = cache.find(&ask(&cache, &parts, 0)).unwrap();
    for (millis, standing) in [
        (0, Standing::Fresh),
        (999, Standing::Fresh),
        (1_000, Standing::Revalidating),
        (3_999, Standing::Revalidating),
        (4_000, Standing::Old),
        (10_999, Standing::Old),
        (11_000, Standing::Gone),
    ] {
        assert_eq!(cache.standing(&kept, &ask(&cache, &parts, millis)), standing, "{millis}");
        let may = cache.may_stand_in(&kept, at(millis));
        assert_eq!(may, standing != Standing::Gone, "{millis}");
    }
    assert_eq!((kept.age(at(999)), kept.age(at(5_400))), (0, 5));
    assert_eq!((kept.ttl(at(0)), kept.ttl(at(999)), kept.ttl(at(31_000))), (1, 0, -30));
    assert_eq!(kept.headers[header::ETAG], etag::of_body(b"1"));
    assert_eq!(kept.headers[header::CACHE_CONTROL], "public, s-maxage=1");
    // Asked before that: the clock was set back.
    let early =
        Question { asked_at: at(0).minus(Duration::from_secs(1)), ..ask(&cache, &parts, 0) };
    assert_eq!(cache.standing(&kept, &early), Standing::Gone);
}

#[test]
fn a_write_that_says_nothing_makes_everything_of_its_service_old() {
    let (cache, parts) = (cache(1 << 20), request("/a", &[]));
    let before = ask(&cache, &parts, 0);
    let writing = cache.writing("forum", &Method::POST, 1);
    cache.land(&before, &tagged("1", "threads"));
    let standing = |millis| {
        let question = ask(&cache, &parts, millis);
        cache.standing(&cache.find(&question).unwrap(), &question)
    };
    assert_eq!(standing(1), Standing::Fresh, "the write has not ended");
    drop(writing);
    // Also not while it is asked for anew.
    assert_eq!((standing(2), standing(2_000)), (Standing::Old, Standing::Old));
    assert!(cache.may_stand_in(&cache.find(&before).unwrap(), at(2)));
    // What was asked before the write ended does not become fresh by coming late.
    cache.land(&before, &tagged("1", "threads"));
    assert_eq!(standing(3), Standing::Old);
    cache.land(&ask(&cache, &parts, 3), &tagged("2", "threads"));
    for (service, method) in [("cms", Method::POST), ("forum", Method::GET)] {
        drop(cache.writing(service, &method, 1));
    }
    assert_eq!(standing(4), Standing::Fresh);
    // And does not replace what was asked later.
    cache.land(&before, &tagged("1", "threads"));
    assert_eq!(text(&cache, &before).as_deref(), Some("2"));
}

#[test]
fn a_write_makes_old_what_it_says_and_nothing_if_it_was_refused() {
    let cache = cache(1 << 20);
    let (one, other) = (request("/1", &[]), request("/2", &[]));
    let standings = |millis| {
        [&one, &other].map(|parts| {
            let question = ask(&cache, parts, millis);
            cache.standing(&cache.find(&question).unwrap(), &question)
        })
    };
    let write = |reply: &Reply| {
        cache.land(&ask(&cache, &one, 0), &tagged("1", "threads thread:1"));
        cache.land(&ask(&cache, &other, 0), &tagged("2", "thread:2"));
        cache.writing("forum", &Method::POST, 7).answered(reply);
        standings(1)
    };
    let done = |purge: &Purge| write(&purging(StatusCode::OK, Some(purge)));
    let (fresh, old, gone) = (Standing::Fresh, Standing::Old, Standing::Gone);
    assert_eq!(done(&Purge::nothing()), [fresh, fresh]);
    assert_eq!(done(&Purge::of(["thread:1"])), [old, fresh]);
    assert_eq!(done(&Purge::of(["thread:2", "thread:3"])), [fresh, old]);
    assert_eq!(done(&Purge::gone(["threads"])), [gone, fresh]);
    assert_eq!(done(&Purge::everything()), [old, old]);
    assert_eq!(done(&Purge::everything_gone()), [gone, gone]);
    assert_eq!(write(&purging(StatusCode::NOT_FOUND, None)), [fresh, fresh]);
    assert_eq!(write(&purging(StatusCode::OK, None)), [old, old]);
    assert_eq!(write(&purging(StatusCode::BAD_GATEWAY, None)), [old, old]);
    // What is gone does not come back by an answer that was asked for before.
    let late = ask(&cache, &one, 2);
    cache.purge("forum", &Purge::gone(["thread:1"]));
    cache.land(&late, &tagged("1", "threads thread:1"));
    assert_eq!(standings(3)[0], gone);
    let kept = cache.find(&late).unwrap();
    assert!(!cache.may_stand_in(&kept, at(3)));
}

#[test]
fn what_a_reply_has_said_already_is_not_done_again_when_it_is_told() {
    let (cache, parts) = (cache(1 << 20), request("/a", &[]));
    let told = |by, purge| cache.told("forum", &[PurgeItem { by, purge }]);
    let is_fresh_after = |work: &dyn Fn()| {
        cache.land(&ask(&cache, &parts, 0), &tagged("1", "threads"));
        work();
        let question = ask(&cache, &parts, 1);
        cache.standing(&cache.find(&question).unwrap(), &question) == Standing::Fresh
    };
    let purge = Purge::of(["threads"]);
    cache.writing("forum", &Method::POST, 7).answered(&purging(StatusCode::OK, Some(&purge)));
    assert!(is_fresh_after(&|| told(Some(7), Purge::of(["threads"]))));
    assert!(!is_fresh_after(&|| told(Some(8), Purge::of(["threads"]))));
    assert!(!is_fresh_after(&|| told(None, Purge::of(["threads"]))));
    // Of a write whose reply did not come, what was told counts.
    drop(cache.writing("forum", &Method::POST, 9));
    assert!(!is_fresh_after(&|| told(Some(9), Purge::of(["threads"]))));
    assert!(is_fresh_after(&|| cache.told("nobody", &[])));
}

#[test]
fn only_requests_without_credentials_and_conditions_are_questions() {
    let cache = cache(1 << 20);
    let is_question = |parts: &request::Parts, principal: &Principal| {
        cache.question("forum", parts, principal, at(0)).is_some()
    };
    assert!(is_question(&request("/a", &[("if-none-match", "*")]), &Principal::Anonymous));
    for name in ["authorization", "cookie", "x-api-key", "if-match", "range"] {
        assert!(!is_question(&request("/a", &[(name, "x")]), &Principal::Anonymous), "{name}");
    }
    let service = Principal::Service("cms".to_owned());
    assert!(!is_question(&request("/a", &[]), &service));
    let mut post = request("/a", &[]);
    post.method = Method::POST;
    assert!(!is_question(&post, &Principal::Anonymous));
    let none = Cache::new(0, std::iter::empty(), None, None, &Metrics::new().unwrap()).unwrap();
    let parts = request("/a", &[]);
    assert!(none.question("forum", &parts, &Principal::Anonymous, at(0)).is_none());
}

#[test]
fn what_may_not_be_kept_is_not_and_removes_what_was() {
    let (cache, parts) = (cache(1 << 20), request("/a", &[]));
    let mut missing = Reply::problem(&Problem::not_found("thread"));
    missing.headers.insert(header::CACHE_CONTROL, CONTROL.parse().unwrap());
    for other in [
        reply("2", &[]),
        reply("2", &[("cache-control", "private, max-age=9")]),
        reply("2", &[("cache-control", CONTROL), ("set-cookie", "a=b")]),
        reply("2", &[("cache-control", CONTROL), ("vary", "*")]),
        Ok(missing),
        Err(Problem::internal()),
    ] {
        let question = ask(&cache, &parts, 0);
        cache.land(&question, &shared("1"));
        assert_eq!(text(&cache, &question).as_deref(), Some("1"));
        assert!(matches!(cache.land(&question, &other), Landing::Alone));
        assert_eq!(text(&cache, &question), None, "{other:?}");
    }
}

#[test]
fn a_service_that_is_gone_removes_nothing() {
    let (cache, parts) = (cache(1 << 20), request("/a", &[]));
    let question = ask(&cache, &parts, 0);
    cache.land(&question, &shared("1"));
    let busy = Ok(Reply::problem(&Problem::unavailable("forum", "no database")));
    let late = Err(Problem::new(Kind::DeadlineExceeded, "too late"));
    for failure in [failed(), busy, late] {
        assert!(matches!(cache.land(&question, &failure), Landing::Failed(_)));
        assert_eq!(text(&cache, &question).as_deref(), Some("1"));
    }
}

#[test]
fn what_each_reader_is_counted_for_is_never_fresh_and_never_shared() {
    let (cache, parts) = (cache(1 << 20), request("/a", &[]));
    let question = ask(&cache, &parts, 0);
    let counted = reply("1", &[("cache-control", "public, max-age=0, stale-if-error=600")]);
    assert!(matches!(cache.land(&question, &counted), Landing::Alone));
    let kept = cache.find(&question).unwrap();
    assert!(kept.only_stands_in());
    assert_eq!(cache.standing(&kept, &question), Standing::Old);
}

#[test]
fn the_key_is_the_path_the_query_in_any_order_and_what_the_reply_depends_on() {
    let cache = cache(1 << 20);
    let [one, same, other] = ["/a?x=1&y=2&y=1", "/a?y=2&&x=1&y=1", "/a?x=1&y=1&y=2"]
        .map(|uri| request(uri, &[("accept", "text/html"), ("accept-language", "de")]));
    let varies = reply("1", &[("cache-control", CONTROL), ("vary", "Accept")]);
    cache.land(&ask(&cache, &one, 0), &varies);
    assert_eq!(text(&cache, &ask(&cache, &same, 0)).as_deref(), Some("1"));
    assert_eq!(text(&cache, &ask(&cache, &other, 0)), None);
    let json = request("/a?x=1&y=2&y=1", &[("accept", "application/json")]);
    let question = ask(&cache, &json, 0);
    assert_eq!(text(&cache, &question), None);
    let Landing::Kept(kept) = cache.land(&ask(&cache, &one, 0), &varies) else { panic!("kept") };
    assert!(ask(&cache, &same, 0).is_answered_by(&kept) && !question.is_answered_by(&kept));
    cache.land(&question, &reply("2", &[("cache-control", CONTROL), ("vary", "accept")]));
    assert_eq!(text(&cache, &question).as_deref(), Some("2"));
    assert_eq!(text(&cache, &ask(&cache, &one, 0)).as_deref(), Some("1"));
    let cms = cache.question("cms", &one, &Principal::Anonymous, at(0)).unwrap();
    assert_eq!(text(&cache, &cms), None);
}

#[test]
fn memory_is_bounded_and_large_answers_are_not_kept() {
    let cache = cache(100_000);
    for n in 0..1_000 {
        let parts = request(&format!("/{n}"), &[]);
        cache.land(&ask(&cache, &parts, 0), &shared(&"x".repeat(1_000)));
        let inner = cache.0.as_ref().unwrap();
        assert!(inner.slots.weighted_size() <= 100_000);
        assert!((1_000..=100_000).contains(&inner.bytes.get()), "{}", inner.bytes.get());
    }
    let (cache, parts) = (self::cache(1 << 30), request("/large", &[]));
    let question = ask(&cache, &parts, 0);
    let large = shared(&"x".repeat(1024 * 1024));
    // Who waits for it has it all the same.
    assert!(matches!(cache.land(&question, &large), Landing::Kept(_)));
    assert_eq!(text(&cache, &question), None);
}

#[test]
fn what_may_not_be_shown_any_more_makes_room() {
    let cache = cache(1 << 20);
    let (short, long) = (request("/short", &[]), request("/long", &[]));
    let brief = reply("1", &[("cache-control", "public, s-maxage=1")]);
    cache.land(&ask(&cache, &short, 0), &brief);
    cache.land(&ask(&cache, &long, 0), &shared("2"));
    let slots = &cache.0.as_ref().unwrap().slots;
    slots.run_pending_tasks();
    assert_eq!(slots.entry_count(), 2);
    // By the machine's clock, whatever the answers' own is.
    let give_up = std::time::Instant::now() + Duration::from_secs(9);
    while slots.entry_count() > 1 {
        assert!(std::time::Instant::now() < give_up, "it stays");
        std::thread::sleep(Duration::from_millis(10));
        slots.run_pending_tasks();
    }
    assert_eq!(text(&cache, &ask(&cache, &long, 0)).as_deref(), Some("2"));
    assert!(cache.find(&ask(&cache, &short, 0)).is_none());
}
