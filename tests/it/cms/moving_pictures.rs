//! Pictures on their way from one place to another, with articles.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use panel_harness::pictures::{jpeg, noise, png};
use panel_harness::{Backend, Session, on_both_databases};
use serde_json::{Value, json};

use super::POSTS;
use super::importing::{item, wxr};
use super::transfer::{Site, said};

on_both_databases!(
    pictures_go_into_a_directory_and_another_site,
    what_is_not_the_picture_that_was_written_is_refused,
    pictures_of_wordpress_become_pictures_of_this_site,
    pictures_of_ghost_become_pictures_of_this_site,
);

const MEDIA: &str = "/api/v2/cms/media";

/// What is changed of what a line says.
type Lie = &'static dyn Fn(&mut Value);

async fn sent(by: &Session, said: &str, file: Vec<u8>) -> Value {
    by.post(&format!("{MEDIA}{said}")).body("image/jpeg", file).await.expect(201).json()
}

async fn listed(by: &Session) -> Vec<Value> {
    let list = by.get(&format!("{MEDIA}?limit=100")).await.expect(200).json();
    list["items"].as_array().unwrap().clone()
}

/// What a list says that is the same on every site.
fn plain(list: &[Value]) -> Vec<Value> {
    let parts =
        ["url", "width", "height", "bytes", "sha256", "alt", "name", "variants", "created_at"];
    let plain = |it: &Value| {
        let parts = parts.map(|part| it[part].clone());
        json!([parts, it["owner"]["name"], it["dominant_color"], it["frames"]])
    };
    list.iter().map(plain).collect()
}

