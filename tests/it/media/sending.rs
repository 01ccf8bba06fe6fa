//! What is made of a picture, and where it is.

use panel_harness::{Backend, on_both_databases};
use panel_kernel::role::Role;
use serde_json::json;

use super::{Library, MEDIA, at, form, kept, scene, sent, sent_as_form, sha256, url};
use panel_harness::pictures::{jpeg, png, webp};

on_both_databases!(
    a_picture_is_made_and_shown_in_all_its_sizes,
    a_picture_comes_in_a_form_too,
    what_is_the_same_is_kept_once,
    who_sends_it_twice_has_sent_it_once,
    a_library_is_its_owners_and_moderators,
    somebody_says_what_it_shows,
);

async fn a_picture_is_made_and_shown_in_all_its_sizes(backend: Backend) {
    let library = Library::start(backend).await;
    let file = jpeg(&scene(700, 500, 1));
    let sending = library.ann.post(&format!("{MEDIA}?alt=A%20flag&name=..%2Fflag.jpg"));
    let answer = sending.body("image/jpeg", file).await.expect(201);
    let media = answer.json();
    assert_eq!(answer.header("location"), Some(at(&media).as_str()));
    assert_eq!(library.ann.get(&at(&media)).await.expect(200).json(), media);
    for (name, value) in [
        ("content_type", json!("image/jpeg")),
        ("width", json!(700)),
        ("height", json!(500)),
        ("alt", json!("A flag")),
        ("name", json!("flag.jpg")),
        ("frames", json!(1)),
        ("version", json!(1)),
    ] {
        assert_eq!(media[name], value, "{media:#}");
    }
    assert_eq!(media["dominant_color"].as_str().unwrap().len(), 7);
    let variants = media["variants"].as_array().unwrap();
    let sizes: Vec<_> = variants
        .iter()
        .map(|it| (it["width"].as_u64().unwrap(), it["content_type"].as_str().unwrap()))
        .collect();
    let (small, same) = ("image/webp", "image/jpeg");
    assert_eq!(sizes, [(700, small), (640, small), (640, same), (320, small), (320, same)]);
    let client = library.rig.client();
    for file in variants.iter().chain([&media]) {
        // Whoever knows its name sees it.
        let shown = client.get(url(file)).await.expect(200);
        assert_eq!(shown.header("content-type"), file["content_type"].as_str());
        assert_eq!(shown.header("cache-control"), Some("public, max-age=31536000, immutable"));
        assert_eq!(shown.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(shown.body.len() as u64, file["bytes"].as_u64().unwrap());
        let image = image::load_from_memory(&shown.body).unwrap();
        assert_eq!(u64::from(image.width()), file["width"].as_u64().unwrap());
        assert_eq!(u64::from(image.height()), file["height"].as_u64().unwrap());
        let tag = shown.header("etag").unwrap();
        client.get(url(file)).header("if-none-match", tag).await.expect(304);
        let part = client.get(url(file)).header("range", "bytes=4-9").await.expect(206);
        assert_eq!(part.body, shown.body.slice(4..10));
        let head = client.head(url(file)).await.expect(200);
        assert_eq!(head.header("content-length"), Some(shown.body.len().to_string().as_str()));
    }
    let whole = client.get(url(&media)).await.expect(200);
    assert_eq!(media["sha256"], sha256(&whole.body));
    assert!(url(&media).contains(media["sha256"].as_str().unwrap()));
    // What is named otherwise is nothing.
    for odd in [
        "/media/x.jpg".to_owned(),
        url(&media).replace(".jpg", ".png"),
        url(&media).replace(".jpg", "-321.jpg"),
        url(&media).replace("/media/", "/media/x/"),
    ] {
        client.get(&odd).await.refused(404, "not_found");
    }
    library.rig.shutdown().await;
}

async fn a_picture_comes_in_a_form_too(backend: Backend) {
    let library = Library::start(backend).await;
    let file = png(&scene(90, 80, 2).into());
    let parts: [(&str, &[u8]); 2] = [
        ("name=\"file\"; filename=\"C:\\\\x\\\\fl\u{e4}g.png\"", &file),
        ("name=\"alt\"", b"A flag"),
    ];
    let media = sent_as_form(&library.ann, &parts).await.expect(201).json();
    assert_eq!((&media["alt"], &media["width"]), (&json!("A flag"), &json!(90)));
    assert_eq!(media["name"], "fl\u{e4}g.png");
    // The same file alone is the same picture.
    let alone = library.ann.post(MEDIA).body("image/png", file.clone()).await.expect(200).json();
    assert_eq!(alone["id"], media["id"]);
    let long = vec![b'a'; 5_000];
    for (parts, why) in [
        (vec![("name=\"alt\"", &b"A flag"[..])], "no file"),
        (vec![("name=\"file\"", &file[..]), ("name=\"file\"", &file[..])], "one file"),
        (vec![("name=\"file\"", &b""[..])], "empty"),
        (vec![("name=\"alt\"", &long[..]), ("name=\"file\"", &file[..])], "at most"),
    ] {
        let problem = sent_as_form(&library.ann, &parts).await.refused(400, "bad_request");
        assert!(problem.detail.contains(why), "{problem:?}");
    }
    let whole = form(&parts);
    let cut = library
        .ann
        .post(MEDIA)
        .body("multipart/form-data; boundary=B", whole[..whole.len() / 2].to_vec());
    cut.await.refused(400, "bad_request");
    let nameless = library.ann.post(MEDIA).body("multipart/form-data", whole);
    nameless.await.refused(400, "bad_request");
    library.rig.shutdown().await;
}

async fn what_is_the_same_is_kept_once(backend: Backend) {
    let library = Library::start(backend).await;
    let file = jpeg(&scene(400, 300, 3));
    let first = kept(&library.ann, &file).await;
    assert_eq!(sent(&library.ann, &file).await.expect(200).json(), first);
    // Another has it too, and it is made once.
    let other = kept(&library.eve, &file).await;
    assert_ne!(other["id"], first["id"]);
    assert_eq!((&other["url"], &other["variants"]), (&first["url"], &first["variants"]));
    assert_eq!(library.outcome("made"), 1);
    // The same pixels in another file, as from another camera.
    let comment = [&file[..2], b"\xff\xfe\0\x07other", &file[2..]].concat();
    let again = sent(&library.ann, &comment).await.expect(200).json();
    assert_eq!(again["id"], first["id"]);
    let mut sql = library.rig.raw_sql("cms").await;
    let kept = sql.texts("SELECT sha256 FROM assets WHERE state = 'kept'", 0).await.unwrap();
    assert_eq!(kept, [first["sha256"].as_str().unwrap()]);
    let used = library.ann.get(&format!("{MEDIA}/usage")).await.expect(200).json();
    let variants = first["variants"].as_array().unwrap();
    let all = variants.iter().chain([&first]).map(|it| it["bytes"].as_u64().unwrap()).sum::<u64>();
    assert_eq!(used, json!({"bytes": all, "files": 1, "quota_bytes": 1_073_741_824_u64}));
    library.rig.shutdown().await;
}

async fn who_sends_it_twice_has_sent_it_once(backend: Backend) {
    let library = Library::start(backend).await;
    let file = webp(&scene(50, 40, 4));
    let send = async |file: &[u8]| {
        library.ann.post(MEDIA).body("image/webp", file.to_vec()).idempotency_key("k").await
    };
    let first = send(&file).await.expect(201);
    let again = send(&file).await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json(), first.json());
    let other = send(&webp(&scene(50, 40, 5))).await;
    other.refused(422, "idempotency_mismatch");
    let listed = library.ann.get(MEDIA).await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    library.rig.shutdown().await;
}

