//! Articles that several people wrote.

use std::time::Duration;

use panel_harness::session::PASSWORD;
use panel_harness::{Backend, Node, Session, TestDatabase, eventually, on_both_databases};
use panel_kernel::role::Role;
use serde_json::{Value, json};

use super::{Cms, POSTS, at, slugs};

on_both_databases!(
    several_people_write_an_article,
    whose_an_article_is_moderators_say,
    names_of_authors_follow_them_and_go_with_them,
    who_is_not_known_is_not_named_while_auth_is_away,
);

const SOON: Duration = Duration::from_secs(20);
const NOBODY: &str = "0123456789abc";

/// A whole node, and people with accounts.
struct Site {
    node: Node,
    root: Session,
    ann: Session,
    bob: Session,
    /// Who reads.
    carl: Session,
    _database: TestDatabase,
}

impl Site {
    async fn start(backend: Backend) -> Self {
        let database = backend.database().await;
        let node = Node::builder().database(&database).start().await;
        let root = node.admin("root").await;
        let [ann, bob] =
            [node.account("ann", "premium").await, node.account("bob", "premium").await];
        let carl = node.account("carl", "user").await;
        Self { node, root, ann, bob, carl, _database: database }
    }

    /// One of Ann's, with these.
    async fn draft(&self, title: &str, authors: &[&Session]) -> Value {
        let new = json!({"title": title, "body": "Together.", "authors": ids(authors)});
        self.ann.post(POSTS).json(&new).await.expect(201).json()
    }

    async fn published(&self, article: &Value) -> Value {
        let publish = format!("{}/publish", at(article));
        self.root.post(&publish).header("if-match", "*").await.expect(200).json()
    }

    async fn html(&self, path: &str) -> String {
        self.node.client().get(path).await.expect(200).text()
    }
}

fn ids(people: &[&Session]) -> Vec<String> {
    people.iter().map(|person| person.user_id.clone()).collect()
}

async fn patch(by: &Session, article: &Value, change: Value) -> panel_harness::Answer {
    by.patch(&at(article)).header("if-match", "*").json(&change).await
}

fn named(article: &Value) -> Vec<&str> {
    let authors = article["authors"].as_array().unwrap();
    authors.iter().map(|author| author["name"].as_str().unwrap()).collect()
}

