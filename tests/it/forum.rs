//! The forum, over HTTP, on both databases.

use std::time::Duration;

use panel_harness::{Answer, Backend, Node, Session, TestDatabase, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    a_thread_is_opened_answered_and_read,
    pages_are_stable_while_others_write,
    edits_need_the_current_version,
    who_may_do_what,
    restricted_categories_show_to_their_readers_only,
    deletion_is_soft_and_leaves_numbers_alone,
    hostile_content_is_harmless,
    mistakes_are_named,
    views_are_counted_in_batches,
);

pub(crate) const THREADS: &str = "/api/v2/forum/threads";
const CATEGORIES: &str = "/api/v2/forum/categories";

pub(crate) struct Forum {
    pub(crate) node: Node,
    pub(crate) admin: Session,
    pub(crate) category: Value,
    pub(crate) database: TestDatabase,
}

impl Forum {
    pub(crate) async fn start(backend: Backend) -> Self {
        Self::configured(backend, &[]).await
    }

    /// With these settings, by the names of their variables.
    pub(crate) async fn configured(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let database = backend.database().await;
        let builder = Node::builder().database(&database);
        let builder =
            settings.iter().fold(builder, |builder, (name, value)| builder.env(name, value));
        let node = builder.start().await;
        let admin = node.admin("root").await;
        let made = admin.post(CATEGORIES).json(&json!({"name": "General"})).await.expect(201);
        Self { category: made.json()["id"].clone(), node, admin, database }
    }

    /// Somebody new, of whom the forum has heard.
    pub(crate) async fn member(&self, name: &str) -> Session {
        let member = Session::register(&self.node.client(), name).await;
        self.knows(&member, "user").await;
        member
    }

    /// Waits until the forum has heard that somebody has this role.
    pub(crate) async fn knows(&self, somebody: &Session, role: &str) {
        let standing = format!("/api/v2/forum/moderation/users/{}", somebody.user_id);
        eventually("the forum knows them", Duration::from_secs(10), async || {
            let answer = self.admin.get(&standing).await;
            let knows = answer.status == 200 && answer.json()["role"] == role;
            if knows { Ok(()) } else { Err(answer) }
        })
        .await;
    }

    pub(crate) async fn thread(&self, author: &Session, title: &str) -> Value {
        let body = json!({"category_id": self.category, "title": title, "body": "first"});
        author.post(THREADS).json(&body).await.expect(201).json()
    }
}

pub(crate) fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap()
}

pub(crate) fn posts(thread: &Value) -> String {
    format!("{THREADS}/{}/posts", id(thread))
}

