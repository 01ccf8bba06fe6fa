use std::fs;

use http::{HeaderMap, Method};
use proptest::prelude::*;

use super::config::TrafficConfig;
use super::{Chosen, Looked, Policy, Traffic};

const SERVICES: [&str; 2] = ["auth", "forum"];

fn parse(text: &str) -> Result<TrafficConfig, String> {
    TrafficConfig::parse(text.as_bytes(), &SERVICES, "auth")
}

fn policy(text: &str) -> Policy {
    Policy::new(&parse(&format!("[forum]\n{text}")).unwrap().0["forum"])
}

/// Which of these releases answer what has this place among all.
fn narrowed<'r>(
    policy: &Policy,
    releases: &[&'r str],
    is_canary: bool,
    point: u64,
) -> Vec<&'r str> {
    let mut fit = releases.to_vec();
    policy.narrow(&mut fit, |release| release, (is_canary, point));
    fit
}

#[test]
fn what_can_not_be_is_named() {
    for (text, why) in [
        ("[blog]", "\"blog\" is not a service"),
        ("[forum]\nweight = 3", "line 2: unknown field `weight`"),
        ("[forum]\n\ntimeout = 3", "line 3: invalid type"),
        ("[forum]\ntimeout = \"10m\"", "forum.timeout: must be between 1ms and 5m"),
        ("[forum]\ntimeout = \"0s\"", "forum.timeout: must be between"),
        ("[forum.weights]\n\"1.0\" = 0", "forum.weights: one of them must be more than 0"),
        ("[forum.weights]\n\"a b\" = 1", "forum.weights: \"a b\" is not a release"),
        ("[forum.weights]\n\"a\" = -1", "line 2: invalid value"),
        ("[forum.canary]\nrelease = \"2\"", "missing field `header`"),
        (
            "[forum.canary]\nrelease = \"2\"\nheader = \"authorization\"",
            "line 3: canary.header: \"authorization\" is not a header like x-canary",
        ),
        (
            "[forum.canary]\nrelease = \"2\"\nheader = \"x-a\"\nvalue = \"a\\nb\"",
            "forum.canary.value: \"a\\nb\" can't stand in a header",
        ),
        (
            "[forum.mirror]\nrelease = \"2\"\npercent = 101",
            "forum.mirror.percent: must be between 1",
        ),
        ("[auth.mirror]\nrelease = \"2\"\npercent = 1", "auth.mirror: some of what is read here"),
        ("[forum.outliers]\nleast = 0", "forum.outliers.least: must be"),
        ("[forum.outliers]\npercent = 0", "forum.outliers.percent: must be"),
        ("[forum.outliers]\nwindow = \"10m\"", "forum.outliers.window: must be between 1s and 5m"),
        (
            "[[forum.routes]]\npath = \"/a/\"\ntimeout = \"1s\"",
            "forum.routes: number 1: path: \"/a/\" must begin with / and not end with one",
        ),
        ("[forum", "line 1: "),
    ] {
        let told = parse(text).unwrap_err();
        assert!(told.contains(why), "{text:?}: {told}");
        assert!(!told.contains('\n'), "{told:?}");
    }
    TrafficConfig::parse(&[0xff], &SERVICES, "auth").unwrap_err();
    assert_eq!(parse("").unwrap(), TrafficConfig::default());
}

#[test]
fn a_release_that_is_tried_is_for_who_asks_for_it() {
    let tried = policy("canary = { release = \"2\", header = \"X-Try\", value = \"yes\" }");
    let asks = |value: &str| {
        let mut headers = HeaderMap::new();
        headers.append("x-try", "no".parse().unwrap());
        headers.append("x-try", value.parse().unwrap());
        tried.is_canary(&headers)
    };
    assert!(asks("yes") && !asks("no") && !tried.is_canary(&HeaderMap::new()));
    assert_eq!(tried.canary_header().unwrap(), "x-try");
    for point in [0, u64::MAX / 2, u64::MAX] {
        assert_eq!(narrowed(&tried, &["1", "2", "3"], true, point), ["2"]);
        assert_eq!(narrowed(&tried, &["1", "2", "3"], false, point), ["1", "3"]);
        // Better another than none.
        assert_eq!(narrowed(&tried, &["1", "3"], true, point), ["1", "3"]);
        assert_eq!(narrowed(&tried, &["2"], false, point), ["2"]);
        assert!(narrowed(&tried, &[], true, point).is_empty());
    }
    assert_eq!(tried.chosen("2", true), Chosen::Canary);
    let any = policy("canary = { release = \"2\", header = \"x-try\" }");
    let mut headers = HeaderMap::new();
    headers.append("x-try", "whatever".parse().unwrap());
    assert!(any.is_canary(&headers));
    // What is only shown copies answers nobody.
    let shown = policy("mirror = { release = \"2\", percent = 5 }");
    assert_eq!(narrowed(&shown, &["1", "2"], false, 7), ["1"]);
    // Unless it is said.
    let both = policy("mirror = { release = \"2\", percent = 5 }\nweights = { 2 = 1, \"*\" = 1 }");
    assert_eq!(narrowed(&both, &["1", "2"], false, 0), ["2"]);
    assert_eq!(narrowed(&both, &["1", "2"], false, u64::MAX), ["1"]);
}

