//! How much one client may ask for, and what it is told of it.

use std::cell::Cell;
use std::time::Duration;

use panel_gateway::ForwardedHeader;
use panel_harness::{
    Answer, Backend, Client, Node, NodeBuilder, Redis, Rig, RigBuilder, eventually,
};
use panel_kernel::role::Role;
use panel_kernel::time::{Clock, Timestamp};
use serde_json::json;

const OK: &str = "/api/v2/probe/ok";

/// A rig with ten requests at once and one a second for the anonymous, ten times that for
/// accounts, and as many writes as the anonymous have requests.
async fn rig(clock: &Clock, proxies: &[&str]) -> Rig {
    let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    let rig = RigBuilder::new(Backend::Sqlite.database().await)
        .clock(clock.clone())
        .gateway(|gateway| gateway.proxies.trusted = proxies)
        .limits(|limits| {
            limits.anonymous_per_minute = 60;
            limits.user_per_minute = 600;
            limits.writes_per_minute = 60;
            limits.burst = "10s".parse().unwrap();
        });
    Box::pin(rig.start()).await
}

fn clock() -> Clock {
    Clock::manual(Timestamp::from_seconds(1_800_000_000))
}

fn told(answer: &Answer) -> (Option<&str>, Option<&str>) {
    (answer.header("ratelimit-policy"), answer.header("ratelimit"))
}

#[tokio::test]
async fn who_asks_for_too_much_is_told_when_to_come_again() {
    let clock = clock();
    let rig = rig(&clock, &[]).await;
    let client = rig.client();
    for left in (0..10).rev() {
        let answer = client.get(OK).await.expect(200);
        let used = 10 - left;
        let standing = format!("\"anonymous\";r={left};t={used}");
        assert_eq!(told(&answer), (Some("\"anonymous\";q=10;w=10"), Some(standing.as_str())));
    }
    for _ in 0..3 {
        let refused = client.get(OK).await;
        refused.refused(429, "rate_limited");
        assert_eq!(refused.header("retry-after"), Some("1"));
        assert_eq!(told(&refused).1, Some("\"anonymous\";r=0;t=10"));
    }
    // Nothing was done for them, and the gateway's own routes and accounts are not concerned.
    assert_eq!(rig.probe.count("ok"), 10);
    let health = client.get("/api/v2/health").await.expect(200);
    assert_eq!(told(&health), (None, None));
    client.get("/api/v2/nothing").await.expect(404);
    let ada = rig.signed_in(Role::User);
    let answer = ada.get(OK).await.expect(200);
    assert_eq!(told(&answer).0, Some("\"user\";q=100;w=10"));
    clock.advance(Duration::from_millis(999));
    client.get(OK).await.expect(429);
    clock.advance(Duration::from_millis(1));
    client.get(OK).await.expect(200);
    client.get(OK).await.expect(429);
    let counted = rig.metrics().count("panel_rate_limited_total", &[("policy", "anonymous")]);
    assert_eq!(counted, 5);
    rig.shutdown().await;
}

#[tokio::test]
async fn writes_have_a_limit_of_their_own() {
    let clock = clock();
    let rig = rig(&clock, &[]).await;
    let (ada, bob) = (rig.signed_in(Role::User), rig.signed_in(Role::User));
    let write = |client: &Client| client.post("/api/v2/probe/write").json(&json!({"value": "x"}));
    for _ in 0..9 {
        write(&ada).await.expect(201);
    }
    let last = write(&ada).await.expect(201);
    let policies = "\"user\";q=100;w=10, \"writes\";q=10;w=10";
    let standing = "\"user\";r=90;t=1, \"writes\";r=0;t=10";
    assert_eq!(told(&last), (Some(policies), Some(standing)));
    write(&ada).await.refused(429, "rate_limited");
    ada.get(OK).await.expect(200);
    write(&bob).await.expect(201);
    let effects = ada.get("/api/v2/probe/effects").await.expect(200).json();
    assert_eq!(effects["count"], 11);
    rig.shutdown().await;
}

#[tokio::test]
async fn guessing_at_tokens_is_limited_by_address() {
    let rig = rig(&clock(), &[]).await;
    let guess = rig.client().with_header("authorization", "Bearer guess");
    for _ in 0..10 {
        guess.get(OK).await.refused(401, "unauthorized");
    }
    guess.get(OK).await.refused(429, "rate_limited");
    rig.signed_in(Role::User).get(OK).await.expect(200);
    rig.shutdown().await;
}