fn texts(listing: &Value, field: &str) -> Vec<String> {
    let items = listing["items"].as_array().unwrap();
    items.iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

async fn a_thread_is_opened_answered_and_read(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let body = json!({
        "category_id": forum.category, "title": "Hello, wörld!", "body": "**hi**",
        "tags": ["Rust", "actors"],
    });
    let made = ada.post(THREADS).json(&body).await.expect(201);
    let thread = made.json();
    assert_eq!(made.header("location"), Some(format!("{THREADS}/{}", id(&thread)).as_str()));
    assert_eq!(thread["slug"], "hello-world");
    assert_eq!(thread["author"], json!({"id": ada.user_id, "name": "ada"}));
    assert_eq!(thread["tags"], json!(["rust", "actors"]));
    assert_eq!(thread["reply_count"], 0);
    let answer = bob.post(&posts(&thread)).json(&json!({"body": "an _answer_"})).await.expect(201);
    let answer = answer.json();
    assert_eq!(answer["number"], 2);
    assert_eq!(answer["body_html"], "<p>an <em>answer</em></p>\n");
    assert_eq!(answer["reactions"], json!({}));
    // Everybody may read, also without an account.
    let client = forum.node.client();
    let read = client.get(&posts(&thread)).await.expect(200).json();
    assert_eq!(texts(&read, "body"), ["**hi**", "an _answer_"]);
    let shown = client.get(&format!("{THREADS}/{}", id(&thread))).await.expect(200).json();
    assert_eq!(shown["reply_count"], 1);
    assert_eq!(shown["last_post_at"], answer["created_at"]);
    let one = client.get(&format!("/api/v2/forum/posts/{}", id(&answer))).await.expect(200).json();
    assert_eq!(one["thread_id"], thread["id"]);
    for (query, found) in [
        (format!("category={}", forum.category.as_str().unwrap()), 1),
        ("tag=rust".to_owned(), 1),
        ("tag=other".to_owned(), 0),
        ("category=0000000000000".to_owned(), 0),
    ] {
        let listing = client.get(&format!("{THREADS}?{query}")).await.expect(200).json();
        assert_eq!(listing["items"].as_array().unwrap().len(), found, "{query}");
    }
    client.post(THREADS).json(&body).await.refused(401, "unauthorized");
}

async fn pages_are_stable_while_others_write(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    for number in 0..7 {
        forum.thread(&ada, &format!("thread {number}")).await;
    }
    let client = forum.node.client();
    for sort in ["created", "activity", "top"] {
        let mut seen = Vec::new();
        let mut page = format!("{THREADS}?sort={sort}&limit=3");
        loop {
            let listing = client.get(&page).await.expect(200).json();
            seen.extend(texts(&listing, "title"));
            let Some(cursor) = listing["next_cursor"].as_str() else { break };
            page = format!("{THREADS}?sort={sort}&limit=3&cursor={cursor}");
            // Somebody opens another thread between two pages.
            forum.thread(&ada, "newcomer").await;
        }
        let old: Vec<&String> = seen.iter().filter(|title| title.starts_with("thread")).collect();
        assert_eq!(old.len(), 7, "{sort}: {seen:?}");
        if sort != "top" {
            let expected: Vec<String> = (0..7).rev().map(|n| format!("thread {n}")).collect();
            assert_eq!(old, expected.iter().collect::<Vec<_>>(), "{sort}");
        }
    }
    // A cursor belongs to its list.
    let listing = client.get(&format!("{THREADS}?sort=created&limit=1")).await.expect(200).json();
    let cursor = listing["next_cursor"].as_str().unwrap();
    for other in ["sort=top", "sort=created&tag=x"] {
        let stray = client.get(&format!("{THREADS}?{other}&cursor={cursor}")).await;
        stray.refused(400, "bad_request");
    }
}

async fn edits_need_the_current_version(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "old title").await;
    let path = format!("{THREADS}/{}", id(&thread));
    let tag = |answer: &Answer| answer.header("etag").unwrap().to_owned();
    let first = tag(&ada.get(&path).await.expect(200));
    // A reply is not an edit: the tag for caching changes, the version does not.
    ada.post(&posts(&thread)).json(&json!({"body": "reply"})).await.expect(201);
    assert_ne!(tag(&ada.get(&path).await.expect(200)), first);
    let edit = |title: &str, tag: &str| {
        ada.patch(&path).header("if-match", tag).json(&json!({"title": title}))
    };
    let edited = edit("new title", &first).await.expect(200);
    assert_eq!(edited.json()["title"], "new title");
    edit("newer title", &first).await.refused(412, "precondition_failed");
    edit("newer title", &tag(&edited)).await.expect(200);
    // Without a condition the last one wins.
    ada.patch(&path).json(&json!({"title": "last"})).await.expect(200);
    let post = ada.get(&posts(&thread)).await.expect(200).json()["items"][1].clone();
    let path = format!("/api/v2/forum/posts/{}", id(&post));
    let tag_now = tag(&ada.get(&path).await.expect(200));
    let change =
        |tag: &str| ada.patch(&path).header("if-match", tag).json(&json!({"body": "*changed*"}));
    let changed = change(&tag_now).await.expect(200).json();
    assert_eq!(changed["body_html"], "<p><em>changed</em></p>\n");
    assert!(changed["edited_at"].is_string());
    change(&tag_now).await.refused(412, "precondition_failed");
}

async fn who_may_do_what(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let moderator = forum.node.account("mod", "moderator").await;
    let thread = forum.thread(&ada, "mine").await;
    let path = format!("{THREADS}/{}", id(&thread));
    let post = ada.post(&posts(&thread)).json(&json!({"body": "x"})).await.expect(201).json();
    let post = format!("/api/v2/forum/posts/{}", id(&post));
    bob.post(CATEGORIES).json(&json!({"name": "Mine"})).await.refused(403, "forbidden");
    bob.patch(&path).json(&json!({"title": "his"})).await.refused(403, "forbidden");
    bob.patch(&post).json(&json!({"body": "his"})).await.refused(403, "forbidden");
    bob.delete(&path).await.refused(403, "forbidden");
    bob.delete(&post).await.refused(403, "forbidden");
    moderator.patch(&post).json(&json!({"body": "moderated"})).await.expect(200);
    moderator.post(CATEGORIES).json(&json!({"name": "More"})).await.expect(201);
    let anonymous = forum.node.client();
    anonymous.delete(&path).await.refused(401, "unauthorized");
    anonymous.post(&posts(&thread)).json(&json!({"body": "x"})).await.refused(401, "unauthorized");
    // The forum sees the name that auth gave, whatever the client sends.
    let odd =
        bob.post(&posts(&thread)).header("x-user-id", &ada.user_id).json(&json!({"body": "b"}));
    assert_eq!(odd.await.expect(201).json()["author"]["name"], "bob");
}