#[test]
fn the_timeout_is_that_of_the_longest_path() {
    let policy = policy(
        "timeout = \"7s\"\nroutes = [{ path = \"/a\", timeout = \"1s\" }, \
         { path = \"/a/b\", timeout = \"2s\", methods = \"writes\" }, \
         { path = \"/a/b/c\", timeout = \"9s\" }]",
    );
    let of = |method, path| policy.timeout(&method, path).unwrap().as_secs();
    assert_eq!(of(Method::GET, "/z"), 7);
    assert_eq!(of(Method::GET, "/a"), 1);
    assert_eq!(of(Method::GET, "/ab"), 7, "whole segments");
    assert_eq!(of(Method::GET, "/a/b"), 1);
    assert_eq!(of(Method::POST, "/a/b/x"), 2);
    assert_eq!(of(Method::POST, "/a/b/c/d"), 9);
    assert_eq!(policy.longest_timeout().unwrap().as_secs(), 9);
}

proptest! {
    /// Whatever the weights, each release that is there has its share of all places, and where none has any, all are
    /// asked; and nobody is lost.
    #[test]
    fn each_release_has_its_share(
        weights in prop::collection::vec(0_u32..50, 1..5),
        others in 0_u32..50,
        there in prop::collection::vec(0_usize..8, 0..6),
    ) {
        prop_assume!(others > 0 || weights.iter().any(|weight| *weight > 0));
        let named = weights.iter().enumerate().map(|(n, weight)| format!("\"r{n}\" = {weight}"));
        let named = named.chain([format!("\"*\" = {others}")]).collect::<Vec<_>>().join(", ");
        let policy = policy(&format!("weights = {{ {named} }}"));
        let releases: Vec<String> = there.iter().map(|n| format!("r{n}")).collect();
        let releases: Vec<&str> = releases.iter().map(String::as_str).collect();
        let weight = |release: &str| {
            let n: usize = release[1..].parse().unwrap();
            weights.get(n).map_or((None, others), |weight| (Some(n), *weight))
        };
        let present: std::collections::BTreeMap<_, _> = releases.iter().map(|one| weight(one)).collect();
        let total: u32 = present.values().sum();
        let parts = 1_000_u64;
        let mut drawn = std::collections::BTreeMap::new();
        for part in 0..parts {
            let point = u64::MAX / parts * part;
            let found = narrowed(&policy, &releases, false, point);
            prop_assert_eq!(found.is_empty(), releases.is_empty());
            if total == 0 {
                prop_assert_eq!(&found, &releases);
            } else if let Some(first) = found.first() {
                let group = weight(first);
                let all = releases.iter().filter(|one| weight(one) == group).copied();
                prop_assert_eq!(&found, &all.collect::<Vec<_>>());
                *drawn.entry(group.0).or_insert(0_u64) += 1;
            }
        }
        for (group, weight) in present.into_iter().filter(|_| total > 0) {
            let share = parts * u64::from(weight) / u64::from(total);
            let found = drawn.get(&group).copied().unwrap_or_default();
            prop_assert!(found.abs_diff(share) <= 2, "{:?}: {} of {}", group, found, share);
        }
    }
}

#[test]
fn what_can_be_is_in_force_once_it_is_settled() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("traffic.toml");
    let load = || Traffic::load(path.clone(), SERVICES.to_vec(), "auth");
    assert!(load().unwrap_err().to_string().contains("is not there"));
    fs::write(&path, "[forum]\ntimeout = \"1s\"").unwrap();
    let traffic = load().unwrap();
    let timeout = || traffic.longest_timeout().map(|timeout| timeout.as_secs());
    let looks = |expected: Result<Looked, &str>| {
        let looked = traffic.look().map_err(|error| error.why);
        assert_eq!(looked, expected.map_err(str::to_owned));
    };
    looks(Ok(Looked::Same));
    fs::write(&path, "[forum]\ntimeout = \"2s\"").unwrap();
    looks(Ok(Looked::Changing));
    assert_eq!(timeout(), Some(1), "it may be half written");
    looks(Ok(Looked::Applied));
    assert_eq!(timeout(), Some(2));
    looks(Ok(Looked::Same));
    for (write, why) in
        [(Some("[blog]"), "can't be used: \"blog\" is not a service"), (None, "is not there")]
    {
        match write {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        looks(Ok(Looked::Changing));
        looks(Err(why));
        looks(Err(why));
        assert_eq!((timeout(), traffic.is_in_force()), (Some(2), Some(false)));
    }
    fs::write(&path, "").unwrap();
    looks(Ok(Looked::Changing));
    looks(Ok(Looked::Applied));
    assert_eq!((timeout(), traffic.is_in_force()), (None, Some(true)));
    assert!(traffic.of("forum").is_none());
    let none = Traffic::default();
    assert!(none.of("forum").is_none() && none.is_in_force().is_none());
}
