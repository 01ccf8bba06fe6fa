//! What breaks while pictures are made, and who notices.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use panel_harness::{Backend, Cluster, eventually, on_both_databases};
use panel_kernel::role::Role;
use serde_json::json;

use super::{Library, MEDIA, SOON, scene, sent, url};
use crate::pictures::{jpeg, kill, noise, png};

on_both_databases!(
    a_process_that_is_killed_costs_nobody_anything,
    a_worker_that_is_killed_costs_nobody_anything,
    what_is_half_made_goes_after_an_hour,
);

/// The processes of pictures of this process.
fn processes() -> Vec<u32> {
    let me = std::process::id();
    let tasks = PathBuf::from(format!("/proc/{me}/task"));
    let tasks = std::fs::read_dir(tasks).into_iter().flatten().flatten();
    let children =
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|text| {
            text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    let is_one = |id: &u32| {
        let words = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == b"picture-worker")
    };
    children.into_iter().filter(is_one).collect()
}

async fn a_process() -> u32 {
    eventually("a picture is made", SOON, async || processes().first().copied().ok_or(())).await
}

async fn a_process_that_is_killed_costs_nobody_anything(backend: Backend) {
    let library = Library::start(backend).await;
    let file = png(&noise(2_000, 1_500, 1).into());
    let killing = async {
        kill(a_process().await);
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
        let process = a_process().await;
        library.rig.kill("cms/media/worker_1").await;
        // Its process goes with it.
        eventually("it is gone", SOON, async || {
            let all = processes();
            if all.contains(&process) { Err(all) } else { Ok(()) }
        })
        .await;
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

/// More than there is room for: some are refused, the rest is made, and readers notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_at_once_are_refused_and_the_rest_is_made() {
    let library = Library::with(Backend::Sqlite, json!({"workers": 1, "waiting": 4})).await;
    let files: Vec<Vec<u8>> = (0..10).map(|n| png(&noise(500, 400, n + 1).into())).collect();
    let clients: Vec<_> = (0..10).map(|_| library.rig.signed_in(Role::Premium)).collect();
    let sending = clients.iter().zip(&files).map(|(by, file)| sent(by, file));
    let sending = join_all(sending);
    let reading = async {
        a_process().await;
        for _ in 0..20 {
            library.rig.client().get(crate::cms::POSTS).await.expect(200);
        }
    };
    let (answers, ()) = futures::future::join(sending, reading).await;
    let mut made = 0;
    for answer in answers {
        match answer.status.as_u16() {
            201 => made += 1,
            503 => assert!(answer.header("retry-after").is_some()),
            _ => panic!("{answer:?}"),
        }
    }
    assert!((4..10).contains(&made), "{made}");
    // One account has half of the places.
    let own: Vec<Vec<u8>> = (0..4).map(|n| png(&noise(500, 400, n + 50).into())).collect();
    let answers = join_all(own.iter().map(|file| sent(&library.ann, file))).await;
    assert!(answers.iter().any(|answer| answer.status == 429), "{answers:?}");
    library.rig.shutdown().await;
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
