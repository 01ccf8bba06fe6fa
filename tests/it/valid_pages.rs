//! Pages are HTML, as a validator of others sees it (HTML Tidy), whatever is on them.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use panel_harness::pictures::{noise, png};
use panel_harness::{Client, Node, Thread, eventually};
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);
/// What is HTML by now, and this validator is too old to know.
const SINCE: [&str; 7] = [
    "\"nonce\"",
    "\"loading\"",
    "\"decoding\"",
    "\"sizes\"",
    "\"referrerpolicy\"",
    "\"allow\"",
    "\"aria-current\"",
];

/// All that Markdown can say.
const TEXT: &str = r#"A *text* with **all** that ~~is not~~ is: `code`, <b>HTML</b> & ampersands, https://example.org/?a=b&c=d

## Heading & more

| a | b | c |
|:--|:-:|--:|
| 1 | 2 | 3 |

- [ ] task
- [x] done
  1. one
  2. two

```rust
fn main() { println!("<>&"); }
```

> a quotation

### "Deeper"

***
"#;

/// What is wrong with a page.
fn faults(page: &str) -> Vec<String> {
    let mut tidy = Command::new("tidy")
        .args(["-errors", "-quiet", "-utf8"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("what tests/scripts/packages.sh installs is there");
    tidy.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let said = String::from_utf8(tidy.wait_with_output().unwrap().stderr).unwrap();
    let is_known = |line: &&str| {
        !(line.contains("proprietary attribute") && SINCE.iter().any(|it| line.contains(it)))
    };
    said.lines().filter(is_known).map(str::to_owned).collect()
}

async fn page(client: &Client, path: &str, status: u16) -> String {
    client.get(path).header("accept", "text/html").await.expect(status).text()
}

#[test]
fn faults_are_found() {
    let fine = "<!DOCTYPE html><html lang=\"en\"><head><title>a</title></head><body><p>b</p></body></html>";
    assert_eq!(faults(fine), [""; 0]);
    for wrong in [
        fine.replace("<p>", "<p align=\"left\">"),
        fine.replace("<p>b</p>", "<table><p>b</table>"),
        fine.replace("b</p>", "a & b &c; </p><img src=\"a\">"),
        fine.replace("<p>b</p>", "<p id=\"a\">b</p><p id=\"a\">b</p>"),
    ] {
        assert!(!faults(&wrong).is_empty(), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_html() {
    let node = Node::start().await;
    let root = node.admin("root").await;
    let file = root
        .post("/api/v2/cms/media?alt=A+%22flag%22")
        .body("image/png", png(&noise(700, 300, 1).into()));
    let picture = file.await.expect(201).json()["url"].as_str().unwrap().to_owned();
    let news = json!({"name": "News & \"more\"", "slug": "news", "description": "<All> of it"});
    root.post("/api/v2/cms/categories").json(&news).await.expect(201);
    let body = format!(
        "{TEXT}\n![a \"picture\"]({picture})\n\n![](https://example.org/a.png \"title\")\n\n\
         https://www.youtube.com/watch?v=dQw4w9WgXcQ\n\nnote[^1]\n\n[^1]: The note."
    );
    let other = node.account("zoë", "premium").await.user_id;
    let mut articles = Vec::new();
    for n in 0..22 {
        let language = ["pt-BR", "zh-Hant", "en"].get(n);
        let article = json!({
            "title": format!("Everything & \"all\" <of> it {n}"), "slug": format!("all-{n}"),
            "body": body, "category": "news", "tags": ["c++", "日本"], "cover": picture,
            "seo": {"title": "<&\">", "description": "'\"<&>"}, "comments": n == 0,
            "authors": [root.user_id, other], "language": language,
            "translation_of": (n == 2).then_some("all-0"),
        });
        let made = root.post("/api/v2/cms/posts").json(&article).await.expect(201).json();
        let id = made["id"].as_str().unwrap().to_owned();
        let publish = root.post(&format!("/api/v2/cms/posts/{id}/publish"));
        publish.header("if-match", "\"1\"").await.expect(200);
        articles.push((id, made["author"]["id"].as_str().unwrap().to_owned()));
    }
    let alone = json!({"title": "About", "slug": "about", "body": body});
    let alone = root.post("/api/v2/cms/pages").json(&alone).await.expect(201).json();
    let publish = format!("/api/v2/cms/pages/{}/publish", alone["id"].as_str().unwrap());
    root.post(&publish).header("if-match", "\"1\"").await.expect(200);
    let items = json!({"items": [
        {"label": "A & <b>", "url": "https://example.org/?a=1&b='2'", "children": [{"label": "\"", "url": "/blog"}]},
        {"label": "About", "article": alone["id"]},
    ]});
    for menu in ["main", "footer"] {
        root.put(&format!("/api/v2/cms/menus/{menu}")).json(&items).await.expect(201);
    }
    let preview = format!("/api/v2/cms/posts/{}/preview-link", articles[0].0);
    let preview =
        root.post(&preview).header("if-match", "*").json(&json!({})).await.expect(201).json();
    let preview = preview["url"].as_str().unwrap().to_owned();
    let preview = format!("/blog/{}", preview.split_once("/blog/").unwrap().1);
    let gone = root.delete(&format!("/api/v2/cms/posts/{}", articles[1].0));
    gone.header("if-match", "*").await.expect(204);
    let thread = Thread::open(&root).await;
    root.post(&thread.posts).json(&json!({"body": TEXT})).await.expect(201);
    let client = node.client();
    let comments = format!("/api/v2/cms/posts/{}/comments", articles[0].0);
    eventually("it is commented on", SOON, async || {
        let said = root.post(&comments).json(&json!({"body": TEXT})).await;
        if said.status == 201 { Ok(()) } else { Err(said) }
    })
    .await;
    eventually("the comment is shown", SOON, async || {
        page(&client, "/blog/all-0", 200).await.contains("comment-2")
    })
    .await;
    eventually("what is looked for is found", SOON, async || {
        page(&client, "/blog?q=ampersands", 200).await.contains("<mark>")
    })
    .await;
    let author = format!("/blog/author/{}", articles[0].1);
    let thread = format!("/forum/threads/{}", thread.path.rsplit('/').next().unwrap());
    let moved = client.get(&thread).await.expect(307);
    let thread = moved.header("location").unwrap().to_owned();
    let first = page(&client, "/blog", 200).await;
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    for (path, status) in [
        ("/blog", 200),
        (&next.replace("&#38;", "&"), 200),
        ("/blog?q=ampersands", 200),
        ("/blog?q=-a", 200),
        ("/blog?q=nothing%22%3E%3Cb%3E", 200),
        ("/blog/all-0", 200),
        ("/blog/all-1", 410),
        ("/blog/all-99", 404),
        ("/blog/category/news", 200),
        ("/blog/tag/c%2B%2B", 200),
        (&author, 200),
        (&preview, 200),
        ("/pages/about", 200),
        ("/pages/none", 404),
        ("/forum", 200),
        (&thread, 200),
        ("/forum/search?q=ampersands", 200),
        ("/forum/threads/none", 404),
        ("/api/v2/docs", 200),
    ] {
        let page = page(&client, path, status).await;
        assert!(page.starts_with("<!DOCTYPE html>"), "{path}: {page}");
        assert_eq!(faults(&page), [""; 0], "{path}:\n{page}");
    }
}
