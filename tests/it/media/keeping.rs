//! What stays, and what goes.

use std::time::Duration;

use panel_harness::{
    Backend, Client, PASSWORD, RigBuilder, Session, eventually, on_both_databases,
};
use panel_kernel::message::BlobRef;
use panel_kernel::time::Clock;
use serde_json::{Value, json};

use super::{Library, MEDIA, SOON, at, kept, scene, url};
use crate::blobs::get;
use crate::cms::POSTS;
use crate::erasure::administrator;
use panel_harness::pictures::{jpeg, png};

on_both_databases!(
    what_an_article_shows_can_not_be_removed,
    what_nobody_has_goes_after_an_hour,
    an_article_shows_the_size_that_fits,
    what_is_begun_to_be_shown_while_it_is_removed_is_one_or_the_other,
    moderators_remove_what_must_not_be_shown,
    what_is_only_written_of_is_not_shown,
    who_is_erased_takes_their_library_along,
);

async fn draft(by: &Client, article: Value) -> Value {
    by.post(POSTS).json(&article).await.expect(201).json()
}

async fn edited(by: &Client, article: &Value, change: Value) -> Value {
    let version = format!("\"{}\"", article["version"]);
    let at = format!("{POSTS}/{}", article["id"].as_str().unwrap());
    by.patch(&at).header("if-match", &version).json(&change).await.expect(200).json()
}

async fn what_an_article_shows_can_not_be_removed(backend: Backend) {
    let mut library = Library::start(backend).await;
    let (ann, eve) = (&library.ann, &library.eve);
    let cover = kept(ann, &png(&scene(40, 30, 1).into())).await;
    let inside = kept(ann, &png(&scene(40, 30, 2).into())).await;
    let body = format!("See ![flag]({}).", url(&inside));
    let article = draft(ann, json!({"title": "Flags", "body": body, "cover": url(&cover)})).await;
    for media in [&cover, &inside] {
        let problem = ann.delete(&at(media)).await.refused(409, "conflict");
        assert_eq!(problem.code.as_deref(), Some("in_use"));
        assert!(problem.detail.contains("Flags"), "{problem:?}");
    }
    // Another who has it too may give it up.
    let hers = kept(eve, &png(&scene(40, 30, 1).into())).await;
    eve.delete(&at(&hers)).await.expect(204);
    ann.delete(&at(&cover)).header("if-match", "\"2\"").await.refused(412, "precondition_failed");
    // What is not shown any more may go; what a deleted article shows, which can be restored, may not.
    let article = edited(ann, &article, json!({"cover": null})).await;
    ann.delete(&at(&cover)).header("if-match", "\"1\"").await.expect(204);
    ann.get(&at(&cover)).await.refused(404, "not_found");
    let path = format!("{POSTS}/{}", article["id"].as_str().unwrap());
    ann.delete(&path).header("if-match", "*").await.expect(204);
    ann.delete(&at(&inside)).await.refused(409, "conflict");
    library.later(Duration::from_secs(31 * 86_400)).await;
    library.rig.sweep("cms");
    eventually("the article is gone for good", SOON, async || {
        let answer = library.eve.delete(&at(&inside)).await;
        if answer.status == 204 { Ok(()) } else { Err(answer) }
    })
    .await;
    library.rig.shutdown().await;
}