#[tokio::test]
async fn clients_behind_a_known_proxy_are_told_apart_and_others_are_not_believed() {
    let from = |rig: &Rig, address: &str| rig.client().with_header("x-forwarded-for", address);
    let behind = rig(&clock(), &["127.0.0.1"]).await;
    for _ in 0..10 {
        from(&behind, "192.0.2.1").get(OK).await.expect(200);
        // All of one network, and what they say themselves does not count.
        from(&behind, "1.2.3.4, 2001:db8::1").get(OK).await.expect(200);
    }
    from(&behind, "192.0.2.1").get(OK).await.expect(429);
    from(&behind, "5.6.7.8, 2001:db8::2").get(OK).await.expect(429);
    from(&behind, "192.0.2.2").get(OK).await.expect(200);
    let seen = from(&behind, "9.9.9.9, 192.0.2.3").get("/api/v2/probe/echo").await.expect(200);
    assert_eq!(seen.json()["client_ip"], "192.0.2.3");
    behind.shutdown().await;
    let open = rig(&clock(), &[]).await;
    for n in 0..10 {
        from(&open, &format!("192.0.2.{n}")).get(OK).await.expect(200);
    }
    from(&open, "192.0.2.99").get(OK).await.expect(429);
    open.shutdown().await;
}

#[tokio::test]
async fn a_busy_page_is_not_limited_by_default_and_nothing_is_if_limits_are_off() {
    let on = Node::builder().env("PANEL_LIMITS__ENABLED", "true").start().await;
    for _ in 0..100 {
        let answer = on.client().get("/api/v2/forum/threads").await.expect(200);
        assert!(told(&answer).0.is_some_and(|policy| policy.starts_with("\"anonymous\";q=200")));
    }
    drop(on);
    let off = Node::builder().env("PANEL_LIMITS__ENABLED", "false");
    let off = off.env("PANEL_LIMITS__ANONYMOUS_PER_MINUTE", "1").start().await;
    for _ in 0..20 {
        let answer = off.client().get("/api/v2/forum/threads").await.expect(200);
        assert_eq!(told(&answer), (None, None));
    }
}

