//! Who reads through a CDN sees what is written, and never what is gone.

use std::time::{Duration, Instant};

use panel_gateway::CdnKind;
use panel_harness::{Backend, Cdn, Node, Probe, Session, Thread, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{SITE, WITHIN, rig, site};

on_both_databases!(who_reads_through_a_cdn_sees_what_is_written_and_never_what_is_gone);

/// Whether a text is shown there by what is read through a CDN, and whether the CDN had that.
async fn shows(cdn: &Cdn, path: &str, text: &str) -> (bool, bool) {
    let answer = cdn.client().get(path).await.expect(200);
    (answer.text().contains(text), answer.header("x-cdn") == Some("hit"))
}

/// A thread that is read through a CDN while it is written in.
struct Written<'a> {
    cdn: &'a Cdn,
    admin: &'a Session,
    thread: &'a Thread,
    /// What is read of it.
    paths: [String; 2],
}

impl Written<'_> {
    /// A reply; its thread was purged after that.
    async fn reply(&self, text: &str) -> Value {
        let post = self.thread.reply(self.admin, text).await.expect(201).json();
        self.purged().await;
        post
    }

    /// Deletes a post; its thread was purged after that.
    async fn delete(&self, post: &Value) {
        let path = format!("/api/v2/forum/posts/{}", post["id"].as_str().unwrap());
        self.admin.delete(&path).await.expect(204);
        self.purged().await;
    }

    /// Waits until the thread is purged.
    async fn purged(&self) {
        let (now, thread) = (Instant::now(), self.thread.value());
        let tag = format!("{SITE}/forum/thread:{}", thread["id"].as_str().unwrap());
        eventually("the thread is purged", WITHIN, async || {
            let purged = self.cdn.purged().into_iter();
            let mut since = purged.filter(|one| one.at >= now && one.status == 200);
            since.any(|one| one.tags.contains(&tag))
        })
        .await;
    }

    /// How often a text was shown, of so many times that all was read; and how often by the CDN itself.
    async fn shown(&self, text: &str, times: usize) -> (usize, usize) {
        let (mut shown, mut hits) = (0, 0);
        for _ in 0..times {
            for path in &self.paths {
                let (is_shown, is_hit) = shows(self.cdn, path, text).await;
                shown += usize::from(is_shown);
                hits += usize::from(is_hit);
            }
        }
        (shown, hits)
    }
}

async fn who_reads_through_a_cdn_sees_what_is_written_and_never_what_is_gone(backend: Backend) {
    let kinds = [CdnKind::Cloudflare, CdnKind::Fastly, CdnKind::Webhook];
    for kind in kinds {
        let cdn = Cdn::start(kind).await;
        let database = backend.database().await;
        let node = cdn.configure(Node::builder().database(&database)).start().await;
        cdn.leads_to([node.http()]);
        let admin = node.admin("root").await;
        // From then on each purge is one of its own.
        cdn.await_purge(SITE, 0).await;
        let thread = Thread::open(&admin).await;
        let read = thread.read(&node.client()).await;
        let page = format!(
            "/forum/threads/{}/{}",
            read["id"].as_str().unwrap(),
            read["slug"].as_str().unwrap()
        );
        let paths = [thread.posts.clone(), page];
        let written = Written { cdn: &cdn, admin: &admin, thread: &thread, paths };
        let mut hits = 0;
        for n in 0..8 {
            let text = format!("word{n}word");
            let post = written.reply(&text).await;
            for path in &written.paths {
                eventually("what was written is seen", WITHIN, async || {
                    let shown = shows(&cdn, path, &text).await;
                    if shown == (true, true) { Ok(()) } else { Err(shown) }
                })
                .await;
            }
            written.delete(&post).await;
            let (shown, by_cdn) = written.shown(&text, 5).await;
            assert_eq!(shown, 0, "{text}: {:?}", cdn.purged());
            hits += by_cdn;
        }
        // All but the first of each five are the CDN's own, and those after something was purged once more.
        assert!(hits >= 20, "{hits}");
        // This is what would be seen of a CDN that is told nothing.
        let post = written.reply("seen for an hour").await;
        cdn.is_deaf();
        for path in &written.paths {
            eventually("it is seen", WITHIN, async || {
                shows(&cdn, path, "seen for an hour").await == (true, true)
            })
            .await;
        }
        written.delete(&post).await;
        assert_eq!(written.shown("seen for an hour", 5).await, (10, 10));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_from_before_a_purge_that_comes_after_it_is_purged_as_well() {
    let (cdn, probe) = (Cdn::start(CdnKind::Fastly).await, Probe::new());
    let (rig, _) = rig(&cdn, &probe).await;
    cdn.leads_to([rig.client().address()]);
    let tag = format!("{}/probe/one", site(&rig));
    cdn.await_purge(&site(&rig), 0).await;
    let path = "/api/v2/probe/shared?control=public,s-maxage=60&tags=one";
    // It has left the gateway, and is not there yet.
    cdn.holds(true);
    let reading = cdn.client().get(path);
    let writing = async {
        eventually("it is on its way", WITHIN, async || cdn.held() == 1).await;
        let before = cdn.purged().len();
        let write = json!({"value": "v", "purge": {"gone": {"tags": ["one"]}}});
        rig.client().post("/api/v2/probe/write").json(&write).await.expect(201);
        cdn.await_purge(&tag, before).await;
        cdn.holds(false);
        Instant::now()
    };
    let (old, purged_at) = tokio::join!(reading, writing);
    assert_eq!(old.json()["count"], 1);
    // There it is now. And soon not any more.
    let kept = cdn.client().get(path).await.expect(200);
    assert_eq!((kept.header("x-cdn"), kept.json()["count"].as_u64()), (Some("hit"), Some(1)));
    eventually("it is gone", WITHIN, async || {
        cdn.client().get(path).await.expect(200).json()["count"] == 2
    })
    .await;
    assert!(purged_at.elapsed() < Duration::from_secs(10));
    rig.shutdown().await;
}