/// Everything that is made of a picture, as people get it.
async fn files(site: &Site, picture: &Value) -> Vec<(String, Vec<u8>)> {
    let variants = picture["variants"].as_array().unwrap().iter();
    let mut files = Vec::new();
    for url in [picture].into_iter().chain(variants).map(|it| it["url"].as_str().unwrap()) {
        let file = site.node.client().get(url).await.expect(200).body.to_vec();
        files.push((url.strip_prefix("/media/").unwrap().to_owned(), file));
    }
    files
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A site with two people who have pictures, one of them the same, and an article that shows one.
async fn with_pictures(site: &Site) -> Value {
    let mia = site.node.account("mia", "premium").await;
    let file = jpeg(&noise(700, 300, 1));
    let shown = sent(&site.root, "?alt=A%20cat&name=cat.jpg", file.clone()).await;
    mia.post(MEDIA).body("image/jpeg", file).await.expect(201);
    sent(&mia, "?name=other.png", png(&noise(40, 30, 2).into())).await;
    let url = shown["url"].as_str().unwrap();
    let article =
        json!({"title": "With pictures", "body": format!("![A cat]({url})"), "cover": url});
    site.root.post(POSTS).json(&article).await.expect(201);
    shown
}

async fn pictures_go_into_a_directory_and_another_site(backend: Backend) {
    let (from, into) = (Site::start(backend).await, Site::start(backend).await);
    let shown = with_pictures(&from).await;
    let before = listed(&from.root).await;
    assert_eq!(before.len(), 3);
    let folder = from.path("pictures");
    let media = ["--media", folder.to_str().unwrap()];
    let file = from.exported("all.jsonl", &media).await;
    // What was made of both pictures, once, and as people get it; for nobody else to read.
    let mut expected = files(&from, &shown).await;
    expected.extend(files(&from, &before[0]).await);
    assert!(expected.len() > 4, "{}", expected.len());
    let check = |folder: &Path| {
        let mut all: Vec<String> = expected.iter().map(|(name, _)| name.clone()).collect();
        all.sort();
        assert_eq!(names(folder), all);
        for (name, content) in &expected {
            assert!(std::fs::read(folder.join(name)).unwrap() == *content, "{name}");
        }
    };
    check(&folder);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join(&expected[0].0))), (0o700, 0o600));
    // Whatever of it is not whole, or not there, is written again.
    std::fs::write(folder.join(&expected[0].0), &expected[0].1[..9]).unwrap();
    std::fs::write(folder.join(format!("{}.partial", expected[1].0)), "half").unwrap();
    std::fs::remove_file(folder.join(&expected[1].0)).unwrap();
    let mut wrong = expected[2].1.clone();
    wrong[20] ^= 1;
    std::fs::write(folder.join(&expected[2].0), wrong).unwrap();
    from.exported("again.jsonl", &media).await;
    check(&folder);
    // Where nobody says where they are, they stay where they are.
    let other = Site::start(backend).await;
    let told = other.import(&file, &[]).await;
    assert!(told.contains("3 pictures stay where they are"), "{told}");
    assert!(told.contains("new: 1 articles, 0 pictures"), "{told}");
    // Where it is from nothing is new; elsewhere all is as it was.
    let told = from.import(&file, &media).await;
    assert!(told.contains("new: 0 articles, 0 pictures"), "{told}");
    assert_eq!(listed(&from.root).await, before);
    let told = into.import(&file, &media).await;
    assert!(told.contains("new: 1 articles, 3 pictures"), "{told}");
    let after = listed(&into.root).await;
    assert_eq!(plain(&after), plain(&before));
    for picture in &before {
        assert!(files(&into, picture).await == files(&from, picture).await);
    }
    let (there, here) = (from.article("with-pictures").await, into.article("with-pictures").await);
    assert!(here["body_html"].as_str().unwrap().contains("srcset="), "{here}");
    // Each process has an order of attributes of its own.
    let html = |article: &Value| {
        let order = [
            r#"referrerpolicy="no-referrer" loading="lazy""#,
            r#"loading="lazy" referrerpolicy="no-referrer""#,
        ];
        article["body_html"].as_str().unwrap().replace(order[0], order[1])
    };
    assert_eq!((html(&here), &here["cover"]), (html(&there), &there["cover"]));
    let told = into.import(&file, &media).await;
    assert!(told.contains("new: 0 articles, 0 pictures"), "{told}");
    // As long as it is shown somebody has it.
    let (last, others): (Vec<_>, Vec<_>) =
        after.iter().filter(|it| it["url"] == shown["url"]).partition(|it| it["name"] == "cat.jpg");
    let remove = |it: &Value| {
        let at = format!("{MEDIA}/{}", it["id"].as_str().unwrap());
        into.root.delete(&at).header("if-match", "\"1\"")
    };
    remove(others[0]).await.expect(204);
    // And what somebody has removed here stays removed.
    let told = into.import(&file, &media).await;
    assert!(told.contains("new: 0 articles, 0 pictures"), "{told}");
    assert_eq!(listed(&into.root).await.len(), 2);
    remove(last[0]).await.refused(409, "conflict");
    // Who sends the file that it is has that very picture.
    let file = std::fs::read(folder.join(&expected[0].0)).unwrap();
    assert_eq!(sent(&into.root, "", file).await["url"], shown["url"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_has_lost_is_named() {
    let site = Site::start(Backend::Sqlite).await;
    let shown = with_pictures(&site).await;
    let lost = std::fs::read_dir(site.node.data_dir().join("blobs/media")).unwrap();
    let large = lost.map(|it| it.unwrap().path()).find(|folder| names(folder).len() > 4).unwrap();
    std::fs::remove_file(large.join(&names(&large)[1])).unwrap();
    let (file, folder) = (site.path("all.jsonl"), site.path("pictures"));
    let [to, media] = [&file, &folder].map(|path| path.to_str().unwrap());
    let output = site.cms(&["export", to, "--media", media]).await;
    let told = said(&output);
    let left_out = format!("left out, {}: the store", shown["url"].as_str().unwrap());
    assert!(!output.status.success() && told.contains(&left_out), "{told}");
    // Everything else is there.
    assert!(told.contains("1 articles, 1 pictures"), "{told}");
    let other = Site::start(Backend::Sqlite).await;
    let told = other.import(&file, &["--media", media]).await;
    assert!(told.contains("new: 1 articles, 1 pictures"), "{told}");
}

async fn what_is_not_the_picture_that_was_written_is_refused(backend: Backend) {
    let (from, into) = (Site::start(backend).await, Site::start(backend).await);
    let shown = with_pictures(&from).await;
    let folder = from.path("pictures");
    let media = ["--media", folder.to_str().unwrap()];
    let file = from.exported("all.jsonl", &media).await;
    let text = std::fs::read_to_string(&file).unwrap();
    let name = shown["url"].as_str().unwrap().strip_prefix("/media/").unwrap();
    let main = folder.join(name);
    let whole = std::fs::read(&main).unwrap();
    let refused = async |file: &Path, why: &str| {
        let told = into.refused(file, &media).await;
        assert!(told.contains("line ") && told.contains(why), "{why}: {told}");
    };
    let mut other = whole.clone();
    other[whole.len() / 2] ^= 1;
    std::fs::write(&main, other).unwrap();
    refused(&file, "is not the file that was written").await;
    std::fs::write(&main, [&whole[..], b"more"].concat()).unwrap();
    refused(&file, "it is longer than").await;
    std::fs::remove_file(&main).unwrap();
    refused(&file, "there is no file").await;
    let outside = from.path("outside");
    std::fs::write(&outside, &whole).unwrap();
    symlink(&outside, &main).unwrap();
    refused(&file, "there is no file").await;
    std::fs::remove_file(&main).unwrap();
    std::fs::write(&main, &whole).unwrap();
    // What the file says of it is as little to be trusted.
    let changed = |change: &dyn Fn(&mut Value)| {
        let lines = text.lines().map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            if record["type"] == "picture" && record["sha256"] == shown["sha256"] {
                change(&mut record);
            }
            record.to_string() + "\n"
        });
        into.file("changed.jsonl", &lines.collect::<String>())
    };
    let lies: [(Lie, &str); 10] = [
        (&|it| it["files"] = json!([]), "has no files"),
        (&|it| it["sha256"] = "../../x".into(), "there is no file"),
        (&|it| it["color"] = "red".into(), "not those of a picture"),
        (&|it| it["width"] = 1.into(), "not those of a picture"),
        (&|it| it["frames"] = 2.into(), "moves otherwise"),
        (&|it| it["files"][1]["size"] = 7.into(), "there is no file"),
        (&|it| it["files"][1]["width"] = 7.into(), "not those of a picture"),
        (&|it| it["files"][1]["height"] = 7.into(), "is another picture"),
        (&|it| it["files"][1]["bytes"] = u64::MAX.into(), "too long"),
        (&|it| it["kind"] = "png".into(), "not those of a picture"),
    ];
    for (change, why) in lies {
        refused(&changed(change), why).await;
    }
    let none = into.refused(&file, &["--media", "/nonexistent/pictures"]).await;
    assert!(none.contains("/nonexistent/pictures"), "{none}");
    // Nothing of all that is there; and what is left out is only what is wrong.
    assert!(listed(&into.root).await.is_empty());
    let told = into.refused(&changed(lies[2].0), &[&media[..], &["--skip"]].concat()).await;
    assert!(
        told.contains("new: 1 articles, 1 pictures") && told.contains("2 were left out"),
        "{told}"
    );
    into.import(&file, &media).await;
    assert_eq!(listed(&into.root).await.len(), 3);
}