#[tokio::test]
async fn the_standard_header_is_believed_where_it_is_asked_for_and_from_whole_networks() {
    let proxies = ["127.0.0.0/8".parse().unwrap()].to_vec();
    let rig = RigBuilder::new(Backend::Sqlite.database().await).gateway(|gateway| {
        gateway.proxies.trusted = proxies;
        gateway.proxies.header = ForwardedHeader::Forwarded;
    });
    let rig = Box::pin(rig.start()).await;
    let client = rig.client().with_header("x-forwarded-for", "9.9.9.9");
    let seen = async |forwarded: &str| {
        let asked = client.get("/api/v2/probe/echo").header("forwarded", forwarded);
        asked.await.expect(200).json()["client_ip"].as_str().unwrap().to_owned()
    };
    assert_eq!(seen("for=1.2.3.4, For=\"[2001:db8::17]:4711\";proto=https").await, "2001:db8::17");
    assert_eq!(seen("for=1.2.3.4, for=192.0.2.9, for=127.9.9.9").await, "192.0.2.9");
    assert_eq!(seen("for=1.2.3.4, for=_hidden").await, "127.0.0.1");
    rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_limit_what_they_name_keys_by_themselves_and_everybody_together() {
    let node = Node::builder()
        .config(
            "[limits]\nkey_per_minute = 1\nuser_per_minute = 60\nburst = '1h'\n\
             [[limits.rules]]\nname = 'search'\nservice = 'forum'\npath = '/api/v2/forum/search'\n\
             per_minute = 1\nburst = '3m'\n\
             [[limits.rules]]\nname = 'articles'\nservice = 'cms'\nper = 'everybody'\n\
             methods = 'reads'\nper_minute = 1\nburst = '5m'\n",
        )
        .env("PANEL_LIMITS__ENABLED", "true")
        .start()
        .await;
    let (client, root) = (node.client(), node.admin("root").await);
    let search = "/api/v2/forum/search?q=anything";
    for left in (0..3).rev() {
        let answer = client.get(search).await.expect(200);
        assert!(told(&answer).0.unwrap().ends_with(", \"search\";q=3;w=180"), "{answer:?}");
        assert!(told(&answer).1.unwrap().contains(&format!("\"search\";r={left};")));
    }
    // However it is written.
    for search in [search, "/api/v2/forum/%73earch?q=anything"] {
        let refused = client.get(search).await.refused(429, "rate_limited");
        assert!(refused.detail.contains("(search)"), "{refused:?}");
    }
    // Others have their own, and nothing else is meant.
    root.get(search).await.expect(200);
    client.get("/api/v2/forum/threads").await.expect(200);
    // Everybody together.
    for by in [&client, &root.client, &client, &root.client, &client] {
        let answer = by.get("/api/v2/cms/posts").await.expect(200);
        assert!(!told(&answer).0.unwrap().contains("articles"), "{answer:?}");
    }
    let refused = root.get("/api/v2/cms/posts").await;
    assert!(refused.header("retry-after").is_some());
    let refused = refused.refused(503, "unavailable");
    assert!(refused.detail.contains("everybody together"), "{refused:?}");
    // A key has less than its owner, who is not held up by it.
    let wish = json!({"name": "robot", "scopes": ["forum:read"]});
    let made = root.post("/api/v2/auth/api-keys").json(&wish).await.expect(201).json();
    let machine = client.clone().with_header("x-api-key", made["key"].as_str().unwrap());
    let mut taken = 0;
    while machine.get("/api/v2/forum/threads").await.status == 200 {
        taken += 1;
    }
    assert!((60..=62).contains(&taken), "{taken}");
    let refused = machine.get("/api/v2/forum/threads").await.refused(429, "rate_limited");
    assert!(refused.detail.contains("(key)"), "{refused:?}");
    let answer = root.get("/api/v2/forum/threads").header("x-panel-explain", "1").await.expect(200);
    let explained = answer.header("x-panel-explain").unwrap();
    assert!(explained.contains("limit=\"user "), "{explained}");
    let counted = node.metrics().await;
    for (policy, least) in [("search", 1), ("articles", 1), ("key", 2)] {
        let refused = counted.count("panel_rate_limited_total", &[("policy", policy)]);
        assert!(refused >= least, "{policy}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_everybody_may_ask_for_is_the_clusters_with_redis() {
    let redis = Redis::start();
    let gateway = |name: &str| {
        gateway(name, &redis)
            .env("PANEL_LIMITS__ANONYMOUS_PER_MINUTE", "0")
            .env("PANEL_LIMITS__GLOBAL_PER_MINUTE", "10")
            .start()
    };
    let (one, other) = (gateway("n1").await, gateway("n2").await);
    for node in [&one, &other] {
        redis_is(node, "up").await;
    }
    // In turn, until neither takes more. There is no service: who is admitted hears of that.
    let clients = [one.client(), other.client()];
    let mut taken = 0;
    let mut refused = 0;
    while refused < 20 {
        for client in &clients {
            let problem = client.get("/api/v2/forum/threads").await.refused(503, "unavailable");
            if problem.detail.contains("everybody together") {
                refused += 1;
            } else {
                taken += 1;
            }
        }
    }
    // Six hundred, and what came before the two had heard of each other; in that time some come back.
    assert!((600..=630).contains(&taken), "{taken}");
}

/// A gateway by itself: what it limits, it limits whether or not there is a service to ask.
fn gateway(name: &str, redis: &Redis) -> NodeBuilder {
    let gateway = Node::builder().name(name).roles("gateway").env("REDIS_URL", &redis.url());
    // Sixty at once, and one more each minute: what is shared is seen, not what has come back.
    gateway
        // On a busy machine 50 ms may pass without a fault of Redis's.
        .env("PANEL_REDIS__TIMEOUT", "500ms")
        .env("PANEL_LIMITS__ENABLED", "true")
        .env("PANEL_LIMITS__ANONYMOUS_PER_MINUTE", "1")
        .env("PANEL_LIMITS__BURST", "1h")
}

/// Asks once, and gives whether that was admitted.
async fn admitted(client: &Client) -> bool {
    match client.get("/api/v2/forum/threads").await.status.as_u16() {
        429 => false,
        503 => true,
        other => panic!("{other}"),
    }
}

async fn redis_is(node: &Node, status: &str) {
    let client = node.client();
    eventually(&format!("redis is {status}"), Duration::from_secs(10), async || {
        let health = client.get("/api/v2/health").await.expect(200).json();
        health["dependencies"]["redis"]["status"] == status
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_the_limit_is_the_clusters_and_without_each_gateways() {
    let mut redis = Redis::start();
    let (one, other) = (gateway("n1", &redis).start().await, gateway("n2", &redis).start().await);
    for node in [&one, &other] {
        redis_is(node, "up").await;
    }
    let client = one.client();
    let mut taken = 0;
    while admitted(&client).await {
        taken += 1;
    }
    assert!((60..=62).contains(&taken), "{taken}");
    // The other admits no more than what comes before it has heard of it.
    let (client, more) = (other.client(), Cell::new(0));
    eventually("the other gateway refuses", Duration::from_secs(5), async || {
        let yes = admitted(&client).await;
        more.set(more.get() + usize::from(yes));
        !yes
    })
    .await;
    assert!(more.get() < 30, "{more:?}");
    // Gone: what was heard is still known, and a new gateway limits by itself.
    redis.kill9();
    for node in [&one, &other] {
        redis_is(node, "down").await;
        assert!(!admitted(&node.client()).await);
    }
    let alone = gateway("n3", &redis).start().await;
    let client = alone.client();
    let mut taken = 0;
    while admitted(&client).await {
        taken += 1;
    }
    assert!((60..=62).contains(&taken), "{taken}");
}