async fn what_nobody_has_goes_after_an_hour(backend: Backend) {
    let mut library = Library::start(backend).await;
    let client = library.rig.client();
    let file = jpeg(&scene(400, 300, 1));
    let media = kept(&library.ann, &file).await;
    let mut sql = library.rig.raw_sql("cms").await;
    let ids = sql.texts("SELECT CAST(id AS TEXT) FROM assets", 0).await.unwrap();
    let id = ids[0].parse().unwrap();
    let (sha256, bytes) = (media["sha256"].as_str().unwrap(), media["bytes"].as_u64().unwrap());
    let blob = BlobRef {
        key: format!("media/{}/0", panel_kernel::ids::Id::from_raw(id)),
        bytes,
        sha256: panel_kernel::ids::unhex(sha256).unwrap(),
    };
    assert_eq!(get(&library.rig, &blob, 0..bytes).await.unwrap().len() as u64, bytes);
    library.ann.delete(&at(&media)).await.expect(204);
    // Whoever thinks better of it within the hour has it as it was.
    library.later(Duration::from_secs(3_000)).await;
    client.get(url(&media)).await.expect(200);
    let again = kept(&library.ann, &file).await;
    assert_eq!(library.outcome("made"), 1);
    library.later(Duration::from_secs(3_000)).await;
    client.get(url(&media)).await.expect(200);
    library.ann.delete(&at(&again)).await.expect(204);
    library.later(Duration::from_secs(3_601)).await;
    client.get(url(&media)).await.refused(404, "not_found");
    assert!(get(&library.rig, &blob, 0..bytes).await.is_err());
    assert_eq!(library.assets().await, [""; 0]);
    // And can be sent again.
    let anew = kept(&library.ann, &file).await;
    assert_eq!(anew["url"], media["url"]);
    client.get(url(&media)).await.expect(200);
    library.rig.shutdown().await;
}

async fn an_article_shows_the_size_that_fits(backend: Backend) {
    let library = Library::start(backend).await;
    let media = kept(&library.ann, &jpeg(&scene(700, 500, 1))).await;
    let body = format!("![A flag]({})", url(&media));
    let article =
        draft(&library.eve, json!({"title": "a", "body": body, "cover": url(&media)})).await;
    let html = article["body_html"].as_str().unwrap();
    let small = url(&media).replace(".jpg", "-320.webp");
    for part in
        ["<picture>", &format!("{small} 320w"), "width=\"700\" height=\"500\"", "alt=\"A flag\""]
    {
        assert!(html.contains(part), "{html}");
    }
    let publish = format!("{POSTS}/{}/publish", article["id"].as_str().unwrap());
    library.eve.post(&publish).header("if-match", "\"1\"").await.expect(200);
    let page = library.rig.client().get("/blog/a").await.expect(200).text();
    // The cover as well, which nobody has said anything of.
    assert_eq!(page.matches(&format!("{small} 320w")).count(), 2, "{page}");
    assert!(page.contains("property=\"og:image:width\" content=\"700\""), "{page}");
    library.rig.shutdown().await;
}

async fn what_is_begun_to_be_shown_while_it_is_removed_is_one_or_the_other(backend: Backend) {
    let mut library = Library::start(backend).await;
    for number in 0..6 {
        let media = kept(&library.ann, &png(&scene(30, 30, number).into())).await;
        let article = draft(&library.ann, json!({"title": "a", "body": "b"})).await;
        let path = format!("{POSTS}/{}", article["id"].as_str().unwrap());
        let show = library.ann.patch(&path).header("if-match", "\"1\"");
        let show = async { show.json(&json!({"cover": url(&media)})).await };
        let remove = async { library.ann.delete(&at(&media)).await };
        let (shown, removed) = futures::future::join(show, remove).await;
        shown.expect(200);
        let there = library.ann.get(&at(&media)).await.status.as_u16();
        match removed.status.as_u16() {
            204 => assert_eq!(there, 404),
            409 => assert_eq!(there, 200),
            _ => panic!("{removed:?}"),
        }
        // What was removed first stays as long as it is shown.
        library.later(Duration::from_secs(3_700)).await;
        library.rig.client().get(url(&media)).await.expect(200);
    }
    library.rig.shutdown().await;
}

