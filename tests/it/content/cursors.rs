//! Cursors that a list did give, and might give: well made, with numbers at the ends of what 64 bits hold. Who has
//! the cluster's key can make them, so nobody's list may fall over them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use panel_harness::{Backend, Session, eventually, on_both_databases};
use panel_kernel::cursor::Cursors;
use panel_kernel::keys::ClusterKey;
use serde_json::{Value, json};

use super::{items, post_at, reply};
use crate::forum::{Forum, THREADS, id, posts};

on_both_databases!(no_list_falls_over_the_ends_of_numbers);

const SEARCH: &str = "/api/v2/forum/search?q=needle";
const MODERATION: &str = "/api/v2/forum/moderation";
const ENDS: [i64; 5] = [i64::MIN, -1, 0, 1, i64::MAX];

/// A list: where it is, what its cursors are bound to, and of how many numbers one is made.
struct List {
    path: String,
    scope: String,
    numbers: usize,
}

fn list(path: impl Into<String>, scope: impl Into<String>, numbers: usize) -> List {
    List { path: path.into(), scope: scope.into(), numbers }
}

impl List {
    fn page(&self, cursor: &str) -> String {
        let mark = if self.path.contains('?') { '&' } else { '?' };
        format!("{}{mark}limit=1{cursor}", self.path)
    }

    /// Asks for the page after every place there can be, and some that can't.
    async fn holds(&self, by: &Session, cursors: &Cursors) {
        let what = format!("{} has a second page", self.path);
        let given = eventually(&what, Duration::from_secs(10), async || {
            let first = by.get(&self.page("")).await.expect(200).json();
            first["next_cursor"].as_str().map(str::to_owned).ok_or(first)
        });
        let given = given.await;
        let bytes = URL_SAFE_NO_PAD.decode(&given).unwrap();
        let numbers =
            bytes.chunks_exact(8).map(|part| i64::from_be_bytes(part.try_into().unwrap()));
        let numbers: Vec<i64> = numbers.take(self.numbers).collect();
        let made = cursors.encode(&self.scope, &numbers);
        assert_eq!(made, given, "{}: a cursor is made of something else", self.path);
        let places = ENDS.len().pow(u32::try_from(self.numbers).unwrap());
        for place in 0..places {
            let digit = |n: usize| place / ENDS.len().pow(u32::try_from(n).unwrap()) % ENDS.len();
            let numbers: Vec<i64> = (0..self.numbers).map(|n| ENDS[digit(n)]).collect();
            let cursor = format!("&cursor={}", cursors.encode(&self.scope, &numbers));
            let page = by.get(&self.page(&cursor)).await;
            assert_eq!(page.status, 200, "{} after {numbers:?}: {page:?}", self.path);
            assert!(items(&page).len() <= 1);
        }
    }
}

/// What there are two of, so that every list has a second page.
async fn scene(forum: &Forum) -> (Session, Session, Value, Value) {
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let cyd = forum.member("cyd").await;
    let thread = forum.thread(&ada, "one needle").await;
    let second = forum.thread(&ada, "two").await;
    forum.thread(&ada, "three").await;
    let post = reply(&ada, &thread, "a needle").await;
    let other = reply(&ada, &thread, "another needle").await;
    for post in [&post, &other] {
        let answer = json!({"body": "so it is", "reply_to": post["id"]});
        bob.post(&posts(&thread)).json(&answer).await.expect(201);
        for somebody in [&bob, &cyd] {
            let flag = format!("{}/flags", post_at(post));
            somebody.post(&flag).json(&json!({"reason": "spam"})).await.expect(201);
        }
    }
    // Two that he follows, with something new in them.
    reply(&bob, &second, "his").await;
    for thread in [&thread, &second] {
        reply(&ada, thread, "new").await;
    }
    for n in 0..2 {
        let edit = ada.patch(&post_at(&post)).header("if-match", "*");
        edit.json(&json!({"body": format!("needle {n}")})).await.expect(200);
        bob.put(&format!("/api/v2/forum/drafts/n{n}")).json(&json!({})).await.expect(200);
        let rule = json!({"kind": "word", "pattern": format!("w{n}"), "action": "flag"});
        forum.admin.post(&format!("{MODERATION}/rules")).json(&rule).await.expect(201);
    }
    for somebody in [&bob, &cyd] {
        somebody.put(&format!("{}/reactions/like", post_at(&post))).await.expect(200);
        ada.put(&format!("/api/v2/forum/blocks/{}", somebody.user_id)).await.expect(200);
        let ban = json!({"user_id": somebody.user_id, "kind": "silence", "reason": "r"});
        forum.admin.post(&format!("{MODERATION}/bans")).json(&ban).await.expect(201);
    }
    (ada, bob, thread, post)
}

async fn no_list_falls_over_the_ends_of_numbers(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob, thread, post) = scene(&forum).await;
    let key = forum.node.data_dir().join("keys/cluster.key");
    let cursors = Cursors::new(&ClusterKey::load_or_create(&key).unwrap());
    let found = |order: &str| {
        let query =
            "Query { wanted: [Piece { tokens: [\"needle\"], is_prefix: false }], unwanted: [] }";
        format!(
            "search SearchFilter {{ query: {query}, category: None, author: None, tag: None, \
             order: {order} }}"
        )
    };
    let of_ada = [
        list(format!("{THREADS}?sort=activity"), "threads Activity  ", 2),
        list(format!("{THREADS}?sort=created"), "threads Created  ", 2),
        list(format!("{THREADS}?sort=top"), "threads Top  ", 2),
        list(posts(&thread), format!("posts {}", id(&thread)), 1),
        list(format!("{}/revisions", post_at(&post)), format!("revisions {}", id(&post)), 1),
        list(format!("{}/reactions", post_at(&post)), format!("reactions {} ", id(&post)), 1),
        list(SEARCH, found("Relevance"), 3),
        list(format!("{SEARCH}&sort=newest"), found("Newest"), 3),
        list("/api/v2/forum/blocks", format!("forum.blocks {}", ada.user_id), 1),
        list(
            "/api/v2/forum/notifications",
            format!(
                "forum.notifications {} NotificationFilter {{ is_unread: false, kind: None }}",
                ada.user_id
            ),
            1,
        ),
    ];
    let of_bob = [
        list(format!("{THREADS}?unread=true"), "threads All Activity  ", 2),
        list("/api/v2/forum/unread", "threads Followed Activity  ", 2),
        list("/api/v2/forum/drafts", format!("drafts {}", bob.user_id), 1),
    ];
    let queue =
        "QueueFilter { is_open: true, kind: None, category: None, assignee: None, author: None }";
    let flagged = items(&forum.admin.get(&format!("{MODERATION}/queue")).await.expect(200));
    let flagged = flagged.iter().find(|item| item["kind"] == "flagged").unwrap();
    let of_staff = [
        list(
            format!("{MODERATION}/queue/{}/flags", id(flagged)),
            format!("forum.flags {}", id(flagged)),
            1,
        ),
        list(format!("{MODERATION}/queue"), format!("forum.queue {queue}"), 1),
        list(format!("{MODERATION}/bans"), "forum.bans None false", 1),
        list(format!("{MODERATION}/rules"), "forum.rules", 1),
        list(
            format!("{MODERATION}/log"),
            "forum.log LogFilter { user: None, moderator: None, thread: None }",
            1,
        ),
    ];
    for (by, lists) in [(&ada, &of_ada[..]), (&bob, &of_bob[..]), (&forum.admin, &of_staff[..])] {
        for list in lists {
            list.holds(by, &cursors).await;
        }
    }
}
