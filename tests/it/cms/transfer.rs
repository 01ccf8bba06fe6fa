//! Taking articles from one place to another.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use panel_harness::{Backend, Node, Session, TestDatabase, eventually, on_both_databases};
use panel_kernel::time::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::POSTS;

on_both_databases!(
    all_of_it_goes_into_a_file_and_another_site,
    an_import_that_was_cut_off_goes_on,
    what_can_not_be_taken_in_is_named,
    what_is_good_is_taken_in_and_the_rest_is_left_out,
);

const A_YEAR: Duration = Duration::from_secs(365 * 86_400);
const SOON: Duration = Duration::from_secs(20);

/// A node, and its administrator.
pub(super) struct Site {
    pub(super) node: Node,
    pub(super) root: Session,
    folder: TempDir,
    database: TestDatabase,
}

impl Site {
    pub(super) async fn start(backend: Backend) -> Self {
        let database = backend.database().await;
        let node = Node::builder().database(&database).start().await;
        let root = node.admin("root").await;
        Self { node, root, folder: TempDir::new().unwrap(), database }
    }

    pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) async fn cms(&self, arguments: &[&str]) -> Output {
        self.node.cli(&[&["cms"], arguments].concat()).await
    }

    pub(super) async fn import(&self, file: &Path, more: &[&str]) -> String {
        let output = self.cms(&[&["import", file.to_str().unwrap()], more].concat()).await;
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    }

    pub(super) async fn refused(&self, file: &Path, more: &[&str]) -> String {
        let output = self.cms(&[&["import", file.to_str().unwrap()], more].concat()).await;
        assert!(!output.status.success(), "{}", said(&output));
        said(&output)
    }

    /// A place in its folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn export(&self, name: &str) -> PathBuf {
        self.exported(name, &[]).await
    }

    pub(super) async fn exported(&self, name: &str, more: &[&str]) -> PathBuf {
        let file = self.path(name);
        let output = self.cms(&[&["export", file.to_str().unwrap()], more].concat()).await;
        assert!(output.status.success(), "{}", said(&output));
        file
    }

    pub(super) async fn article(&self, slug: &str) -> Value {
        self.root.get(&format!("{POSTS}/{slug}")).await.expect(200).json()
    }
}

pub(super) fn said(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it).into_owned());
    text.concat()
}

/// A site with all that there is.
async fn full(site: &Site) {
    let root = &site.root;
    let news = json!({"name": "News", "slug": "news", "description": "What is new", "position": 3});
    root.post("/api/v2/cms/categories").json(&news).await.expect(201);
    let versioned = async |path: &str, change: Value| {
        let version = root.get(path).await.expect(200).json()["version"].clone();
        let edit = root.patch(path).header("if-match", &format!("\"{version}\""));
        edit.json(&change).await.expect(200);
    };
    let step = async |path: &str, name: &str, with: Value| {
        let version = root.get(path).await.expect(200).json()["version"].clone();
        let step =
            root.post(&format!("{path}/{name}")).header("if-match", &format!("\"{version}\""));
        let step = if with.is_null() { step } else { step.json(&with) };
        step.await.expect(200);
    };
    let begun = async |route: &str, article: Value| {
        let made = root.post(route).json(&article).await.expect(201).json();
        format!("{route}/{}", made["id"].as_str().unwrap())
    };
    let mia = site.node.account("mia", "premium").await;
    let party = begun(POSTS, json!({"title": "A street party", "language": "en"})).await;
    let whole = json!({"language": "de", "authors": [root.user_id, mia.user_id], "title": "Ein Straßenfest \u{1f600}", "body": "# One\n\n*two*", "slug": "fest",
        "excerpt": "Kurz.", "category": "news", "tags": ["rust", "東京"],
        "cover": "https://a.example/b.png", "comments": true,
        "seo": {"title": "T", "description": "D", "canonical": "https://a.example/", "noindex": true}});
    let fest = begun(POSTS, whole).await;
    step(&fest, "publish", Value::Null).await;
    for text in ["# Two", "# Three"] {
        versioned(&fest, json!({"body": text})).await;
    }
    versioned(&fest, json!({"slug": "feier"})).await;
    // Written before, and translated after.
    versioned(&party, json!({"translation_of": "feier"})).await;
    begun(POSTS, json!({"title": "A draft"})).await;
    let later = begun(POSTS, json!({"title": "Later", "body": "x"})).await;
    step(&later, "schedule", json!({"publish_at": Clock::system().now().plus(A_YEAR)})).await;
    let review = begun(POSTS, json!({"title": "In review"})).await;
    step(&review, "submit", Value::Null).await;
    let archived = begun(POSTS, json!({"title": "Old"})).await;
    step(&archived, "publish", Value::Null).await;
    step(&archived, "archive", Value::Null).await;
    let about = begun("/api/v2/cms/pages", json!({"title": "About", "body": "us"})).await;
    step(&about, "publish", Value::Null).await;
    let id = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let items = json!([{"label": "Home", "url": "/blog"},
        {"label": "About", "article": id(&about), "children": [{"label": "Party", "article": id(&fest)}]}]);
    root.put("/api/v2/cms/menus/main").json(&json!({"items": items})).await.expect(201);
    let gone = begun(POSTS, json!({"title": "Gone"})).await;
    root.delete(&gone).header("if-match", "\"1\"").await.expect(204);
    let old = json!({"from": "/blog/2019/05/fest", "to": "/blog/feier"});
    root.post("/api/v2/cms/redirects").json(&old).await.expect(201);
}

