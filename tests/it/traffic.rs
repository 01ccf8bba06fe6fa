//! How requests are spread over the members of a service, as the traffic file says, and that it says something else while
//! they come.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use panel_harness::http::Client;
use panel_harness::{Backend, Cluster, Node, Session, Thread, eventually, on_both_databases};
use panel_kernel::ids::random_hex;
use serde_json::{Value, json};
use tempfile::TempDir;

on_both_databases!(routes_have_times_of_their_own);

const WITHIN: Duration = Duration::from_secs(30);
const LATER: &str = "99.1.0";
const FILE: &str = "PANEL_GATEWAY__TRAFFIC_FILE";
const THREADS: &str = "/api/v2/forum/threads";
const TRY: (&str, &str) = ("x-try", "1");

/// A traffic file.
struct File(TempDir);

impl File {
    fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("traffic.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    /// Waits until the gateway has taken what was written, or has said why not.
    async fn write_and_wait(&self, node: &Node, text: &str) {
        let said = |node: &Node| {
            node.log_lines().iter().filter(|line| line.contains("the traffic file")).count()
        };
        let before = said(node);
        self.write(text);
        eventually("the file is read", WITHIN, async || {
            if said(node) > before { Ok(()) } else { Err(before) }
        })
        .await;
    }
}

/// A gateway, and the forum on n2, and on n3 of a later release.
struct Site {
    cluster: Cluster,
    file: File,
    admin: Session,
    thread: Thread,
}

impl Site {
    async fn start(text: &str) -> Self {
        let file = File::new(text);
        let mut cluster = Cluster::builder()
            .await
            .node("n1", "gateway,auth,admin,cms")
            .node("n2", "forum")
            .env(FILE, file.path().to_str().unwrap())
            .start()
            .await;
        let later = cluster.plan("n3", "forum").faults().env("PANEL_FAULTS__RELEASE", LATER);
        let later = later.start().await;
        cluster.add(later);
        cluster.await_linked().await;
        let admin = cluster.node("n1").admin("root").await;
        let thread = Thread::open(&admin).await;
        Self { cluster, file, admin, thread }
    }

    fn gateway(&self) -> &Node {
        self.cluster.node("n1")
    }

    fn client(&self) -> Client {
        self.cluster.client("n1")
    }

    async fn change(&self, text: &str) {
        self.file.write_and_wait(self.gateway(), text).await;
    }

    /// The members that have answered the requests with these ids.
    async fn answered(&self, ids: &[String]) -> Vec<String> {
        eventually("they are in the log", WITHIN, async || {
            let lines = self.gateway().log_json();
            let mut members = BTreeMap::new();
            for line in &lines {
                if let (Some(id), Some(member)) =
                    (line["request_id"].as_str(), line["member"].as_str())
                {
                    members.insert(id, member);
                }
            }
            let found =
                ids.iter().map(|id| members.get(id.as_str()).map(|member| (*member).to_owned()));
            found.collect::<Option<Vec<String>>>().ok_or(members.len())
        })
        .await
    }

    /// So many pages that nobody has asked for before, and so are asked of members: how many each has answered.
    async fn spread(&self, requests: usize) -> BTreeMap<String, usize> {
        let mut ids = Vec::new();
        for _ in 0..requests {
            let id = random_hex();
            let path = format!("{THREADS}?limit=1&of={id}");
            self.client().get(&path).header("x-request-id", &id).await.expect(200);
            ids.push(id);
        }
        let mut spread = BTreeMap::new();
        for member in self.answered(&ids).await {
            *spread.entry(member).or_insert(0) += 1;
        }
        spread
    }

