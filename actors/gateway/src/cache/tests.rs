//! What may be shown to whom, and for how long.

use std::time::Duration;

use super::*;

const CONTROL: &str = "public, s-maxage=1, stale-if-error=10";

fn cache(bytes: u64) -> Cache {
    Cache::new(bytes, ["forum", "cms"].into_iter(), &Metrics::new().unwrap()).unwrap()
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

#[test]
fn an_answer_is_fresh_for_its_time_and_stands_in_for_longer() {
    let (cache, parts) = (cache(1 << 20), request("/a?b=1", &[]));
    cache.land(&ask(&cache, &parts, 0), &shared("1"));
    let kept = cache.find(&ask(&cache, &parts, 0)).unwrap();
    let fresh = |millis| kept.is_fresh(&ask(&cache, &parts, millis));
    assert_eq!((fresh(0), fresh(999), fresh(1_000)), (true, true, false));
    assert!(kept.may_stand_in(at(10_999)) && !kept.may_stand_in(at(11_000)));
    assert_eq!((kept.age(at(999)), kept.age(at(5_400))), (0, 5));
    assert_eq!(kept.headers[header::ETAG], etag::of_body(b"1"));
    // Asked before that: the clock was set back.
    let early =
        Question { asked_at: at(0).minus(Duration::from_secs(1)), ..ask(&cache, &parts, 0) };
    assert!(!kept.is_fresh(&early));
}

#[test]
fn a_write_makes_everything_of_its_service_old() {
    let (cache, parts) = (cache(1 << 20), request("/a", &[]));
    let before = ask(&cache, &parts, 0);
    let writing = cache.writing("forum", &Method::POST);
    cache.land(&before, &shared("1"));
    let kept = cache.find(&before).unwrap();
    assert!(kept.is_fresh(&ask(&cache, &parts, 1)), "the write has not ended");
    drop(writing);
    assert!(!kept.is_fresh(&ask(&cache, &parts, 2)));
    assert!(kept.may_stand_in(at(2)));
    // What was asked before the write ended does not become fresh by coming late.
    cache.land(&before, &shared("1"));
    assert!(!cache.find(&before).unwrap().is_fresh(&ask(&cache, &parts, 3)));
    cache.land(&ask(&cache, &parts, 3), &shared("2"));
    for (service, method) in [("cms", Method::POST), ("forum", Method::GET)] {
        drop(cache.writing(service, &method));
    }
    assert!(cache.find(&before).unwrap().is_fresh(&ask(&cache, &parts, 4)));
    // And does not replace what was asked later.
    cache.land(&before, &shared("1"));
    assert_eq!(text(&cache, &before).as_deref(), Some("2"));
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
    let none = Cache::new(0, std::iter::empty(), &Metrics::new().unwrap()).unwrap();
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
    assert!(kept.only_stands_in() && !kept.is_fresh(&question) && kept.may_stand_in(at(1)));
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
    assert!(kept.answers(&ask(&cache, &same, 0)) && !kept.answers(&question));
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