async fn several_people_write_an_article(backend: Backend) {
    let site = Box::pin(Site::start(backend)).await;
    let Site { root, ann, bob, carl, .. } = &site;
    let article = site.draft("Ours", &[ann, bob, ann]).await;
    assert_eq!(
        (named(&article), &article["author"]["id"]),
        (vec!["ann", "bob"], &json!(ann.user_id))
    );
    // Each of them goes on with it, and sees how it was written; nobody else does.
    let edited = patch(bob, &article, json!({"body": "We *both* did."})).await.expect(200).json();
    assert_eq!((&edited["edited_by"]["name"], named(&edited)), (&json!("bob"), vec!["ann", "bob"]));
    bob.get(&format!("{}/revisions", at(&article))).await.expect(200);
    patch(carl, &article, json!({"title": "Mine"})).await.refused(404, "not_found");
    let drafts = async |of: &Session| {
        let list = of.get(&format!("{POSTS}/all?author=me")).await.expect(200).json();
        slugs(&list).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        (drafts(ann).await, drafts(bob).await),
        (vec!["ours".to_owned()], vec!["ours".to_owned()])
    );
    let of_bob = format!("{POSTS}?author={}", bob.user_id);
    assert_eq!(slugs(&carl.get(&of_bob).await.expect(200).json()), [""; 0]);
    carl.get(&format!("/blog/author/{}", bob.user_id)).await.expect(404);
    let submit = bob.post(&format!("{}/submit", at(&article))).header("if-match", "*");
    submit.await.expect(200);
    site.published(&article).await;
    // What was approved is an editor's.
    patch(bob, &article, json!({"title": "x"})).await.refused(403, "forbidden");

    let html = site.html("/blog/ours").await;
    for person in [ann, bob] {
        let link = format!(
            "<a rel=\"author\" href=\"/blog/author/{}\">{}</a>",
            person.user_id, person.username
        );
        assert!(html.contains(&link), "{link} is not in {html}");
    }
    let told = html.split("<script type=\"application/ld+json\">").nth(1).unwrap();
    let told: Value = serde_json::from_str(told.split("</script>").next().unwrap()).unwrap();
    assert_eq!(
        (&told["author"][0]["name"], &told["author"][1]["name"]),
        (&json!("ann"), &json!("bob"))
    );
    let feed = site.html("/feed.xml").await;
    let both = "<author><name>ann</name></author>\n<author><name>bob</name></author>";
    assert!(feed.contains(both), "{feed}");
    // It is among what both wrote, with others of theirs in one order, page by page.
    let own = json!({"title": "Own", "body": "x"});
    let own = bob.post(POSTS).json(&own).await.expect(201).json();
    site.published(&own).await;
    let more = site.draft("More", &[ann, bob]).await;
    site.published(&more).await;
    let found = carl.get(&of_bob).await.expect(200).json();
    assert_eq!(
        (slugs(&found), named(&found["items"][2])),
        (vec!["more", "own", "ours"], vec!["ann", "bob"])
    );
    let first = carl.get(&format!("{of_bob}&limit=2")).await.expect(200).json();
    let next = first["next_cursor"].as_str().unwrap();
    let rest = carl.get(&format!("{of_bob}&limit=2&cursor={next}")).await.expect(200).json();
    assert_eq!((slugs(&first), slugs(&rest)), (vec!["more", "own"], vec!["ours"]));
    let list = site.html(&format!("/blog/author/{}", bob.user_id)).await;
    assert!(list.contains("<h1>bob</h1>") && list.contains("ann, bob"), "{list}");
    let hits = eventually("it is found", SOON, async || {
        let path = format!("/api/v2/cms/search?q=both&author={}", bob.user_id);
        let hits = carl.get(&path).await.expect(200).json();
        if hits["items"].as_array().unwrap().is_empty() { Err(hits) } else { Ok(hits) }
    })
    .await;
    assert_eq!(named(&hits["items"][0]), ["ann", "bob"]);
    // Who is not named any more has written nothing of it.
    patch(root, &article, json!({"authors": ids(&[ann])})).await.expect(200);
    assert_eq!(slugs(&carl.get(&of_bob).await.expect(200).json()), ["more", "own"]);
    assert!(!site.html("/blog/ours").await.contains("bob"));
}

async fn whose_an_article_is_moderators_say(backend: Backend) {
    let site = Box::pin(Site::start(backend)).await;
    let Site { root, ann, bob, carl, .. } = &site;
    // Nobody begins something as somebody else.
    let theirs = json!({"title": "x", "authors": ids(&[bob, ann])});
    ann.post(POSTS).json(&theirs).await.refused(403, "forbidden");
    for (authors, code) in [
        (json!([]), "out_of_range"),
        (json!([ann.user_id, NOBODY]), "unknown"),
        (json!((0..11).map(|n| format!("{n:013}")).collect::<Vec<_>>()), "out_of_range"),
    ] {
        let refused = ann.post(POSTS).json(&json!({"title": "x", "authors": authors})).await;
        assert_eq!(refused.refused(422, "validation").fields(), [("authors", code)], "{authors}");
    }
    let words = ann.post(POSTS).json(&json!({"title": "x", "authors": ["me"]})).await;
    assert_eq!(words.refused(422, "validation").fields(), [("authors[0]", "invalid")]);
    let article = site.draft("Ours", &[ann, bob]).await;
    for authors in [ids(&[bob, ann]), ids(&[bob])] {
        patch(bob, &article, json!({"authors": authors})).await.refused(403, "forbidden");
    }
    // Somebody who wrote with her leaves, and she takes somebody else in.
    let left = patch(bob, &article, json!({"authors": ids(&[ann])})).await.expect(200).json();
    assert_eq!(named(&left), ["ann"]);
    patch(bob, &article, json!({"title": "y"})).await.refused(404, "not_found");
    let joined =
        patch(ann, &article, json!({"authors": ids(&[ann, carl])})).await.expect(200).json();
    assert_eq!(named(&joined), ["ann", "carl"]);
    // Who may not write does not, though they are named.
    patch(carl, &article, json!({"title": "y"})).await.refused(403, "forbidden");
    let given =
        patch(root, &article, json!({"authors": ids(&[bob, carl])})).await.expect(200).json();
    assert_eq!((named(&given), &given["author"]["id"]), (vec!["bob", "carl"], &json!(bob.user_id)));
    patch(ann, &article, json!({"title": "y"})).await.refused(404, "not_found");
    patch(bob, &article, json!({"title": "y"})).await.expect(200);
    // A moderator begins something for others.
    let new = json!({"title": "For them", "authors": ids(&[carl, bob])});
    let made = root.post(POSTS).json(&new).await.expect(201).json();
    assert_eq!(named(&made), ["carl", "bob"]);
    // Sent again under its key, it was begun once.
    let again = json!({"title": "Once", "authors": ids(&[ann, bob])});
    let send = async || ann.post(POSTS).idempotency_key("k").json(&again).await.expect(201).json();
    assert_eq!(send().await["id"], send().await["id"]);
}