    /// What an administrator is told of a member that answers: its release, and by what that was chosen.
    async fn told(&self, header: Option<(&str, &str)>) -> (String, String) {
        let asking = self.admin.get(THREADS).header("x-panel-explain", "1");
        let asking =
            header.into_iter().fold(asking, |asking, (name, value)| asking.header(name, value));
        let answer = asking.await.expect(200);
        let told = answer.header("x-panel-explain").unwrap().to_owned();
        let part = |name: &str| {
            let part = told.split(", ").find_map(|part| part.strip_prefix(&format!("{name}=\"")));
            part.unwrap_or_else(|| panic!("{name} in {told}")).trim_end_matches('"').to_owned()
        };
        (part("release"), part("chosen"))
    }

    async fn count(&self, metric: &str, labels: &[(&str, &str)]) -> u64 {
        self.gateway().metrics().await.count(metric, labels)
    }

    async fn trouble(&self) -> Value {
        self.client().get("/api/v2/health").await.expect(200).json()["dependencies"]["traffic_file"]
            .clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn releases_have_their_shares_and_that_changes_while_requests_come() {
    let site = Site::start("[forum.weights]\n\"99.1.0\" = 25\n\"*\" = 75").await;
    // 100 of 400 on the average; five times what they differ by chance is 43.
    let spread = site.spread(400).await;
    assert!((57..=143).contains(&spread["n3"]), "{spread:?}");
    // Who is signed in stays with one release.
    site.change("[forum.weights]\n\"99.1.0\" = 1\n\"*\" = 1").await;
    let mut seen = BTreeSet::new();
    for n in 0..24 {
        let somebody = Session::register(&site.client(), &format!("somebody{n}")).await;
        let ids: Vec<String> = (0..4).map(|_| random_hex()).collect();
        for id in &ids {
            somebody.get(&site.thread.path).header("x-request-id", id).await.expect(200);
        }
        let mut members = site.answered(&ids).await;
        members.dedup();
        assert_eq!(members.len(), 1, "{members:?}");
        seen.extend(members);
    }
    // That all are at one happens once in eight million times.
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(site.told(None).await.1, "weights");
    // More, all, and none.
    site.change("[forum.weights]\n\"99.1.0\" = 1").await;
    assert_eq!(site.spread(30).await["n3"], 30);
    site.change("[forum.weights]\n\"99.1.0\" = 0\n\"*\" = 1").await;
    assert_eq!(site.spread(30).await["n2"], 30);
    // What can't be does not count, and is said.
    assert_eq!(site.trouble().await["status"], "up");
    site.change("[forum.weights]\n\"99.1.0\" = 1\n[froum]").await;
    assert_eq!(site.spread(10).await["n2"], 10);
    let trouble = site.trouble().await;
    assert_eq!(trouble["status"], "down", "{trouble}");
    assert!(site.gateway().log_contains("\\\"froum\\\" is not a service"));
    assert_eq!(site.count("panel_gateway_traffic_file_in_force", &[]).await, 0);
    site.change("").await;
    let spread = site.spread(60).await;
    assert!(spread["n2"] > 5 && spread["n3"] > 5, "{spread:?}");
    assert_eq!(site.trouble().await["status"], "up");
    assert_eq!(site.count("panel_gateway_traffic_file_in_force", &[]).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_a_release_that_is_tried_gets_it_and_nobody_else() {
    let canary =
        format!("[forum.canary]\nrelease = \"{LATER}\"\nheader = \"X-Try\"\nvalue = \"1\"");
    let mut site = Site::start(&canary).await;
    for _ in 0..5 {
        assert_eq!(site.told(Some(TRY)).await, (LATER.to_owned(), "canary".to_owned()));
        assert_eq!(site.told(Some(("x-try", "2"))).await.1, "weights");
    }
    assert_eq!(site.spread(20).await["n2"], 20);
    // What it answers is kept for nobody, here or elsewhere.
    let path = format!("{THREADS}?limit=1&of={}", random_hex());
    let tried = site.client().get(&path).header(TRY.0, TRY.1).await.expect(200);
    assert!(tried.header("cache-status").unwrap().contains("bypass"), "{tried:?}");
    let first = site.client().get(&path).await.expect(200);
    assert!(first.header("cache-status").unwrap().contains("fwd=miss"), "{first:?}");
    let kept = site.client().get(&path).await.expect(200);
    assert!(kept.header("cache-status").unwrap().contains("hit"), "{kept:?}");
    let again = site.client().get(&path).header(TRY.0, TRY.1).await.expect(200);
    assert!(again.header("cache-status").unwrap().contains("bypass"), "{again:?}");
    for answer in [tried, kept] {
        let varies = answer.headers.get_all("vary").iter().any(|value| value == "x-try");
        assert!(varies, "{answer:?}");
    }
    // If there is none of it, others answer.
    site.cluster.take("n3").kill9();
    eventually("others answer", WITHIN, async || {
        let (release, _) = site.told(Some(TRY)).await;
        if release == LATER { Err(release) } else { Ok(()) }
    })
    .await;
    assert_eq!(site.spread(5).await["n2"], 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_of_what_is_read_are_shown_to_another_release_and_count_nothing() {
    const MIRRORED: &str = "panel_dispatch_mirrored_total";
    let mirror = format!("[forum.mirror]\nrelease = \"{LATER}\"\npercent = 100");
    let mut site = Site::start(&mirror).await;
    let of = |result: &'static str| [("service", "forum"), ("result", result)];
    let same = site.count(MIRRORED, &of("same")).await;
    let reads = 30;
    for _ in 0..reads {
        site.client().get(&site.thread.path).await.expect(200);
    }
    // Nothing that is written is copied, and nothing that the other one can't know is the same there.
    site.thread.reply(&site.admin, "written once").await.expect(201);
    site.client().get("/api/v2/forum/nowhere").await.expect(404);
    eventually("all of them are shown", WITHIN, async || {
        let shown = site.count(MIRRORED, &of("same")).await - same;
        if shown == reads + 1 { Ok(()) } else { Err(shown) }
    })
    .await;
    assert_eq!(site.count(MIRRORED, &of("different")).await, 0);
    assert_eq!(site.spread(10).await["n2"], 10, "it answers nobody");
    assert_eq!(site.thread.bodies(&site.client()).await, ["first", "written once"]);
    // One that does not answer costs nobody anything.
    site.cluster.node("n3").signal("STOP");
    let begun = Instant::now();
    site.spread(20).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    site.cluster.node("n3").signal("CONT");
    // What is not yet counted is, when they stop.
    for node in ["n3", "n2"] {
        assert!(site.cluster.node_mut(node).sigterm_and_wait().await.success());
    }
    site.cluster.node_mut("n2").restart().await;
    let list = format!("{THREADS}?of={}", random_hex());
    let views = eventually("it is back", WITHIN, async || {
        let answer = site.client().get(&list).await;
        let item = || answer.json()["items"][0].clone();
        if answer.status == 200 { Ok(item()["view_count"].clone()) } else { Err(answer) }
    })
    .await;
    assert_eq!(views, reads);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_fails_more_than_others_is_left_alone_for_a_while() {
    const EJECTED: &str = "panel_dispatch_ejections_total";
    let outliers = "[forum.outliers]\nleast = 10\neject = \"10s\"";
    let site = Site::start(outliers).await;
    let ejections = async || site.count(EJECTED, &[("service", "forum"), ("node", "n3")]).await;
    let n3 = site.cluster.node("n3");
    let member = async |key: &str| {
        let health = site.client().get("/api/v2/health").await.expect(200).json();
        let members = health["services"]["forum"]["members"].as_array().unwrap().clone();
        members.into_iter().find(|member| member["node"] == "n3").unwrap()[key].clone()
    };
    n3.arm("write.before_transaction=error*100000").await;
    let mut replies = 0;
    let begun = Instant::now();
    while ejections().await == 0 {
        assert!(begun.elapsed() < WITHIN, "{replies} replies");
        // The other one takes what it has not done.
        site.thread.reply(&site.admin, &format!("{replies}")).await.expect(201);
        replies += 1;
    }
    assert_eq!(member("ejected").await, json!(true));
    let acted = n3.acted("write.before_transaction").await;
    // So long it is certainly left alone.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        site.thread.reply(&site.admin, "past it").await.expect(201);
    }
    assert_eq!(n3.acted("write.before_transaction").await, acted, "it is asked for nothing");
    // It is well again, and in time asked again.
    n3.disarm().await;
    eventually("it is back", WITHIN, async || {
        let id = random_hex();
        site.thread.reply(&site.admin, "anew").header("x-request-id", &id).await.expect(201);
        let answered = site.answered(&[id]).await;
        if answered == ["n3"] { Ok(()) } else { Err(answered) }
    })
    .await;
    assert_eq!(member("ejected").await, Value::Null);
    assert_eq!(ejections().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_looks_at_others_when_the_member_beside_it_fails() {
    // It asks the one on its own node, and so has nobody to hold it against; and what comes too late is not asked again.
    let text = "[forum]\noutliers = { least = 5, eject = \"1m\" }\n[[forum.routes]]\n\
                path = \"/api/v2/forum/threads\"\nmethods = \"writes\"\ntimeout = \"300ms\"";
    let file = File::new(text);
    let mut cluster = Cluster::builder().await.node("n2", "forum").start().await;
    let gateway = cluster.plan("n1", "gateway,auth,forum,cms,admin").faults();
    let gateway = gateway.env(FILE, file.path().to_str().unwrap()).start().await;
    cluster.add(gateway);
    cluster.await_linked().await;
    let node = cluster.node("n1");
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    node.arm("write.before_transaction=delay(1s)*100000").await;
    let (mut late, mut written) = (0, 0);
    let labels = [("service", "forum"), ("node", "n1")];
    while node.metrics().await.count("panel_dispatch_ejections_total", &labels) == 0 {
        match thread.reply(&admin, "somewhere").await.status.as_u16() {
            504 => late += 1,
            201 => written += 1,
            other => panic!("{other}"),
        }
        assert!(late < 150, "it is left alone at last");
    }
    assert!(late >= 5 && written >= 5, "{late} {written}");
    for _ in 0..10 {
        thread.reply(&admin, "elsewhere").await.expect(201);
    }
}

async fn routes_have_times_of_their_own(backend: Backend) {
    let file = File::new(
        "[[forum.routes]]\npath = \"/api/v2/forum/threads\"\nmethods = \"writes\"\ntimeout = \"300ms\"",
    );
    let database = backend.database().await;
    let node =
        Node::builder().database(&database).faults().env(FILE, file.path().to_str().unwrap());
    let node = node.start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    node.arm("write.before_transaction=delay(2s)*2").await;
    let begun = Instant::now();
    thread.reply(&admin, "too late").await.refused(504, "deadline_exceeded");
    assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());
    // Another route has the time that all have.
    let name = json!({"name": "Another"});
    admin.post("/api/v2/forum/categories").json(&name).await.expect(201);
    assert!(begun.elapsed() > Duration::from_secs(2));
    // And that one too, once it is said.
    file.write_and_wait(&node, "[forum]\ntimeout = \"20s\"").await;
    node.arm("write.before_transaction=delay(900ms)").await;
    thread.reply(&admin, "in time").await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_traffic_file_that_can_not_be_is_refused() {
    let file = File::new("[forum]\ntimeout = \"1h\"");
    let path = file.path();
    let with = || Node::builder().env(FILE, path.to_str().unwrap());
    let refused = with().start_refused().await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("forum.timeout: must be between 1ms and 5m"), "{said}");
    let checked = with().cli(&["config", "check"]).await;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(said.contains("traffic.toml can't be used: forum.timeout"), "{said}");
    file.write("[forum]\ntimeout = \"1m\"");
    assert!(with().cli(&["config", "check"]).await.status.success());
}