async fn restricted_categories_show_to_their_readers_only(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let staff = json!({"name": "Staff", "read_role": "moderator", "post_role": "moderator"});
    let staff = forum.admin.post(CATEGORIES).json(&staff).await.expect(201).json();
    let news = json!({"name": "News", "post_role": "moderator"});
    let news = forum.admin.post(CATEGORIES).json(&news).await.expect(201).json();
    let open = |session: &Session, category: &Value| {
        let body = json!({"category_id": category["id"], "title": "secret", "body": "b"});
        session.post(THREADS).json(&body)
    };
    let thread = open(&forum.admin, &staff).await.expect(201).json();
    open(&ada, &news).await.refused(403, "forbidden");
    let hidden = open(&ada, &staff).await;
    assert!(matches!(hidden.status.as_u16(), 404 | 422), "{hidden:?}");
    let path = format!("{THREADS}/{}", id(&thread));
    for reader in [&ada.client, &forum.node.client()] {
        reader.get(&path).await.refused(404, "not_found");
        reader.get(&posts(&thread)).await.refused(404, "not_found");
        let listing = reader.get(THREADS).await.expect(200).json();
        assert!(listing["items"].as_array().unwrap().is_empty());
        let shown = reader.get(CATEGORIES).await.expect(200).json();
        assert_eq!(texts(&shown, "name"), ["General", "News"]);
    }
    ada.get(&path).await.refused(404, "not_found");
    let answer = ada.post(&posts(&thread)).json(&json!({"body": "x"})).await;
    answer.refused(404, "not_found");
    forum.admin.get(&path).await.expect(200);
    // Two levels and no more; a category in use stays.
    let child = json!({"name": "Child", "parent_id": news["id"]});
    let child = forum.admin.post(CATEGORIES).json(&child).await.expect(201).json();
    let deeper = json!({"name": "Deeper", "parent_id": child["id"]});
    forum.admin.post(CATEGORIES).json(&deeper).await.refused(422, "validation");
    let delete = |category: &Value| forum.admin.delete(&format!("{CATEGORIES}/{}", id(category)));
    delete(&news).await.refused(409, "conflict");
    delete(&staff).await.refused(409, "conflict");
    delete(&child).await.expect(204);
    delete(&news).await.expect(204);
}

async fn deletion_is_soft_and_leaves_numbers_alone(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "t").await;
    let mut made = Vec::new();
    for body in ["two", "three"] {
        let post = ada.post(&posts(&thread)).json(&json!({"body": body})).await.expect(201);
        made.push(post.json());
    }
    let path = format!("/api/v2/forum/posts/{}", id(&made[0]));
    ada.delete(&path).await.expect(204);
    let client = forum.node.client();
    client.get(&path).await.refused(404, "not_found");
    forum.admin.get(&path).await.expect(200);
    let listing = client.get(&posts(&thread)).await.expect(200).json();
    let items = listing["items"].as_array().unwrap();
    assert_eq!(items[1]["number"], 2);
    assert_eq!((&items[1]["deleted"], &items[1]["body"]), (&json!(true), &json!("")));
    assert_eq!(items[2]["body"], "three");
    let next = ada.post(&posts(&thread)).json(&json!({"body": "four"})).await.expect(201).json();
    assert_eq!(next["number"], 4);
    let opening = format!("/api/v2/forum/posts/{}", items[0]["id"].as_str().unwrap());
    ada.delete(&opening).await.refused(409, "conflict");
    let path = format!("{THREADS}/{}", id(&thread));
    ada.delete(&path).await.expect(204);
    client.get(&path).await.refused(404, "not_found");
    client.get(&posts(&thread)).await.refused(404, "not_found");
    let listing = client.get(THREADS).await.expect(200).json();
    assert!(listing["items"].as_array().unwrap().is_empty());
    ada.delete(&path).await.refused(404, "not_found");
}

