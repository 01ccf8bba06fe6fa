//! What pages are to be for those who read them, on whatever and however, and for what leads people to them: the list that
//! Lighthouse goes through, asked of a real browser.

use std::time::Duration;

use panel_harness::pictures::{noise, png};
use panel_harness::{Browser, Node, Session, Thread, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

/// Everything that is wrong with the page that is open, in words.
const FAULTS: &str = r#"
const faults = [], say = (fault, element) => faults.push(element ? `${fault}: ${element.outerHTML.slice(0, 120)}` : fault);
const all = (selector) => [...document.querySelectorAll(selector)];
const name = (element) => (element.getAttribute("aria-label") || element.textContent.trim()
  || [...element.querySelectorAll("img")].map((image) => image.alt).join("")).trim();

// What it is.
if (document.doctype?.name !== "html" || document.compatMode !== "CSS1Compat") say("no doctype");
if (document.characterSet !== "UTF-8") say("not UTF-8");
if (!document.documentElement.lang) say("no language");
if (!document.title.trim()) say("no title");
const viewport = document.querySelector("meta[name=viewport]")?.content ?? "";
if (!viewport.includes("width=device-width") || /user-scalable=no|maximum-scale=1/.test(viewport)) say("no viewport");

// How it is found.
const canonical = all("link[rel=canonical]");
if (canonical.length > 1) say("several canonical addresses");
for (const link of canonical) {
  if (!/^https?:/.test(link.getAttribute("href"))) say("a canonical address without a host", link);
}
for (const script of all("script[type='application/ld+json']")) {
  try {
    const data = JSON.parse(script.textContent);
    if (data["@context"] !== "https://schema.org" || !data["@type"]) say("no structured data", script);
  } catch { say("broken structured data", script); }
}
for (const link of all("a")) {
  if (!link.hasAttribute("href")) say("a link that can't be followed", link);
  if (!name(link)) say("a link without a name", link);
  if (/^(click here|here|this|more|read more|link)$/i.test(name(link))) say("a link that says nothing", link);
}

// How it is read by those who do not see it.
const headings = all("h1, h2, h3, h4, h5, h6").map((heading) => Number(heading.tagName[1]));
if (headings.filter((level) => level === 1).length !== 1) say(`${headings.filter((l) => l === 1).length} first headings`);
headings.forEach((level, at) => { if (at > 0 && level > headings[at - 1] + 1) say(`a heading of level ${level} after ${headings[at - 1]}`); });
if (all("main").length !== 1) say("no main part");
for (const image of all("img")) {
  if (!image.hasAttribute("alt")) say("a picture without words", image);
  if (image.getAttribute("src").startsWith("/") && !(image.getAttribute("width") && image.getAttribute("height"))) say("a picture without a size", image);
  if (!image.complete || !image.naturalWidth) { if (image.getAttribute("src").startsWith("/")) say("a picture that is not there", image); }
}
for (const frame of all("iframe")) if (!frame.title) say("a frame without a title", frame);
for (const field of all("input:not([type=hidden]):not([type=checkbox][disabled]), select, textarea")) {
  if (!field.labels?.length && !field.getAttribute("aria-label")) say("a field without a label", field);
}
for (const button of all("button")) if (!name(button)) say("a button without a name", button);
for (const item of all("li")) if (!/^(UL|OL|MENU)$/.test(item.parentElement.tagName)) say("an item in no list", item);
for (const hidden of all("[aria-hidden=true]")) {
  const focusable = (element) => element.matches("a[href], button, input, select, textarea, [tabindex]") && element.tabIndex >= 0;
  if ([hidden, ...hidden.querySelectorAll("*")].some(focusable)) say("something hidden that is come to by keys", hidden);
}
for (const element of all("[tabindex]")) if (element.tabIndex > 0) say("an order of keys of its own", element);
for (const table of all("table")) if (!table.querySelector("th")) say("a table without heads", table);
const ids = all("[id]").map((element) => element.id);
for (const id of new Set(ids)) if (ids.filter((other) => other === id).length > 1) say(`twice the id ${id}`);
for (const element of all("[aria-labelledby]")) if (!document.getElementById(element.getAttribute("aria-labelledby"))) say("a label that is not there", element);

// How it is seen.
const canvas = matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const color = (text) => {
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
};
const over = ([r, g, b, a], below) => [r, g, b].map((part, at) => part * a + below[at] * (1 - a)).concat(1);
const behind = (element) => element === null ? canvas : over(color(getComputedStyle(element).backgroundColor), behind(element.parentElement));
const light = (rgb) => {
  const [r, g, b] = rgb.slice(0, 3).map((part) => part / 255).map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
for (const element of all("body *")) {
  const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  if (!says || !element.checkVisibility()) continue;
  const style = getComputedStyle(element), ground = behind(element), ink = over(color(style.color), ground);
  const [low, high] = [light(ink), light(ground)].sort((a, b) => a - b);
  const size = parseFloat(style.fontSize), is_large = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700;
  const contrast = (high + 0.05) / (low + 0.05);
  if (contrast < (is_large ? 3 : 4.5)) say(`a contrast of ${contrast.toFixed(2)}`, element);
  if (size < 12) say(`letters of ${size} pixels`, element);
}
if (document.documentElement.scrollWidth > innerWidth) say(`wider than the window: ${document.documentElement.scrollWidth}`);

// How it comes.
for (const script of all("head script[src]:not([async]):not([defer]):not([type=module])")) say("a script that is waited for", script);
for (const entry of performance.getEntriesByType("resource")) {
  // Browsers ask for an icon by themselves; a site has none until somebody draws it.
  const is_asked = entry.name.startsWith(location.origin) && new URL(entry.name).pathname !== "/favicon.ico";
  if (is_asked && entry.responseStatus >= 400) say(`${entry.responseStatus} at ${entry.name}`);
}
const seen = (type) => new Promise((done) => {
  let sum = 0, last = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) { sum += entry.value ?? 0; last = entry.startTime; }
  }).observe({ type, buffered: true });
  setTimeout(() => done([sum, last]), 100);
});
const [[shift], [, painted]] = await Promise.all([seen("layout-shift"), seen("largest-contentful-paint")]);
if (shift > 0.1) say(`what was there moved by ${shift}`);
if (painted > 2500) say(`the most of it came after ${painted} ms`);
return faults;
"#;

