//! What is not taken, and leaves nothing.

use panel_harness::{Backend, eventually, on_both_databases};
use serde_json::json;

use super::{Library, MEDIA, SOON, kept, scene, sent, sent_as_form, url};
use panel_harness::pictures::{jpeg, noise, png, webp};

on_both_databases!(
    what_is_no_picture_is_refused,
    what_is_too_much_is_refused,
    a_library_has_so_much_room,
    what_was_refused_leaves_nothing,
);

async fn what_is_no_picture_is_refused(backend: Backend) {
    let library = Library::start(backend).await;
    // Whatever it is called.
    for file in [
        &b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>"[..],
        b"<html>",
        b"%PDF-1.7\n",
        b"BM6\0\0\0\0\0\0\0\0\0",
        b"x",
    ] {
        sent(&library.ann, file).await.refused(415, "unsupported_media_type");
        let named: (&str, &[u8]) = ("name=\"file\"; filename=\"a.png\"", file);
        sent_as_form(&library.ann, &[named]).await.refused(415, "unsupported_media_type");
    }
    // And whatever it is called, a picture is one.
    let picture = png(&scene(30, 20, 1).into());
    let media = library.ann.post(MEDIA).body("text/html", picture.clone()).await.expect(201).json();
    assert_eq!(media["content_type"], "image/png");
    let scene = scene(60, 60, 1);
    for whole in [jpeg(&scene), png(&scene.clone().into()), webp(&scene)] {
        let half = &whole[..whole.len() / 2];
        let problem = sent(&library.ann, half).await.refused(422, "validation");
        assert_eq!(
            (problem.errors[0].field.as_str(), problem.errors[0].code.as_str()),
            ("file", "damaged")
        );
    }
    // What is behind a picture, or in it, is not kept.
    let secret = b"<script>alert(document.domain)</script>";
    let both = [&picture[..], secret].concat();
    let media = sent(&library.ann, &both).await.json();
    let shown = library.rig.client().get(url(&media)).await.expect(200);
    assert!(!shown.body.windows(secret.len()).any(|part| part == secret));
    library.rig.shutdown().await;
}

async fn what_is_too_much_is_refused(backend: Backend) {
    let limits = json!({
        "max_bytes": 200_000, "max_pixels": 1_000_000, "memory_bytes": 64 * 1024 * 1024,
    });
    let library = Library::with(backend, limits).await;
    let long = png(&noise(300, 300, 1).into());
    assert!(long.len() > 200_000);
    sent(&library.ann, &long).await.refused(413, "payload_too_large");
    let named: (&str, &[u8]) = ("name=\"file\"; filename=\"a.png\"", &long);
    sent_as_form(&library.ann, &[named]).await.refused(413, "payload_too_large");
    // Few bytes, and many pixels.
    let flat = image::RgbImage::from_pixel(1_500, 1_000, [1, 2, 3].into());
    for bomb in [png(&flat.clone().into()), jpeg(&flat)] {
        assert!(bomb.len() < 200_000);
        let problem = sent(&library.ann, &bomb).await.refused(422, "validation");
        assert_eq!(problem.errors[0].code, "too_many_pixels", "{problem:?}");
    }
    assert_eq!(library.outcome("refused"), 2);
    library.rig.shutdown().await;
}

async fn a_library_has_so_much_room(backend: Backend) {
    let library = Library::with(backend, json!({"writer_quota_bytes": 60_000})).await;
    let first = kept(&library.ann, &png(&noise(100, 100, 1).into())).await;
    let other = png(&noise(100, 100, 2).into());
    let problem = sent(&library.ann, &other).await.refused(409, "conflict");
    assert_eq!(problem.code.as_deref(), Some("quota_exceeded"));
    // It is known now, and there is room as soon as something goes; moderators have more.
    kept(&library.eve, &other).await;
    library.ann.delete(&super::at(&first)).await.expect(204);
    kept(&library.ann, &other).await;
    assert_eq!(library.outcome("made"), 2);
    library.rig.shutdown().await;
}

async fn what_was_refused_leaves_nothing(backend: Backend) {
    let library = Library::start(backend).await;
    let file = png(&scene(80, 80, 1).into());
    for _ in 0..2 {
        sent(&library.ann, &file[..file.len() / 2]).await.refused(422, "validation");
    }
    // The second was known.
    assert_eq!(library.outcome("refused"), 1);
    sent(&library.ann, b"nothing").await.refused(415, "unsupported_media_type");
    kept(&library.ann, &file).await;
    library.swept().await;
    assert_eq!(library.assets().await, ["kept"]);
    // Nor of the files as they were sent.
    eventually("nothing is left of it", SOON, async || {
        let left = library.other_files().await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    library.rig.shutdown().await;
}