/// All that an administrator sees of a site, but what is its own: numbers of versions, and ids where they are of redirects.
async fn picture(site: &Site) -> Value {
    let root = &site.root;
    let list = async |path: &str| {
        root.get(&format!("{path}?limit=100")).await.expect(200).json()["items"].clone()
    };
    let mut articles = Vec::new();
    for route in [POSTS, "/api/v2/cms/pages"] {
        for listed in list(&format!("{route}/all")).await.as_array().unwrap() {
            let one = format!("{route}/{}", listed["id"].as_str().unwrap());
            let mut article = root.get(&one).await.expect(200).json();
            article.as_object_mut().unwrap().remove("version");
            let mut revisions = list(&format!("{one}/revisions")).await;
            for revision in revisions.as_array_mut().unwrap() {
                let number = revision["number"].clone();
                let whole = root.get(&format!("{one}/revisions/{number}")).await.expect(200).json();
                *revision = json!([
                    number,
                    whole["title"],
                    whole["body"],
                    whole["editor"],
                    whole["created_at"]
                ]);
            }
            articles.push(json!([article, revisions]));
        }
    }
    let trash: Vec<Value> = list(&format!("{POSTS}/trash"))
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["title"].clone())
        .collect();
    let mut terms = Vec::new();
    for route in ["/api/v2/cms/categories", "/api/v2/cms/tags"] {
        for term in list(route).await.as_array().unwrap() {
            terms.push(json!([
                term["slug"],
                term["name"],
                term["description"],
                term["position"],
                term["article_count"]
            ]));
        }
    }
    let redirects: Vec<Value> = list("/api/v2/cms/redirects")
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|it| json!([it["from"], it["to"]]))
        .collect();
    let menu = root.get("/api/v2/cms/menus/main").await;
    let menu = if menu.status == 200 { menu.json()["items"].clone() } else { Value::Null };
    json!([articles, trash, terms, redirects, menu])
}

/// What an administrator sees of a site, with people called as on another.
fn called(picture: &Value, other: &Value) -> Value {
    let people = |picture: &Value| -> Vec<String> {
        let articles = picture[0].as_array().unwrap().iter().map(|it| &it[0]["authors"]);
        let authors = articles.map(|authors| authors.as_array().unwrap()).max_by_key(|it| it.len());
        authors.unwrap().iter().map(|author| author["id"].as_str().unwrap().to_owned()).collect()
    };
    let (from, to) = (people(picture), people(other));
    assert_eq!((from.len(), to.len()), (2, 2));
    let text =
        from.iter().zip(&to).fold(picture.to_string(), |text, (from, to)| text.replace(from, to));
    serde_json::from_str(&text).unwrap()
}

