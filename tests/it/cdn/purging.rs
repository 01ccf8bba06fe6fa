//! That a CDN is told what is old, soon, and again and again until it has taken it.

use std::time::{Duration, Instant};

use panel_gateway::CdnKind;
use panel_harness::cdn::TOKEN;
use panel_harness::{Backend, Cdn, Client, Node, Probe, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{SITE, WITHIN, rig, site};

on_both_databases!(a_token_that_is_wrong_is_shown_and_a_cdn_that_is_down_misses_nothing);

const WRITE: &str = "/api/v2/probe/write";

async fn write(client: &Client, purge: Value) {
    client.post(WRITE).json(&json!({"value": "v", "purge": purge})).await.expect(201);
}

fn old(tags: &[&str]) -> Value {
    json!({"old": {"tags": tags}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_or_gone_is_purged_within_a_moment_and_twice_again() {
    for kind in [CdnKind::Webhook, CdnKind::Cloudflare, CdnKind::Fastly] {
        let (cdn, probe) = (Cdn::start(kind).await, Probe::new());
        let (rig, _) = rig(&cdn, &probe).await;
        let (client, site) = (rig.client(), site(&rig));
        // Who begins to purge can't know what was missed.
        cdn.await_purge(&site, 0).await;
        assert_eq!(cdn.purged()[0].tags, [site.as_str()]);
        let mut took = Vec::new();
        for n in 0..20 {
            let (before, began) = (cdn.purged().len(), Instant::now());
            let tag = format!("thread:{n}");
            let gone = json!({"gone": {"tags": [tag]}});
            write(&client, if n % 2 == 0 { old(&[&tag]) } else { gone }).await;
            cdn.await_purge(&format!("{site}/probe/{tag}"), before).await;
            took.push(began.elapsed());
        }
        took.sort_unstable();
        assert!(took[took.len() / 2] < Duration::from_millis(250), "{took:?}");
        let before = cdn.purged().len();
        write(&client, json!({"old": "everything"})).await;
        cdn.await_purge(&format!("{site}/probe"), before).await;
        if kind != CdnKind::Webhook {
            rig.shutdown().await;
            continue;
        }
        // What may come to it after the purge, and is from before it.
        let tag = format!("{site}/probe");
        let times = async || {
            let purged = cdn.purged();
            let of_it = purged.iter().skip(before).filter(|purged| purged.tags.contains(&tag));
            let times: Vec<Instant> = of_it.map(|purged| purged.at).collect();
            if times.len() == 3 { Ok(times) } else { Err(times) }
        };
        let times = eventually("it is purged thrice", WITHIN, times).await;
        let pauses = [times[1] - times[0], times[2] - times[0]].map(|pause| pause.as_secs());
        assert!(pauses[0] >= 1 && pauses[1] >= 12, "{pauses:?}");
        let count = |result| rig.metrics().count("panel_cdn_purges_total", &[("result", result)]);
        assert_eq!(count("taken"), cdn.purged().len() as u64);
        assert_eq!(count("failed") + count("refused") + count("limited"), 0);
        rig.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_requests_are_sent_as_it_takes_and_no_more() {
    let (cdn, probe) = (Cdn::start(CdnKind::Cloudflare).await, Probe::new());
    let (rig, _) = rig(&cdn, &probe).await;
    let (client, site) = (rig.client(), site(&rig));
    cdn.await_purge(&site, 0).await;
    // While it takes none, they gather; and each is there once.
    cdn.refuses(Some(500));
    let before = cdn.purged().len();
    let tags: Vec<String> = (0..31).map(|n| format!("tag:{n:02}")).collect();
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    for _ in 0..3 {
        write(&client, old(&tags)).await;
    }
    eventually("it has failed", WITHIN, async || cdn.purged().len() > before).await;
    assert_eq!(rig.metrics().count("panel_cdn_pending_tags", &[]), 31);
    cdn.refuses(None);
    let mut expected: Vec<String> = tags.iter().map(|tag| format!("{site}/probe/{tag}")).collect();
    expected.sort_unstable();
    let taken = eventually("all are taken", WITHIN, async || {
        let mut taken = cdn.tags_from(before);
        taken.sort_unstable();
        taken.dedup();
        if taken.len() >= 31 { Ok(taken) } else { Err(cdn.purged()) }
    })
    .await;
    assert_eq!(taken, expected);
    let sizes: Vec<usize> = cdn.purged()[before..].iter().map(|purged| purged.tags.len()).collect();
    assert!(sizes.iter().all(|size| *size <= 30), "{sizes:?}");
    let first = cdn.purged()[before..].iter().position(|purged| purged.status == 200).unwrap();
    assert!(sizes[first] == 30 && sizes[first + 1] < 30, "{sizes:?}");
    eventually("none is left", WITHIN, async || {
        rig.metrics().count("panel_cdn_pending_tags", &[]) == 0
    })
    .await;
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cdn_that_is_asked_too_often_is_left_alone_as_long_as_it_says() {
    let (cdn, probe) = (Cdn::start(CdnKind::Fastly).await, Probe::new());
    let (rig, _) = rig(&cdn, &probe).await;
    let (client, site) = (rig.client(), site(&rig));
    cdn.await_purge(&site, 0).await;
    let before = cdn.purged().len();
    cdn.will_answer(&[(429, "2")]);
    write(&client, old(&["one"])).await;
    eventually("it is refused", WITHIN, async || cdn.purged().len() > before).await;
    write(&client, old(&["two"])).await;
    cdn.await_purge(&format!("{site}/probe/two"), before).await;
    let [refused, next] = &cdn.purged()[before..before + 2] else { panic!("there are two") };
    assert_eq!(refused.status, 429);
    assert!(next.at - refused.at >= Duration::from_secs(2), "{:?}", next.at - refused.at);
    assert!(next.tags.contains(&format!("{site}/probe/one")), "{next:?}");
    let limited = rig.metrics().count("panel_cdn_purges_total", &[("result", "limited")]);
    assert_eq!(limited, 1);
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_and_whoever_may_have_been_missed_can_be_lost() {
    let (cdn, probe) = (Cdn::start(CdnKind::Webhook).await, Probe::new());
    let (rig, _) = rig(&cdn, &probe).await;
    let (client, site) = (rig.client(), site(&rig));
    cdn.await_purge(&site, 0).await;
    // On its way with who is lost, nobody knows what became of it.
    let (before, count) = (cdn.purged().len(), || cdn.purged().len());
    cdn.refuses(Some(500));
    write(&client, old(&["lost"])).await;
    eventually("it is not taken", WITHIN, async || count() > before).await;
    rig.kill("gateway/cdn/sender").await;
    cdn.refuses(None);
    let taken = eventually("something is", WITHIN, async || {
        let purged = cdn.purged().into_iter().skip(before);
        purged.into_iter().find(|purged| purged.status == 200).ok_or(())
    })
    .await;
    assert_eq!(taken.tags, [site.as_str()]);
    let before = cdn.purged().len();
    write(&client, old(&["one"])).await;
    let tag = format!("{site}/probe/one");
    // Twice: by then it was looked who there is.
    eventually("it is purged", WITHIN, async || {
        let tags = cdn.tags_from(before);
        if tags.iter().filter(|one| **one == tag).count() > 1 { Ok(()) } else { Err(tags) }
    })
    .await;
    // What a member that is lost had to tell, nobody has heard.
    let before = cdn.purged().len();
    rig.front_door("probe").kill();
    cdn.await_purge(&format!("{site}/probe"), before).await;
    // And what nobody could tell a push door that is lost.
    let before = cdn.purged().len();
    rig.kill("gateway/push").await;
    cdn.await_purge(&format!("{site}/probe"), before).await;
    rig.shutdown().await;
}

/// What the node says of its CDN.
async fn said(node: &Node) -> Value {
    let status = node.cli(&["status", "--json"]).await;
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    status["dependencies"]["cdn"].clone()
}

async fn says(node: &Node, status: &str) -> Value {
    eventually(&format!("it says that it is {status}"), WITHIN, async || {
        let said = said(node).await;
        if said["status"] == status { Ok(said) } else { Err(said) }
    })
    .await
}

async fn a_token_that_is_wrong_is_shown_and_a_cdn_that_is_down_misses_nothing(backend: Backend) {
    let cdn = Cdn::start(CdnKind::Cloudflare).await;
    let (elsewhere, database) = (backend.database().await, backend.database().await);
    let stranger = cdn.configure(Node::builder().database(&elsewhere));
    let stranger = stranger.env("PANEL_GATEWAY__CDN__TOKEN", "wrong-and-secret").start().await;
    let reason = "purges are refused: see the log";
    assert_eq!(says(&stranger, "down").await["reason"], reason);
    eventually("the log says why", WITHIN, async || {
        let lines = stranger.log_json();
        lines.iter().any(|line| {
            line["message"] == "the CDN refuses purges: see gateway.cdn"
                && line["why"].as_str().unwrap().starts_with("401")
        })
    })
    .await;
    // It is shown, and that is all.
    stranger.ops_client().get("/health/ready").await.expect(200);
    assert!(!stranger.log_contains("wrong-and-secret"));
    assert!(cdn.purged().iter().all(|purged| purged.status == 401));
    drop(stranger);

    let node = cdn.configure(Node::builder().database(&database)).start().await;
    let admin = node.admin("root").await;
    cdn.await_purge(SITE, 0).await;
    assert_eq!(says(&node, "up").await["reason"], Value::Null);
    cdn.closes().await;
    let before = cdn.purged().len();
    let categories = "/api/v2/forum/categories";
    let made = admin.post(categories).json(&json!({"name": "General"})).await.expect(201).json();
    let thread = json!({"category_id": made["id"], "title": "t", "body": "b"});
    let thread = admin.post("/api/v2/forum/threads").json(&thread).await.expect(201).json();
    assert_eq!(says(&node, "down").await["reason"], "purges are not taken");
    let counted = node.metrics().await;
    assert!(counted.count("panel_cdn_pending_tags", &[]) >= 2);
    assert!(counted.value("panel_cdn_oldest_seconds", &[]) > 0.0);
    cdn.opens().await;
    let thread = format!("thread:{}", thread["id"].as_str().unwrap());
    for tag in ["categories", "threads", &thread] {
        cdn.await_purge(&format!("{SITE}/forum/{tag}"), before).await;
    }
    says(&node, "up").await;
    assert!(!node.log_contains(TOKEN));
    eventually("none is left", WITHIN, async || {
        node.metrics().await.count("panel_cdn_pending_tags", &[]) == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_t_be_is_refused_at_the_start() {
    let node = || Node::builder().env("PANEL_NODE__PUBLIC_URL", "https://a.example");
    let kind = |kind: &str| node().env("PANEL_GATEWAY__CDN__KIND", kind);
    let zone = |kind_of: &str| kind(kind_of).env("PANEL_GATEWAY__CDN__ZONE", "123");
    let whole = || zone("cloudflare").env("PANEL_GATEWAY__CDN__TOKEN", "123");
    for (node, said) in [
        (kind("akamai"), "unknown variant `akamai`"),
        (node().env("PANEL_GATEWAY__CDN__ZONE", "1"), "gateway.cdn.kind"),
        (kind("webhook").env("PANEL_GATEWAY__CDN__TOKEN", "t"), "gateway.cdn.url"),
        (zone("fastly"), "gateway.cdn.token"),
        (kind("fastly").env("PANEL_GATEWAY__CDN__TOKEN", "t"), "gateway.cdn.zone"),
        (whole().env("PANEL_GATEWAY__CDN__URL", "http://192.0.2.1"), "gateway.cdn.url"),
        (whole().env("PANEL_GATEWAY__CDN__MAX_AGE", "2d"), "gateway.cdn.max_age"),
        (whole().env("PANEL_GATEWAY__CDN__CA_FILE", "/nowhere/ca.pem"), "/nowhere/ca.pem"),
        (whole().env("PANEL_GATEWAY__CACHE__BYTES", "0"), "gateway.cache.bytes"),
        (whole().env("PANEL_NODE__PUBLIC_URL", ""), "node.public_url"),
        (
            whole().roles("gateway").args([
                "--cluster-listen",
                "127.0.0.1:0",
                "--tls-dir",
                "/nowhere",
            ]),
            "who purges at the CDN",
        ),
    ] {
        let output = node.start_refused().await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}: {text}");
        assert!(text.contains(said), "{said}: {text}");
    }
    let shown = whole().cli(&["config", "show"]).await;
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("zone = \"123\"") && text.contains("token = \"[redacted]\""), "{text}");
}
