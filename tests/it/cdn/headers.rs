//! What a CDN is told with answers.

use std::time::Duration;

use panel_gateway::CdnKind;
use panel_harness::{Answer, Backend, Cdn, Probe, RigBuilder, eventually};
use panel_kernel::role::Role;
use serde_json::json;

use super::{WITHIN, rig, site};

const SHARED: &str = "/api/v2/probe/shared?control=public,max-age=0,s-maxage=60,\
                      stale-while-revalidate=10,stale-if-error=600";
const KEEP: &str = "max-age=3600, stale-while-revalidate=10, stale-if-error=3600";
const OWN: [&str; 5] = [
    "cache-tag",
    "surrogate-key",
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "surrogate-control",
];

/// What of it is for a CDN.
fn told(answer: &Answer) -> Vec<(&'static str, &str)> {
    OWN.iter().filter_map(|name| Some((*name, answer.header(name)?))).collect()
}

/// What of it is for caches of all kinds.
fn public(answer: &Answer) -> Vec<(String, String)> {
    let names = ["cache-control", "age", "vary", "etag"];
    let all = answer.headers.iter().filter(|(name, _)| names.contains(&name.as_str()));
    all.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn a_cdn_is_told_how_long_and_by_which_tags_and_nobody_else_notices() {
    let without = Box::pin(RigBuilder::new(Backend::Sqlite.database().await).start()).await;
    let path = format!("{SHARED}&tags=threads,thread:1");
    let before = public(&without.client().get(&path).await.expect(200));
    assert_eq!(told(&without.client().get(&path).await), []);
    without.shutdown().await;
    for (kind, tag, between, control) in [
        (CdnKind::Webhook, "cache-tag", ",", "cdn-cache-control"),
        (CdnKind::Cloudflare, "cache-tag", ",", "cloudflare-cdn-cache-control"),
        (CdnKind::Fastly, "surrogate-key", " ", "surrogate-control"),
    ] {
        let (cdn, probe) = (Cdn::start(kind).await, Probe::new());
        let (rig, clock) = rig(&cdn, &probe).await;
        let (client, site) = (rig.client(), site(&rig));
        let tags = ["", "/probe", "/probe/threads", "/probe/thread:1"];
        let tags = tags.map(|tag| format!("{site}{tag}")).join(between);
        let expected = [(tag, tags.as_str()), (control, KEEP)];
        let first = client.get(&path).await.expect(200);
        assert_eq!((told(&first), public(&first)), (expected.to_vec(), before.clone()));
        // As well where it is kept, where the CDN asks whether it has changed, and where it is asked for anew.
        assert_eq!(told(&client.get(&path).await.expect(200)), expected);
        let tag = first.header("etag").unwrap();
        let same = client.get(&path).header("if-none-match", tag).await.expect(304);
        assert_eq!(told(&same), expected);
        assert_eq!(told(&client.head(&path).await.expect(200)), expected);
        clock.advance(Duration::from_secs(61));
        let older = client.get(&path).await.expect(200);
        assert!(older.header("cache-status").unwrap().contains("stale-while-revalidate"));
        assert_eq!(told(&older), expected);
        rig.shutdown().await;
    }
}

#[tokio::test]
async fn what_a_cdn_could_not_purge_or_is_not_for_everybody_it_does_not_keep() {
    for (kind, not) in [
        (CdnKind::Webhook, ("cdn-cache-control", "no-store")),
        (CdnKind::Cloudflare, ("cloudflare-cdn-cache-control", "no-store")),
        (CdnKind::Fastly, ("surrogate-control", "max-age=0")),
    ] {
        let (cdn, probe) = (Cdn::start(kind).await, Probe::new());
        let (rig, clock) = rig(&cdn, &probe).await;
        let (client, tagged) = (rig.client(), format!("{SHARED}&tags=one"));
        // By no tag, or by one that can't be said; each reader is to be heard of.
        let counted = "/api/v2/probe/shared?control=public,max-age=0,stale-if-error=60&tags=one";
        let long = format!("{SHARED}&tags={}", "x".repeat(2_000));
        for path in [SHARED, counted, long.as_str()] {
            assert_eq!(told(&client.get(path).await.expect(200)), [not], "{path}");
        }
        // Parts, and what is asked with credentials, are nothing that is kept here either.
        assert_eq!(told(&client.get(&tagged).header("range", "bytes=0-").await), [not]);
        for (name, value) in [("cookie", "a=b"), ("x-panel-some", "b")] {
            let answer = client.get(&tagged).header(name, value).await.expect(200);
            assert_eq!(told(&answer) == [not], name == "cookie", "{answer:?}");
        }
        let signed_in = rig.signed_in(Role::User).get(&tagged).await.expect(200);
        assert_eq!(told(&signed_in), [not]);
        // What is for one alone, and problems, no cache keeps anyway.
        let private = "/api/v2/probe/shared?control=private,max-age=60&tags=one";
        for path in [private, "/api/v2/probe/shared?tags=one", "/api/v2/probe/nothing"] {
            let answer = client.get(path).await;
            assert_eq!(told(&answer), [], "{answer:?}");
        }
        // What depends on more than credentials, for a CDN that does not look at that.
        let varies = client.get(&format!("{tagged}&vary=accept-language")).await.expect(200);
        let other = client.get(&tagged).header("origin", "https://a.example").await.expect(200);
        let is_ignored = kind == CdnKind::Cloudflare;
        assert_eq!([told(&varies) == [not], told(&other) == [not]], [is_ignored; 2]);
        // What stands in.
        clock.advance(Duration::from_secs(100));
        probe.fail(true);
        let stale = client.get(&tagged).await.expect(200);
        assert!(stale.header("x-panel-stale").is_some());
        assert_eq!(told(&stale), [not]);
        rig.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_old_on_its_way_is_not_kept() {
    let (cdn, probe) = (Cdn::start(CdnKind::Webhook).await, Probe::new());
    let (rig, _) = rig(&cdn, &probe).await;
    let client = rig.client();
    let path = format!("{SHARED}&tags=one&ms=1000");
    let asking = client.get(&path);
    let writing = async {
        eventually("it is asked", WITHIN, async || probe.count("shared") == 1).await;
        let write = json!({"value": "v", "purge": {"old": {"tags": ["one"]}}});
        client.post("/api/v2/probe/write").json(&write).await.expect(201);
    };
    let (answer, ()) = tokio::join!(asking, writing);
    assert_eq!(told(&answer.expect(200)), [("cdn-cache-control", "no-store")]);
    let next = client.get(&path).await.expect(200);
    assert_eq!(told(&next)[1], ("cdn-cache-control", KEEP));
    rig.shutdown().await;
}