async fn all_of_it_goes_into_a_file_and_another_site(backend: Backend) {
    let (from, into) = (Site::start(backend).await, Site::start(backend).await);
    full(&from).await;
    let before = picture(&from).await;
    let file = from.export("all.jsonl").await;
    // Nobody else reads it, and it is not written over.
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = from.cms(&["export", file.to_str().unwrap()]).await;
    assert!(!again.status.success() && said(&again).contains("is there already"));
    // Where it is from nothing is new.
    let told = from.import(&file, &[]).await;
    assert!(
        told.contains("new: 0 articles, 0 pictures, 0 categories and tags, 0 earlier texts, 0 translations, 0 menus, 0 redirects"),
        "{told}"
    );
    assert_eq!(picture(&from).await, before);
    let told = into.import(&file, &[]).await;
    assert!(
        told.contains("new: 8 articles")
            && told.contains("2 earlier texts, 1 translations, 1 menus, 1 redirects"),
        "{told}"
    );
    let after = picture(&into).await;
    // Those who wrote are people of their own there, under their names.
    let author = after[0][0][0]["author"].clone();
    assert_eq!(author["name"], "root");
    assert_ne!(author, before[0][0][0]["author"]);
    assert_eq!(called(&after, &before), before);
    let told = into.import(&file, &[]).await;
    assert!(told.contains("new: 0 articles") && told.contains("there before: 1"), "{told}");
    // People come by what it was called, and find it.
    let client = into.node.client();
    assert_eq!(client.get("/blog/fest").await.expect(301).header("location"), Some("/blog/feier"));
    client.get("/blog/2019/05/fest").await.expect(301);
    let found = client.get("/api/v2/cms/search?q=three").await.expect(200).json();
    assert_eq!(found["items"][0]["slug"], "feier");
    let find = "SELECT record FROM audit WHERE action = 'cms.import' ORDER BY id";
    let told = eventually("it is in the audit log", SOON, async || {
        let found = into.database.raw_sql("admin").await.texts(find, 0).await.unwrap_or_default();
        if found.len() == 2 { Ok(found) } else { Err(found) }
    })
    .await;
    let first: Value = serde_json::from_str(&told[0]).unwrap();
    assert_eq!(first["after"]["articles"], 8, "{first}");
}

async fn an_import_that_was_cut_off_goes_on(backend: Backend) {
    let (from, into) = (Site::start(backend).await, Site::start(backend).await);
    full(&from).await;
    let file = from.export("all.jsonl").await;
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for count in [0, 1, 5, lines.len() / 2, lines.len() - 1] {
        let half = into.file("half.jsonl", &lines[..count].join("\n"));
        let told = into.refused(&half, &["--format", "panel"]).await;
        assert!(told.contains("before its last line"), "{count}: {told}");
    }
    // In the middle of a line.
    let cut = into.file("cut.jsonl", &text[..text.len() - 9]);
    into.refused(&cut, &[]).await;
    into.import(&file, &[]).await;
    let (before, after) = (picture(&from).await, picture(&into).await);
    assert_eq!(called(&after, &before), before);
}

const HEAD: &str = r#"{"type":"site","version":1,"source":"elsewhere"}"#;

fn article(id: &str, more: &Value) -> String {
    let mut article = json!({"type": "article", "id": id, "title": "T", "created_at": "2020-01-01T00:00:00Z",
                             "author": {"id": "a", "name": "Ann"}});
    for (name, value) in more.as_object().unwrap() {
        article[name] = value.clone();
    }
    article.to_string()
}

fn end(count: usize) -> String {
    format!("{{\"type\":\"end\",\"records\":{count}}}")
}