async fn moderators_remove_what_must_not_be_shown(backend: Backend) {
    let library = Library::start(backend).await;
    let file = png(&scene(30, 30, 1).into());
    let hers = kept(&library.ann, &file).await;
    let other = kept(&library.eve, &file).await;
    draft(&library.ann, json!({"title": "a", "cover": url(&hers)})).await;
    let everywhere = format!("{}?everywhere=true", at(&hers));
    library.ann.delete(&everywhere).await.refused(403, "forbidden");
    library.eve.delete(&everywhere).await.expect(204);
    library.rig.client().get(url(&hers)).await.refused(404, "not_found");
    library.ann.get(&at(&hers)).await.refused(404, "not_found");
    library.eve.get(&at(&other)).await.refused(404, "not_found");
    let used = library.ann.get(&format!("{MEDIA}/usage")).await.expect(200).json();
    assert_eq!((&used["bytes"], &used["files"]), (&json!(0), &json!(0)));
    library.swept().await;
    assert_eq!(library.assets().await, [""; 0]);
    eventually("its files are gone", SOON, async || {
        let left = library.other_files().await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    library.rig.shutdown().await;
}

async fn what_is_only_written_of_is_not_shown(backend: Backend) {
    let library = Library::start(backend).await;
    let media = kept(&library.ann, &png(&scene(30, 30, 1).into())).await;
    let body = format!("`{0}` https://other.example{0} {0}", url(&media));
    draft(&library.eve, json!({"title": "a", "body": body})).await;
    library.ann.delete(&at(&media)).await.expect(204);
    // As an entity it is shown as well.
    let media = kept(&library.ann, &png(&scene(30, 30, 1).into())).await;
    let body = format!("![x]({})", url(&media).replacen('i', "&#105;", 1));
    let article = draft(&library.eve, json!({"title": "a", "body": body})).await;
    assert!(article["body_html"].as_str().unwrap().contains(url(&media)), "{article:#}");
    library.ann.delete(&at(&media)).await.refused(409, "conflict");
    // An article has so many.
    let name = |number: usize| format!("![](/media/{number:064x}.png)\n\n");
    let many: String = (0..101).map(name).collect();
    let new = json!({"title": "a", "body": many});
    let problem = library.eve.post(POSTS).json(&new).await.refused(422, "validation");
    assert_eq!(problem.errors[0].code, "too_many_pictures");
    library.rig.shutdown().await;
}

async fn who_is_erased_takes_their_library_along(backend: Backend) {
    let clock = Clock::manual(Clock::system().now());
    let builder = RigBuilder::everything(backend.database().await).clock(clock.clone());
    let rig = Box::pin(builder.start()).await;
    rig.await_signing_key().await;
    let root = administrator(&rig).await;
    Session::register(&rig.client(), "ann").await;
    rig.raw_sql("auth").await.run("UPDATE users SET role = 2 WHERE username = 'ann'").await;
    let ann = Session::login(&rig.client(), "ann", PASSWORD).await;
    let keeps = async |by: &Session, number| {
        let file = png(&scene(30, 30, number).into());
        by.post(MEDIA).body("image/png", file).await.expect(201).json()
    };
    let (shown, both, alone) = (keeps(&ann, 1).await, keeps(&ann, 2).await, keeps(&ann, 3).await);
    keeps(&root, 2).await;
    let new = json!({"title": "a", "cover": url(&shown)});
    let article = root.post(POSTS).json(&new).await.expect(201).json();
    ann.delete("/api/v2/auth/account").json(&json!({"password": PASSWORD})).await.expect(204);
    let client = rig.client();
    let owner = format!("{MEDIA}?owner={}", ann.user_id);
    eventually("it is heard of", SOON, async || {
        let left = root.get(&owner).await.expect(200).json();
        if left["items"] == json!([]) { Ok(()) } else { Err(left) }
    })
    .await;
    rig.kill("cms/media/sweeper").await;
    eventually("what nobody else has is gone", SOON, async || {
        let answer = client.get(url(&alone)).await;
        if answer.status == 404 { Ok(()) } else { Err(answer) }
    })
    .await;
    client.get(url(&both)).await.expect(200);
    // As long as it is shown.
    client.get(url(&shown)).await.expect(200);
    let path = format!("{POSTS}/{}", article["id"].as_str().unwrap());
    let edit = root.patch(&path).header("if-match", "*").json(&json!({"cover": null}));
    edit.await.expect(200);
    clock.advance(Duration::from_secs(3_700));
    rig.kill("cms/media/sweeper").await;
    eventually("what nobody shows is gone", SOON, async || {
        let answer = client.get(url(&shown)).await;
        if answer.status == 404 { Ok(()) } else { Err(answer) }
    })
    .await;
    client.get(url(&both)).await.expect(200);
    rig.shutdown().await;
}
