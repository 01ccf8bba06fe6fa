//! What breaks while pictures are made, and who notices.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use panel_harness::{Backend, Cluster, Node, eventually, on_both_databases};
use panel_kernel::role::Role;
use rustix::process::Signal;
use serde_json::json;

use super::{Library, MEDIA, SOON, scene, sent, url};
use crate::pictures::signal;
use panel_harness::pictures::{jpeg, noise, png, processes};

/// This process, which a rig runs in.
fn me() -> u32 {
    std::process::id()
}

on_both_databases!(
    a_process_that_is_killed_costs_nobody_anything,
    a_worker_that_is_killed_costs_nobody_anything,
    what_is_half_made_goes_after_an_hour,
);

/// A process that makes a picture for the process with this id, and goes on with it when it is told to.
async fn held(node: u32) -> u32 {
    let one = async || processes(node).first().copied().ok_or(());
    let process = eventually("a picture is made", SOON, one).await;
    signal(process, Signal::STOP);
    process
}

async fn has_gone(node: u32, process: u32) {
    eventually("its process is gone", SOON, async || {
        let all = processes(node);
        if all.contains(&process) { Err(all) } else { Ok(()) }
    })
    .await;
}

async fn a_process_that_is_killed_costs_nobody_anything(backend: Backend) {
    let library = Library::start(backend).await;
    let file = png(&noise(2_000, 1_500, 1).into());
    let killing = async {
        signal(held(me()).await, Signal::KILL);
        eventually("it was noticed", SOON, async || {
            let killed = library.outcome("killed");
            if killed == 1 { Ok(()) } else { Err(killed) }
        })
        .await;
    };
    let (answer, ()) = futures::future::join(sent(&library.ann, &file), killing).await;
    let media = answer.expect(201).json();
    library.rig.client().get(url(&media)).await.expect(200);
    assert_eq!(library.outcome("made"), 1);
    library.rig.shutdown().await;
}

async fn a_worker_that_is_killed_costs_nobody_anything(backend: Backend) {
    let mut library = Library::with(backend, json!({"workers": 1})).await;
    let file = png(&noise(2_000, 1_500, 2).into());
    let killing = async {
        let process = held(me()).await;
        library.rig.kill("cms/media/worker_1").await;
        // Its process goes with it.
        has_gone(me(), process).await;
    };
    let (answer, ()) = futures::future::join(sent(&library.ann, &file), killing).await;
    let media = answer.expect(201).json();
    library.rig.client().get(url(&media)).await.expect(200);
    // What the killed one had begun goes later.
    let states = library.assets().await;
    assert_eq!(states, ["coming", "kept"]);
    library.later(Duration::from_secs(3_601)).await;
    assert_eq!(library.assets().await, ["kept"]);
    library.rig.shutdown().await;
}

/// As a node leaves it that dies.
async fn what_is_half_made_goes_after_an_hour(backend: Backend) {
    let mut library = Library::start(backend).await;
    let mut sql = library.rig.raw_sql("cms").await;
    let begun = "INSERT INTO assets (id, state, since) VALUES (4242, 'coming', 1800000000000000)";
    sql.run(begun).await;
    let key = format!("media/{}/3", panel_kernel::ids::Id::from_raw(4_242));
    let mut writer = library.rig.runtime.blobs.write(&key, 10).await.unwrap();
    writer.write(b"half").await.unwrap();
    let blob = writer.finish().await.unwrap();
    library.later(Duration::from_secs(3_601)).await;
    assert_eq!(library.assets().await, [""; 0]);
    assert!(crate::blobs::get(&library.rig, &blob, 0..4).await.is_err());
    library.rig.shutdown().await;
}