/// A copy of another site's files.
fn copy(site: &Site, below: &str, files: &[(&str, Vec<u8>)]) -> String {
    let root = site.path("copy");
    for (name, content) in files {
        let path = root.join(below).join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    root.to_str().unwrap().to_owned()
}

async fn pictures_of_wordpress_become_pictures_of_this_site(backend: Backend) {
    let site = Site::start(backend).await;
    let large = jpeg(&noise(800, 400, 3));
    let copy = copy(
        &site,
        "wp-content/uploads",
        &[
            ("2020/05/cat.jpg", large.clone()),
            ("2020/05/cat-300x150.jpg", jpeg(&noise(300, 150, 4))),
            ("2020/05/my dog.png", png(&noise(50, 50, 5).into())),
            ("2020/05/broken.jpg", large[..large.len() / 2].to_vec()),
            ("2020/05/broken-20x10.jpg", jpeg(&noise(20, 10, 6))),
            ("2020/05/plan.pdf", b"%PDF-1.4".to_vec()),
            ("2020/05/drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec()),
        ],
    );
    std::fs::write(site.path("secret.jpg"), &large).unwrap();
    symlink(site.path("secret.jpg"), site.path("copy/wp-content/uploads/link.jpg")).unwrap();
    let up = "https://old.example/wp-content/uploads";
    let text = format!(
        "<content:encoded><![CDATA[<p><a href=\"{up}/2020/05/cat.jpg\"><img src=\"{up}/2020/05/cat-300x150.jpg\" alt=\"A cat\"></a>\
         <img src=\"/wp-content/uploads/2020/05/my%20dog.png\"> <img src=\"{up}/2020/05/broken-20x10.jpg\">\
         <img src=\"{up}/2020/05/drawing.svg\"> <a href=\"{up}/2020/05/plan.pdf\">plan</a> <img src=\"{up}/2020/05/none.jpg\">\
         <img src=\"{up}/../../secret.jpg\"> <img src=\"{up}/link.jpg\">\
         <img src=\"https://other.example/wp-content/uploads/2020/05/cat.jpg\"></p>]]></content:encoded>\
         <wp:postmeta><wp:meta_key>_thumbnail_id</wp:meta_key><wp:meta_value>90</wp:meta_value></wp:postmeta>"
    );
    let cover = format!("<wp:attachment_url>{up}/2020/05/cat.jpg</wp:attachment_url>");
    let items = [item(1, "post", "publish", &text), item(90, "attachment", "inherit", &cover)];
    let file = site.file("old.xml", &wxr(&items.join("\n")));
    let told = site.import(&file, &["--media", &copy]).await;
    // The whole cat, the dog, and of what is broken the likeness.
    assert!(told.contains("new: 1 articles, 3 pictures"), "{told}");
    assert!(told.contains("5 pictures stay where they are"), "{told}");
    for (name, why) in [
        ("drawing.svg (post 1)", "JPEG, PNG, GIF and WebP"),
        ("plan.pdf (post 1)", "JPEG, PNG, GIF and WebP"),
        ("none.jpg (post 1)", "there is no such file"),
        ("secret.jpg (post 1)", "there is no such file"),
        ("link.jpg (post 1)", "there is no such file"),
    ] {
        let line = told.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains(why)), "{name}: {told}");
    }
    let all = listed(&site.root).await;
    let url = |name: &str| {
        let found =
            all.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name}: {all:?}"));
        found["url"].as_str().unwrap().to_owned()
    };
    let article = site.article("title-1").await;
    let (cat, dog, broken) = (url("cat.jpg"), url("my dog.png"), url("broken-20x10.jpg"));
    let body = article["body"].as_str().unwrap();
    for shown in
        [format!("[![A cat]({cat})]({cat})"), format!("![]({dog})"), format!("![]({broken})")]
    {
        assert!(body.contains(&shown), "{shown}: {body}");
    }
    for stays in ["drawing.svg", "plan.pdf", "none.jpg", "secret.jpg", "link.jpg"] {
        assert!(body.contains(stays), "{stays}: {body}");
    }
    assert!(body.contains("https://other.example/wp-content/uploads/2020/05/cat.jpg"), "{body}");
    assert_eq!(article["cover"], cat.as_str());
    assert!(article["body_html"].as_str().unwrap().contains("srcset="), "{article}");
    let picture = all.iter().find(|it| it["url"] == cat.as_str()).unwrap();
    assert_eq!((&picture["width"], &picture["owner"]), (&json!(800), &article["author"]));
    // The cover says nothing of what it shows, the text does.
    assert_eq!(picture["alt"], "A cat");
    site.node.client().get(&cat).await.expect(200);
    let usage = |list: &[Value]| list.iter().map(|it| it["bytes"].as_u64().unwrap()).sum::<u64>();
    assert!(usage(&all) > 0);
    let told = site.import(&file, &["--media", &copy]).await;
    assert!(told.contains("new: 0 articles, 0 pictures") && !told.contains("stay where"), "{told}");
    assert_eq!(listed(&site.root).await, all);
}

