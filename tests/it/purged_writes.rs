//! After every write of the forum, whoever is not signed in sees what is: each kind of write is tried, with all that is
//! public read before and kept, under a clock by which nothing that is kept grows old.

use std::time::Duration;

use panel_harness::{Backend, Client, RigBuilder, Session, eventually};
use panel_kernel::time::Clock;
use serde_json::{Value, json};

use crate::erasure::{administrator, category_made};
use crate::forum::{THREADS, id, posts};

const SOON: Duration = Duration::from_secs(20);
/// Longer than anything is shown that has not been asked for anew.
const A_WHILE: Duration = Duration::from_secs(15);
const CATEGORIES: &str = "/api/v2/forum/categories";
const BANS: &str = "/api/v2/forum/moderation/bans";

/// What is public of the forum.
struct Public {
    client: Client,
    paths: Vec<String>,
    clock: Clock,
}

impl Public {
    fn add(&mut self, paths: impl IntoIterator<Item = String>) {
        self.paths.extend(paths);
    }

    /// A thread, and what there is of it.
    fn add_thread(&mut self, thread: &Value) {
        let (at, page) = (format!("{THREADS}/{}", id(thread)), thread["slug"].as_str().unwrap());
        self.add([
            format!("{at}/posts"),
            format!("{at}/feed.atom"),
            format!("/forum/threads/{}/{page}", id(thread)),
        ]);
    }

    /// A post, and what there is of it.
    fn add_post(&mut self, post: &Value) {
        let at = format!("/api/v2/forum/posts/{}", id(post));
        let below = ["", "/revisions", "/revisions/1", "/reactions"];
        self.add(below.map(|rest| format!("{at}{rest}")));
    }

    /// What somebody sees there: what is kept, or what there is, since who asks for a part is given nothing that is
    /// kept. Without what is another each time.
    async fn shown(&self, path: &str, anew: bool) -> (u16, String) {
        let mut asked = self.client.get(path);
        if anew {
            asked = asked.header("range", "bytes=0-");
        }
        let answer = asked.await;
        let kept = answer.header("cache-status").is_some_and(|status| status.contains("hit"));
        assert!(!(anew && kept), "{answer:?}");
        (answer.status.as_u16(), lasting(&answer.text()))
    }

    /// Everything there is is read, and kept where it may be.
    async fn fill(&self) {
        for path in &self.paths {
            self.shown(path, false).await;
        }
    }

    /// After this was done, and soon, everybody sees what there is.
    async fn sees(&self, what: &str) {
        for path in &self.paths {
            eventually(&format!("{what}: {path} is shown as it is"), SOON, async || {
                let (kept, is) = (self.shown(path, false).await, self.shown(path, true).await);
                if kept == is { Ok(()) } else { Err((kept, is)) }
            })
            .await;
        }
        // All that is kept is of another time than what is done next, and is as new as can be then.
        self.clock.advance(A_WHILE);
        self.fill().await;
    }
}

/// A text without what is counted of readers, or drawn by lot, or names the request.
fn lasting(text: &str) -> String {
    let mut lasting = text.to_owned();
    for (before, after) in [
        ("nonce=\"", "\""),
        ("\"view_count\":", ","),
        (" replies · ", " · "),
        (" reply · ", " · "),
        ("\"request_id\":\"", "\""),
    ] {
        let mut parts = lasting.split(before);
        let mut kept = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            kept += before;
            kept += part.split_once(after).map_or(part, |(_, rest)| rest);
        }
        lasting = kept;
    }
    lasting
}

#[test]
fn what_lasts_is_what_is_left() {
    let text = r#"<a nonce="x1">3 replies · 7 views · now</a> 1 reply · 1 view · then {"view_count":8,"b":1,"request_id":"r"}"#;
    let left =
        r#"<a nonce=">3 replies · now</a> 1 reply · then {"view_count":"b":1,"request_id":"}"#;
    assert_eq!(lasting(text), left);
}

async fn made(by: &Session, path: &str, body: Value) -> Value {
    by.post(path).json(&body).await.expect(201).json()
}

/// What moderators do, to a post and to who wrote it.
async fn moderated(public: &Public, (root, ada): (&Session, &Session), post: &str) {
    let flag = json!({"reason": "spam"});
    root.post(&format!("{post}/flags")).json(&flag).await.expect(201);
    public.sees("a flag").await;
    let queue = root.get("/api/v2/forum/moderation/queue").await.expect(200).json();
    let item = format!("/api/v2/forum/moderation/queue/{}", id(&queue["items"][0]));
    root.post(&format!("{item}/hide")).await.expect(200);
    public.sees("a post that moderators hide").await;
    let ban = json!({"user_id": ada.user_id, "kind": "ban", "reason": "rude"});
    let ban = made(root, BANS, ban).await;
    public.sees("a ban").await;
    let text = json!({"text": "it was not me"});
    ada.post(&format!("{BANS}/{}/appeal", id(&ban))).json(&text).await.expect(200);
    public.sees("an appeal").await;
    root.delete(&format!("{BANS}/{}", id(&ban))).await.expect(204);
    public.sees("a ban that has ended").await;
}