async fn a_library_is_its_owners_and_moderators(backend: Backend) {
    let library = Library::start(backend).await;
    let mut own = Vec::new();
    for number in 0..3 {
        own.push(kept(&library.ann, &png(&scene(20, 20, number).into())).await["id"].clone());
    }
    let hers = kept(&library.eve, &png(&scene(20, 20, 9).into())).await;
    own.reverse();
    let ids = |listing: &serde_json::Value| {
        let items = listing["items"].as_array().unwrap();
        items.iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
    };
    let first = library.ann.get(&format!("{MEDIA}?limit=2")).await.expect(200).json();
    assert_eq!(ids(&first), own[..2]);
    let next = format!("{MEDIA}?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = library.ann.get(&next).await.expect(200).json();
    assert_eq!((ids(&second), &second["next_cursor"]), (own[2..].to_vec(), &json!(null)));
    // A cursor is good for the list that gave it.
    library.eve.get(&next).await.refused(400, "bad_request");
    let all = library.eve.get(MEDIA).await.expect(200).json();
    assert_eq!(ids(&all).len(), 4);
    let ann = all["items"][1]["owner"]["id"].as_str().unwrap();
    let of_ann = library.eve.get(&format!("{MEDIA}?owner={ann}")).await.expect(200).json();
    assert_eq!(ids(&of_ann), own);
    let eve = hers["owner"]["id"].as_str().unwrap();
    library.ann.get(&format!("{MEDIA}?owner={eve}")).await.refused(403, "forbidden");
    library.ann.get(&format!("{MEDIA}?owner=x")).await.refused(422, "validation");
    library.ann.get(&at(&hers)).await.refused(404, "not_found");
    library.ann.delete(&at(&hers)).await.refused(404, "not_found");
    let edit = library.ann.patch(&at(&hers)).header("if-match", "*").json(&json!({"alt": "x"}));
    edit.await.refused(404, "not_found");
    // Who does not write has none.
    let bob = library.rig.signed_in(Role::User);
    bob.get(MEDIA).await.refused(403, "forbidden");
    sent(&bob, &png(&scene(20, 20, 1).into())).await.refused(403, "forbidden");
    library.rig.client().get(MEDIA).await.refused(401, "unauthorized");
    library.rig.shutdown().await;
}

async fn somebody_says_what_it_shows(backend: Backend) {
    let library = Library::start(backend).await;
    let media = kept(&library.ann, &png(&scene(20, 20, 1).into())).await;
    assert_eq!((&media["alt"], &media["name"]), (&json!(null), &json!("picture")));
    let missing = format!("{MEDIA}?alt=missing");
    assert_eq!(library.ann.get(&missing).await.expect(200).json()["items"][0]["id"], media["id"]);
    library.ann.get(&format!("{MEDIA}?alt=x")).await.refused(422, "validation");
    let edit = |version: &'static str, change: serde_json::Value| {
        library.ann.patch(&at(&media)).header("if-match", version).json(&change)
    };
    library
        .ann
        .patch(&at(&media))
        .json(&json!({"alt": "x"}))
        .await
        .refused(428, "precondition_required");
    edit("\"2\"", json!({"alt": "x"})).await.refused(412, "precondition_failed");
    edit("\"1\"", json!({"alt": "x".repeat(501)})).await.refused(422, "validation");
    edit("\"1\"", json!({"owner": "x"})).await.refused(422, "validation");
    let edited = edit("\"1\"", json!({"alt": "A flag", "name": "a/b"})).await.expect(200).json();
    assert_eq!(
        (&edited["alt"], &edited["name"], &edited["version"]),
        (&json!("A flag"), &json!("b"), &json!(2))
    );
    assert_eq!(edit("\"2\"", json!({"alt": "A flag"})).await.expect(200).json(), edited);
    assert_eq!(library.ann.get(&missing).await.expect(200).json()["items"], json!([]));
    library.rig.shutdown().await;
}