async fn what_can_not_be_taken_in_is_named(backend: Backend) {
    let site = Site::start(backend).await;
    let head = HEAD;
    for (lines, place, reason) in [
        (vec![article("1", &json!({}))], "line 1", "first, it must say what the file is"),
        (vec![head.replace(":1,", ":3,")], "line 1", "it is of form 3; this reads 2"),
        (vec![head.replace("elsewhere", "")], "line 1", "its source"),
        (vec![head.to_owned(), "{\"type\":\"other\"}".to_owned()], "line 2", "unknown variant"),
        (vec![head.to_owned(), "x".to_owned()], "line 2", "expected value"),
        (vec![head.to_owned(), article("1", &json!({"title": ""}))], "line 2", "title"),
        (vec![head.to_owned(), article("", &json!({}))], "line 2", "1 to 200 bytes"),
        (vec![head.to_owned(), article("1", &json!({"body": "x".repeat(140_000)}))], "line 2", "body"),
        (vec![head.to_owned(), article("1", &json!({"body": "[^1]".repeat(20_000) + "\n\n[^1]: a"}))], "line 2", "too long"),
        (vec![head.to_owned(), article("1", &json!({"status": "scheduled"}))], "line 2", "publish_at"),
        (vec![head.to_owned(), article("1", &json!({"kind": "page", "comments": true}))], "line 2", "comments"),
        (vec![head.to_owned(), article("1", &json!({"cover": "javascript:x"}))], "line 2", "cover"),
        (vec![head.to_owned(), end(7)], "line 2", "1 came before it, not 7"),
        (vec![head.to_owned(), end(1), article("1", &json!({}))], "line 3", "after the last"),
        (
            vec![head.to_owned(), r#"{"type":"redirect","from":"/api/x","to":"/y"}"#.to_owned()],
            "line 2",
            "from",
        ),
        (
            vec![head.to_owned(), r#"{"type":"redirect","from":"/blog/x/y","to":"/blog/x/y"}"#.to_owned()],
            "line 2",
            "back to itself",
        ),
        (
            vec![
                head.to_owned(),
                String::new(),
                r#"{"type":"redirect","from":"/blog/x/1","to":"/blog/x/2"}"#.to_owned(),
                r#"{"type":"redirect","from":"/blog/x/2","to":"/blog/x/1?a"}"#.to_owned(),
            ],
            "line 4",
            "back to itself",
        ),
        (
            vec![head.to_owned(), r#"{"type":"translation","article_id":"8","of":"9"}"#.to_owned()],
            "line 2",
            "no such article before it",
        ),
        (vec![head.to_owned(), article("1", &json!({"language": "Klingon"}))], "line 2", "language"),
        (
            vec![head.to_owned(), r#"{"type":"menu","name":"main","items":[{"label":"a","article_id":"9"}]}"#.to_owned()],
            "line 2",
            "no article \"9\" before it",
        ),
        (
            vec![head.to_owned(), r#"{"type":"menu","name":"Main","items":[{"label":"a","url":"javascript:x"}]}"#.to_owned()],
            "line 2",
            "name must be",
        ),
        (
            vec![head.to_owned(), r#"{"type":"revision","article_id":"9","number":1,"title":"a","body":"","editor":{"id":"a","name":"b"},"created_at":"2020-01-01T00:00:00Z"}"#.to_owned()],
            "line 2",
            "no article \"9\" before it",
        ),
    ] {
        let file = site.file("bad.jsonl", &lines.join("\n"));
        let told = site.refused(&file, &["--format", "panel"]).await;
        assert!(told.contains(place) && told.contains(reason), "{place} {reason}: {told}");
    }
}

async fn what_is_good_is_taken_in_and_the_rest_is_left_out(backend: Backend) {
    let site = Site::start(backend).await;
    let lines = [
        HEAD.to_owned(),
        article("1", &json!({"title": ""})),
        article(
            "2",
            &json!({"status": "published", "slug": "Same Slug", "title": "Nul \u{0} and \u{202e}more"}),
        ),
        "nonsense".to_owned(),
        article("3", &json!({"status": "published", "slug": "same-slug", "category": "Made Up"})),
        article("4", &json!({"slug": "trash"})),
        end(6),
    ];
    let file = site.file("some.jsonl", &lines.join("\n"));
    let told = site.refused(&file, &["--skip"]).await;
    assert!(
        told.contains("left out, line 2: title") && told.contains("left out, line 4:"),
        "{told}"
    );
    assert!(told.contains("new: 3 articles") && told.contains("2 were left out"), "{told}");
    let named = site.article("same-slug").await;
    assert_eq!((&named["status"], &named["author"]["name"]), (&json!("published"), &json!("Ann")));
    assert!(!named["title"].as_str().unwrap().contains('\u{0}'), "{named}");
    let other = site.article("same-slug-2").await;
    assert_eq!((&other["category"], &other["author"]), (&json!("made-up"), &named["author"]));
    site.article("post-trash").await;
    // What is no such file at all says so, and so does what is not there.
    for (content, reason) in [
        ("hello", "it is to be seen of no program"),
        ("<rss></rss>", "no file of WordPress"),
        ("{\"a\":1}", "no file of Ghost"),
    ] {
        let told = site.refused(&site.file("other", content), &[]).await;
        assert!(told.contains(reason), "{told}");
    }
    site.refused(Path::new("/nonexistent/file"), &[]).await;
}
