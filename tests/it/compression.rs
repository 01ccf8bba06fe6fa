//! Answers that are made smaller on their way out.

use std::io::Read as _;

use panel_harness::{Answer, Backend, Node, PASSWORD, Thread, on_both_databases};
use serde_json::json;

on_both_databases!(texts_are_smaller_for_who_reads_that);

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut text = Vec::new();
    match answer.header("content-encoding") {
        None => return answer.body.to_vec(),
        Some("zstd") => return zstd::stream::decode_all(&answer.body[..]).unwrap(),
        Some("gzip") => flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut text),
        other => panic!("{other:?}"),
    }
    .unwrap();
    text
}

fn varies(answer: &Answer) -> bool {
    let fields = answer.headers.get_all("vary").iter();
    fields.filter_map(|field| field.to_str().ok()).any(|field| field.contains("accept-encoding"))
}

async fn texts_are_smaller_for_who_reads_that(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    for n in 0..10 {
        thread.reply(&admin, &format!("The answer to it all is {n}.")).await.expect(201);
    }
    let client = node.client();
    // Nobody, whose answers are kept, and somebody.
    let signed =
        client.clone().with_header("authorization", &format!("Bearer {}", admin.access_token));
    for (by, path) in [(&client, &thread.posts), (&signed, &thread.posts), (&client, &thread.path)]
    {
        let plain = by.get(path).await.expect(200);
        assert!(varies(&plain) && plain.header("content-encoding").is_none());
        for (coding, asked) in [("zstd", "gzip, deflate, br, zstd"), ("gzip", "gzip;q=0.5, br")] {
            let get = || by.get(path).header("accept-encoding", asked);
            let answer = get().await.expect(200);
            // The thread alone is not worth it.
            if plain.body.len() < 1_024 {
                assert_eq!(answer.body, plain.body);
                continue;
            }
            assert_eq!(answer.header("content-encoding"), Some(coding));
            assert!(answer.body.len() < plain.body.len() / 2, "{answer:?}");
            assert!(decoded(&answer) == plain.body && varies(&answer));
            let (tag, own) = (answer.header("etag").unwrap(), plain.header("etag").unwrap());
            assert_eq!(tag, format!("{}-{coding}\"", own.trim_end_matches('"')));
            for known in [tag, own, &format!("\"x\", W/{tag}")] {
                let same = get().header("if-none-match", known).await.expect(304);
                let expected = if known == own { own } else { tag };
                assert_eq!(same.header("etag"), Some(expected));
                assert!(varies(&same) && same.header("content-encoding").is_none());
            }
            get().header("if-none-match", "\"another-zstd\"").await.expect(200);
            let head = by.head(path).header("accept-encoding", asked).await.expect(200);
            let length = answer.body.len().to_string();
            assert_eq!(head.header("content-length"), Some(length.as_str()));
            assert_eq!(head.header("content-encoding"), Some(coding));
        }
    }
    // What was read in a coding is what is changed.
    let long = json!({"body": "It is long. ".repeat(200)});
    let post = thread.reply(&admin, "short").await.expect(201).json();
    let path = format!("/api/v2/forum/posts/{}", post["id"].as_str().unwrap());
    admin.patch(&path).json(&long).await.expect(200);
    let read = admin.get(&path).header("accept-encoding", "zstd").await.expect(200);
    assert_eq!(read.header("content-encoding"), Some("zstd"));
    let tag = read.header("etag").unwrap().to_owned();
    let change =
        |body: &str| admin.patch(&path).json(&json!({"body": body})).header("if-match", &tag);
    let changed = change("It is long no more.").header("accept-encoding", "zstd").await.expect(200);
    assert_eq!(changed.header("content-encoding"), None, "{changed:?}");
    change("It is another.").await.expect(412);
    let counted = node.metrics().await;
    for coding in ["zstd", "gzip"] {
        let of = |side| {
            counted.value(
                "panel_gateway_compression_bytes_total",
                &[("coding", coding), ("side", side)],
            )
        };
        assert!(of("before") > 2.0 * of("after") && of("after") > 0.0, "{coding}");
    }
}

#[tokio::test]
async fn what_is_secret_small_or_unwanted_is_sent_as_it_is() {
    let node = Node::start().await;
    let admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    for n in 0..10 {
        thread.reply(&admin, &format!("answer {n}")).await.expect(201);
    }
    let all = |path: &str| node.client().get(path).header("accept-encoding", "zstd, gzip");
    // What nobody may keep: pages with a nonce, and what signs people in.
    let page = all("/sign-in").await.expect(200);
    assert!(page.body.len() > 1_024 && page.header("content-encoding").is_none());
    let login = json!({"login": "root", "password": PASSWORD});
    let login = node.client().post("/api/v2/auth/login").json(&login);
    let login = login.header("accept-encoding", "zstd, gzip").await.expect(200);
    assert!(login.header("content-encoding").is_none() && !varies(&login));
    assert!(all("/api/v2/health").await.expect(200).header("content-encoding").is_none());
    assert!(all("/nowhere").await.expect(404).header("content-encoding").is_none());
    for asked in ["identity", "br", "gzip;q=0, zstd;q=0", "*;q=0", "zstd;q=0.5, identity;q=1"] {
        let answer = node.client().get(&thread.posts).header("accept-encoding", asked).await;
        assert_eq!(answer.expect(200).header("content-encoding"), None, "{asked}");
    }
    let document = all("/api/v2/openapi.json").await.expect(200);
    assert_eq!(document.header("content-encoding"), Some("zstd"));
    let off = Node::builder().env("PANEL_GATEWAY__COMPRESSION__ENABLED", "false").start().await;
    let answer = off.client().get("/api/v2/openapi.json").header("accept-encoding", "gzip").await;
    assert!(answer.expect(200).header("content-encoding").is_none());
}