/// More than there is room for: so many wait, the others are refused, and readers notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_at_once_are_refused_and_the_rest_is_made() {
    let library = Library::with(Backend::Sqlite, json!({"workers": 1, "waiting": 4})).await;
    let files: Vec<Vec<u8>> = (1..=9).map(|seed| png(&noise(90, 70, seed).into())).collect();
    let clients: Vec<_> = files.iter().map(|_| library.rig.signed_in(Role::Premium)).collect();
    let large = png(&noise(2_000, 1_500, 1).into());
    let first = sent(&library.ann, &large);
    let others = async {
        let process = held(me()).await;
        let mut sending: FuturesUnordered<_> =
            clients.iter().zip(&files).map(|(by, file)| sent(by, file)).collect();
        // Three have the places that are left.
        for _ in 0..6 {
            let answer = sending.next().await.unwrap();
            answer.refused(503, "unavailable");
            assert!(answer.header("retry-after").is_some());
        }
        for _ in 0..5 {
            library.rig.client().get(crate::cms::POSTS).await.expect(200);
        }
        signal(process, Signal::CONT);
        while let Some(answer) = sending.next().await {
            answer.expect(201);
        }
    };
    let (first, ()) = futures::future::join(first, others).await;
    first.expect(201);
    library.rig.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_account_has_half_of_the_places() {
    let library = Library::with(Backend::Sqlite, json!({"workers": 1, "waiting": 4})).await;
    let large = png(&noise(2_000, 1_500, 1).into());
    let [second, third] = [2, 3].map(|seed| png(&noise(90, 70, seed).into()));
    let others = async {
        let process = held(me()).await;
        let mut answers: FuturesUnordered<_> =
            [&second, &third].into_iter().map(|file| sent(&library.ann, file)).collect();
        answers.next().await.unwrap().refused(429, "rate_limited");
        signal(process, Signal::CONT);
        answers.next().await.unwrap().expect(201);
    };
    let (first, ()) = futures::future::join(sent(&library.ann, &large), others).await;
    first.expect(201);
    library.rig.shutdown().await;
}

/// However a node ends, its processes do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_makes_a_picture_ends_with_its_node() {
    let mut node = Node::start().await;
    let eve = node.admin("eve").await;
    let large = png(&noise(2_000, 1_500, 1).into());
    let pid = node.pid();
    let killing = async {
        let process = held(pid).await;
        node.kill9();
        eventually("its process is gone", SOON, async || {
            // Dead is gone enough: who takes its end is whoever runs the tests.
            let state =
                std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") { Ok(()) } else { Err(state) }
        })
        .await;
    };
    let sending = eve.post(MEDIA).body("image/png", large).send();
    let (answer, ()) = futures::future::join(sending, killing).await;
    assert!(answer.is_err(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_is_sent_to_one_node_made_on_another_and_shown_by_a_third() {
    let builder = Cluster::builder().await.node("n1", "gateway,auth").node("n2", "cms");
    let mut cluster = builder.node("n3", "gateway,admin,forum").start().await;
    let eve = cluster.node("n1").admin("eve").await;
    let file = jpeg(&scene(700, 500, 1));
    let media = eve.post(MEDIA).body("image/jpeg", file.clone()).await.expect(201).json();
    for name in ["n1", "n3"] {
        let client = cluster.client(name);
        let shown = client.get(url(&media)).await.expect(200);
        assert_eq!(media["sha256"], super::sha256(&shown.body));
        let small = &media["variants"][0];
        client.get(url(small)).await.expect(200);
    }
    // The node that makes them dies: sent again it is made by its next life.
    cluster.node_mut("n2").kill9();
    cluster.node_mut("n2").restart().await;
    let other = jpeg(&scene(600, 500, 2));
    eventually("it is made", SOON, async || {
        let answer = eve.post(MEDIA).body("image/jpeg", other.clone()).await;
        if answer.status == 201 { Ok(()) } else { Err(answer) }
    })
    .await;
    let again = eve.post(MEDIA).body("image/jpeg", file).await.expect(200).json();
    assert_eq!(again["id"], media["id"]);
}