async fn hostile_content_is_harmless(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let thread = forum.thread(&ada, "<script>alert(1)</script>").await;
    for hostile in [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "![x](x\" onerror=\"alert(1))",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "<a href=\"vbscript:x\">x</a>",
        "<math><mi//xlink:href=\"data:x,<script>alert(4)</script>\">",
    ] {
        let post =
            ada.post(&posts(&thread)).json(&json!({"body": hostile})).await.expect(201).json();
        let html = post["body_html"].as_str().unwrap().to_lowercase();
        for harmful in [
            "<script",
            "<img src=x",
            "<svg",
            "<math",
            "<a href=\"javascript",
            "<a href=\"data",
            "<a href=\"vbscript",
        ] {
            assert!(!html.contains(harmful), "{hostile} gave {html}");
        }
        assert_eq!(post["body"], hostile, "what was written is kept");
    }
    let deep = "> ".repeat(2_000) + "x";
    ada.post(&posts(&thread)).json(&json!({"body": deep})).await.expect(201);
    let word = "x".repeat(10_000);
    ada.post(&posts(&thread)).json(&json!({"body": word})).await.expect(201);
}

async fn mistakes_are_named(backend: Backend) {
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let open = |body: Value| ada.post(THREADS).json(&body);
    let problem = open(json!({"category_id": forum.category, "title": " ", "body": ""})).await;
    let problem = problem.refused(422, "validation");
    assert_eq!(problem.fields(), [("title", "required"), ("body", "required")]);
    let problem = open(json!({"title": "t", "body": "b"})).await.refused(422, "validation");
    assert_eq!(problem.fields(), [("category_id", "required")]);
    let problem = open(json!({"category_id": "0000000000000", "title": "t", "body": "b"})).await;
    assert!(matches!(problem.status.as_u16(), 404 | 422), "{problem:?}");
    let long = json!({"category_id": forum.category, "title": "x".repeat(256), "body": "b"});
    open(long).await.refused(422, "validation");
    let long = json!({"category_id": forum.category, "title": "t", "body": "x".repeat(32_001)});
    assert_eq!(open(long).await.refused(422, "validation").fields(), [("body", "too_long")]);
    let tags = json!({"category_id": forum.category, "title": "t", "body": "b", "tags": ["a", "b", "c", "d", "e", "f"]});
    open(tags).await.refused(422, "validation");
    let thread = forum.thread(&ada, "t").await;
    let foreign = forum.thread(&ada, "other").await;
    let listing = ada.get(&posts(&foreign)).await.expect(200).json();
    let stray = json!({"body": "b", "reply_to": listing["items"][0]["id"]});
    ada.post(&posts(&thread)).json(&stray).await.refused(422, "validation");
    let trojan = json!({"category_id": forum.category, "title": "a\u{202e}b", "body": "b"});
    assert_eq!(open(trojan).await.refused(422, "validation").fields(), [("title", "characters")]);
    // What nobody sees is nothing, and does not make of one word two.
    let unseen = ["\u{200b}", "\u{feff} \u{200d}", "\u{3164}", "\u{2800}"];
    for nothing in unseen {
        let blank = json!({"category_id": forum.category, "title": nothing, "body": nothing});
        let required = [("title", "required"), ("body", "required")];
        assert_eq!(open(blank).await.refused(422, "validation").fields(), required);
    }
    let tagged = |tag: &str| {
        json!({"category_id": forum.category, "title": "Ca\u{200b}t\u{ad}s", "body": "b",
               "tags": [tag]})
    };
    open(tagged("ru\u{2060}st")).await.refused(422, "validation");
    assert_eq!(open(tagged("rust")).await.expect(201).json()["title"], "Cats");
}

async fn views_are_counted_in_batches(backend: Backend) {
    let forum = Forum::start(backend).await;
    let thread = forum.thread(&forum.admin, "t").await;
    let path = format!("{THREADS}/{}", id(&thread));
    let client = forum.node.client();
    for _ in 0..5 {
        client.get(&path).await.expect(200);
    }
    eventually("the views are written", Duration::from_secs(15), async || {
        let listing = client.get(THREADS).await.expect(200).json();
        listing["items"][0]["view_count"].as_u64().is_some_and(|views| views >= 5)
    })
    .await;
}