async fn pictures_of_ghost_become_pictures_of_this_site(backend: Backend) {
    let site = Site::start(backend).await;
    let files = [("2021/02/a.png", png(&noise(700, 20, 7).into()))];
    let copy = copy(&site, "content/images", &files);
    let small = "content/images/size/w600/2021/02/a.png";
    let document = json!({"db": [{"data": {
        "posts": [{"id": "a", "title": "A", "slug": "a", "status": "published",
            "created_at": "2021-02-03T04:05:06.000Z", "published_at": "2021-02-03T04:05:06.000Z",
            "html": format!("<figure><img src=\"__GHOST_URL__/{small}\" alt=\"\"><figcaption>It</figcaption></figure>"),
            "feature_image": "https://old.example/content/images/2021/02/a.png"}],
        "users": [], "settings": [],
    }}]});
    let file = site.file("ghost.json", &document.to_string());
    let told = site.import(&file, &["--media", &copy, "--address", "https://old.example"]).await;
    assert!(told.contains("new: 1 articles, 1 pictures") && !told.contains("stay where"), "{told}");
    let all = listed(&site.root).await;
    let article = site.article("a").await;
    assert_eq!(article["cover"], all[0]["url"]);
    let shown = format!("![]({})", all[0]["url"].as_str().unwrap());
    assert!(article["body"].as_str().unwrap().contains(&shown), "{article}");
    assert_eq!((&all[0]["alt"], &all[0]["name"]), (&Value::Null, &json!("a.png")));
}