const TEXT: &str = "A *text* with **all** of it: `code`, https://example.org/?a=b and [a flag](https://example.org/flag).\n\n\
    ## One\n\n| a | b |\n|:--|--:|\n| 1 | 2 |\n\n- [ ] task\n- [x] done\n\n```rust\n// What it does.\nfn main() -> Result<(), u8> { \
    let name = \"words\"; println!(\"{name} {}\", 1 + 2); Ok(()) }\n```\n\n### Two\n\n> a quotation\n\nnote[^1]\n\n[^1]: The note.";

/// What is asked of the server about a page that people and machines find.
async fn is_served_well(node: &Node, path: &str) {
    let answer = node.client().get(path).header("accept-encoding", "gzip").await.expect(200);
    assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path}");
    assert!(answer.header("etag").is_some(), "{path}");
    assert!(
        answer.header("content-security-policy").unwrap().contains("default-src 'none'"),
        "{path}"
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
}

async fn published(root: &Session, n: u32, more: Value) -> String {
    let mut article = json!({"title": format!("Article {n}"), "body": TEXT, "category": "news", "tags": ["rust"]});
    for (name, value) in more.as_object().unwrap() {
        article[name] = value.clone();
    }
    let made = root.post("/api/v2/cms/posts").json(&article).await.expect(201).json();
    let id = made["id"].as_str().unwrap().to_owned();
    let publish = root.post(&format!("/api/v2/cms/posts/{id}/publish"));
    publish.header("if-match", "\"1\"").await.expect(200);
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_what_they_are_to_be() {
    let node = Node::start().await;
    let root = node.admin("root").await;
    let file = root
        .post("/api/v2/cms/media?alt=A+flag")
        .body("image/png", png(&noise(900, 500, 1).into()));
    let picture = file.await.expect(201).json()["url"].as_str().unwrap().to_owned();
    let news = json!({"name": "News", "slug": "news", "description": "What is new"});
    root.post("/api/v2/cms/categories").json(&news).await.expect(201);
    let body = format!("{TEXT}\n\n![A flag in the wind]({picture})");
    let other = root.user_id.clone();
    let bob = node.account("bob", "premium").await.user_id;
    let first = json!({"cover": picture, "body": body, "comments": true, "language": "en",
        "authors": [other, bob]});
    let id = published(&root, 0, first).await;
    for n in 1..22 {
        let more = match n {
            1 => json!({"language": "de", "translation_of": id}),
            _ => json!({}),
        };
        published(&root, n, more).await;
    }
    let about = json!({"title": "About", "slug": "about", "body": TEXT});
    let about = root.post("/api/v2/cms/pages").json(&about).await.expect(201).json();
    let publish = format!("/api/v2/cms/pages/{}/publish", about["id"].as_str().unwrap());
    root.post(&publish).header("if-match", "\"1\"").await.expect(200);
    let items = json!({"items": [
        {"label": "Blog", "url": "/blog", "children": [
            {"label": "News", "url": "/blog/category/news"}, {"label": "About", "article": about["id"]}]},
        {"label": "Forum", "url": "/forum"}]});
    for menu in ["main", "footer"] {
        root.put(&format!("/api/v2/cms/menus/{menu}")).json(&items).await.expect(201);
    }
    let said = json!({"body": TEXT.replace("## One", "one").replace("### Two", "two")});
    eventually("it is commented on", SOON, async || {
        let answer = root.post(&format!("/api/v2/cms/posts/{id}/comments")).json(&said).await;
        if answer.status == 201 { Ok(()) } else { Err(answer) }
    })
    .await;
    eventually("it is found", SOON, async || {
        node.client().get("/blog?q=flag").await.expect(200).text().contains("<mark>")
    })
    .await;
    let author = root.get(&format!("/api/v2/cms/posts/{id}")).await.expect(200).json();
    let author = format!("/blog/author/{}", author["author"]["id"].as_str().unwrap());
    let thread = Thread::open(&root).await;
    root.post(&thread.posts).json(&said).await.expect(201);
    let thread = format!("/forum/threads/{}", thread.path.rsplit('/').next().unwrap());
    let browser = Browser::start().await;
    let mut wrong = Vec::new();
    let paths = [
        "/blog",
        "/blog?q=flag",
        "/blog?q=nothingatall",
        "/blog/article-0",
        "/blog/article-1",
        "/blog/category/news",
        "/blog/tag/rust",
        &author,
        "/pages/about",
        "/blog/nothing-there",
        "/forum",
        &thread,
        "/forum/search?q=text",
    ];
    for how in ["on a screen", "in the dark", "on a telephone"] {
        match how {
            "in the dark" => browser.likes_dark().await,
            "on a telephone" => browser.is_a_telephone().await,
            _ => {}
        }
        for path in paths {
            browser.open(&node.url(path)).await;
            let faults = browser.run(FAULTS).await;
            let faults = faults.as_array().unwrap().iter();
            wrong.extend(faults.map(|fault| format!("{how}, {path}: {fault}")));
        }
    }
    let is_so = "return [matchMedia('(prefers-color-scheme: dark)').matches, innerWidth];";
    assert_eq!(browser.run(is_so).await, json!([true, 360]));
    browser.close().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    for path in ["/blog", "/blog/article-0", "/blog/category/news", "/pages/about"] {
        is_served_well(&node, path).await;
        let html = node.client().get(path).await.expect(200).text();
        assert!(
            html.contains("<meta name=\"description\" content=\"")
                && !html.contains("content=\"\""),
            "{path}: {html}"
        );
        assert!(html.contains("rel=\"canonical\"") && !html.contains("noindex"), "{path}: {html}");
    }
    let robots = node.client().get("/robots.txt").await.expect(200).text();
    for line in robots.lines().filter(|line| !line.is_empty()) {
        let (name, _) = line.split_once(':').unwrap_or_else(|| panic!("{robots}"));
        assert!(["User-agent", "Disallow", "Allow", "Sitemap"].contains(&name), "{robots}");
    }
}

/// The list finds what is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_page_is_found() {
    let browser = Browser::start().await;
    let page = "<h1>a</h1><h3>b</h3><img src='/none.png'><a href='x'></a><a href='y'>here</a><input><button></button>\
                <li>c</li><p style='color:%23999'>d</p><p id='a'></p><p id='a'></p><a href='z' aria-hidden='true'>e</a>\
                <div style='width:3000px'>f</div><table><tr><td>g</td></tr></table><p style='font-size:9px'>h</p>";
    browser.open(&format!("data:text/html,{page}")).await;
    let faults = browser.run(FAULTS).await;
    browser.close().await;
    let said = faults.to_string();
    for fault in [
        "no doctype",
        "no language",
        "no title",
        "no viewport",
        "a heading of level 3 after 1",
        "no main part",
        "a picture without words",
        "a picture without a size",
        "a picture that is not there",
        "a link without a name",
        "a link that says nothing",
        "a field without a label",
        "a button without a name",
        "an item in no list",
        "a contrast of 2.",
        "twice the id a",
        "something hidden that is come to by keys",
        "wider than the window",
        "a table without heads",
        "letters of 9 pixels",
    ] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
}