async fn names_of_authors_follow_them_and_go_with_them(backend: Backend) {
    let site = Box::pin(Site::start(backend)).await;
    let Site { root, ann, bob, carl, .. } = &site;
    let name = async |who: &Session, name: &str| {
        who.patch("/api/v2/auth/profile").json(&json!({"display_name": name})).await.expect(200);
    };
    // Renamed before anybody names him.
    name(carl, "Carlos").await;
    let article = site.draft("Ours", &[ann, bob, carl]).await;
    assert_eq!(named(&article), ["ann", "bob", "Carlos"]);
    site.published(&article).await;
    assert!(site.html("/blog/ours").await.contains(">bob</a>, "));
    name(bob, "Robert").await;
    let until = async |expected: [&str; 3]| {
        eventually("the page names them so", SOON, async || {
            let html = site.html("/blog/ours").await;
            let read = root.get(&at(&article)).await.expect(200).json();
            let shown = expected.iter().all(|name| html.contains(&format!(">{name}</a>")));
            if shown && named(&read) == expected { Ok(()) } else { Err(html) }
        })
        .await;
    };
    until(["ann", "Robert", "Carlos"]).await;
    let export = bob.delete("/api/v2/auth/account").json(&json!({"password": PASSWORD}));
    export.await.expect(204);
    until(["ann", "deleted user", "Carlos"]).await;
    let lists =
        [format!("/blog/author/{}", bob.user_id), "/blog".to_owned(), "/feed.xml".to_owned()];
    for path in lists {
        let html = site.html(&path).await;
        assert!(html.contains("deleted user") && !html.contains("Robert"), "{path}: {html}");
    }
    // Who is gone stays where they were, and comes to nothing new.
    let same = json!({"authors": ids(&[ann, bob]), "title": "Ours still"});
    let kept = patch(root, &article, same).await.expect(200).json();
    assert_eq!(named(&kept), ["ann", "deleted user"]);
    let new = json!({"title": "x", "authors": ids(&[ann, bob])});
    let refused = ann.post(POSTS).json(&new).await.refused(422, "validation");
    assert_eq!(refused.fields(), [("authors", "unknown")]);
    // Of what somebody wrote with others, they have a copy.
    carl.post("/api/v2/auth/account/export").await.expect(202);
}

async fn who_is_not_known_is_not_named_while_auth_is_away(backend: Backend) {
    // The cms alone.
    let cms = Cms::start(backend).await;
    let own = cms.ann.post(POSTS).json(&json!({"title": "a"})).await.expect(201).json();
    let me = own["author"]["id"].clone();
    let new = json!({"title": "b", "authors": [me]});
    let made = cms.ann.post(POSTS).json(&new).await.expect(201).json();
    assert_eq!(made["authors"].as_array().unwrap().len(), 1);
    let other = json!({"title": "c", "authors": [me, NOBODY]});
    let refused = cms.ann.post(POSTS).json(&other).await.refused(503, "unavailable");
    assert_eq!(refused.service.as_deref(), Some("auth"), "{refused:?}");
    let list = cms.eve.get(&format!("{POSTS}/all")).await.expect(200).json();
    assert_eq!(slugs(&list), ["b", "a"], "it was not begun");
    // Who moderates is signed in on no account there is here, and names themselves.
    let eve = cms.rig.signed_in(Role::Moderator);
    eve.post(POSTS).json(&json!({"title": "d"})).await.expect(201);
    cms.rig.shutdown().await;
}