/// What is done to categories.
async fn categories(public: &Public, root: &Session, at: &str) {
    root.patch(at).json(&json!({"name": "Olds"})).await.expect(200);
    public.sees("another name of a category").await;
    made(root, CATEGORIES, json!({"name": "More"})).await;
    public.sees("another category").await;
    root.patch(at).json(&json!({"read_role": "moderator"})).await.expect(200);
    public.sees("a category that few may read").await;
    root.patch(at).json(&json!({"read_role": null})).await.expect(200);
    public.sees("a category that all may read again").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_write_of_the_forum_is_seen_by_everybody() {
    let clock = Clock::manual(Clock::system().now());
    let builder = RigBuilder::everything(Backend::Sqlite.database().await).clock(clock.clone());
    let rig = Box::pin(builder.start()).await;
    rig.await_signing_key().await;
    let root = administrator(&rig).await;
    let ada = Session::register(&rig.client(), "ada").await;
    let category = category_made(&root).await;
    let staff = made(&root, CATEGORIES, json!({"name": "Staff", "read_role": "moderator"})).await;
    let open = async |title: &str| {
        let new = json!({"category_id": category, "title": title, "body": "word", "tags": ["x"]});
        made(&ada, THREADS, new).await
    };
    let (one, two) = (open("one").await, open("two").await);
    let reply = async |thread: &Value| made(&ada, &posts(thread), json!({"body": "word"})).await;
    let (first, second, third) = (reply(&one).await, reply(&one).await, reply(&one).await);
    let mut public = Public { client: rig.client(), paths: Vec::new(), clock };
    let category_at = format!("{CATEGORIES}/{}", category.as_str().unwrap());
    public.add([
        CATEGORIES.to_owned(),
        category_at.clone(),
        THREADS.to_owned(),
        format!("{THREADS}?category={}", category.as_str().unwrap()),
        format!("{THREADS}?tag=x&sort=created"),
        "/api/v2/forum/feed.atom".to_owned(),
        "/api/v2/forum/search?q=word".to_owned(),
        "/api/v2/forum/moderation/log".to_owned(),
        "/forum".to_owned(),
        "/forum/search?q=word".to_owned(),
        "/forum/users/ada".to_owned(),
    ]);
    for thread in [&one, &two] {
        public.add_thread(thread);
    }
    for post in [&first, &second, &third] {
        public.add_post(post);
    }
    // Who is new may write five posts a minute.
    for _ in 0..4 {
        public.sees("the beginning").await;
    }
    let at = |thread: &Value, rest: &str| format!("{THREADS}/{}{rest}", id(thread));
    let post_at = |post: &Value, rest: &str| format!("/api/v2/forum/posts/{}{rest}", id(post));

    open("three").await;
    public.sees("a new thread").await;
    reply(&two).await;
    public.sees("a reply").await;
    ada.patch(&post_at(&first, "")).json(&json!({"body": "other word"})).await.expect(200);
    public.sees("an edit").await;
    root.delete(&post_at(&first, "/revisions/1")).await.expect(204);
    public.sees("a revision that is hidden").await;
    root.put(&post_at(&second, "/reactions/like")).await.expect(200);
    public.sees("a reaction").await;
    root.delete(&post_at(&second, "/reactions/like")).await.expect(200);
    public.sees("a reaction that is taken back").await;
    let renamed = json!({"title": "another one", "tags": ["x", "y"]});
    ada.patch(&at(&one, "")).json(&renamed).await.expect(200);
    public.sees("another title").await;
    for action in ["pin", "lock", "unlock", "unpin"] {
        root.post(&at(&one, &format!("/{action}"))).await.expect(200);
        public.sees(action).await;
    }
    let move_to = async |category: &Value| {
        let to = json!({"category_id": category});
        root.post(&at(&two, "/move")).json(&to).await.expect(200);
    };
    move_to(&staff["id"]).await;
    public.sees("a thread that few may read").await;
    move_to(&category).await;
    public.sees("a thread that all may read again").await;
    let split = json!({"post_ids": [second["id"]], "title": "split off"});
    let off = made(&root, &at(&one, "/split"), split).await;
    public.add_thread(&off);
    public.sees("a thread that was split").await;
    root.post(&at(&off, "/merge")).json(&json!({"into": two["id"]})).await.expect(200);
    public.sees("a thread that was merged").await;
    ada.delete(&post_at(&third, "")).await.expect(204);
    public.sees("a post that is deleted").await;
    root.post(&post_at(&third, "/restore")).await.expect(200);
    public.sees("a post that is back").await;

    moderated(&public, (&root, &ada), &post_at(&third, "")).await;
    categories(&public, &root, &category_at).await;
    root.delete(&at(&two, "")).await.expect(204);
    public.sees("a thread that is deleted").await;
    root.post(&at(&two, "/restore")).await.expect(200);
    public.sees("a thread that is back").await;
    ada.patch("/api/v2/auth/profile").json(&json!({"display_name": "Ada L."})).await.expect(200);
    public.sees("another name").await;
    rig.shutdown().await;
}
