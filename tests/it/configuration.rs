//! The configuration, from outside: the sample as it stands, and refusals that help.

use std::process::Output;

use panel_harness::{Backend, Node};

const SAMPLE: &str = include_str!("../../cluster.toml");

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sample_works_as_it_stands_and_shows_the_defaults() {
    let with_sample = Node::builder().config(SAMPLE);
    let checked = with_sample.cli(&["config", "check"]).await;
    assert!(checked.status.success(), "{}", stderr(&checked));
    let shown = |output: Output| {
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        // The one value that is the harness's own.
        text.lines().filter(|line| !line.starts_with("data_dir")).collect::<Vec<_>>().join("\n")
    };
    let with = shown(Node::builder().config(SAMPLE).cli(&["config", "show"]).await);
    let without = shown(Node::builder().config("").cli(&["config", "show"]).await);
    assert_eq!(with, without, "every value in the sample is the default");
    // And every key there is stands in the sample.
    for line in without.lines().filter(|line| line.contains(" = ")) {
        let key = line.split(" = ").next().unwrap();
        assert!(SAMPLE.contains(&format!("{key} = ")), "{key} is not in the sample");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_name_the_place_and_the_reason() {
    for (config, parts) in [
        ("[gateway]\nmax_conections = 3\n", &["gateway.max_conections", "unknown field"][..]),
        (
            "[[limits.rules]]\nname = 'a'\nservice = 'forums'\nper_minute = 1\n",
            &["limits.rules", "\"forums\" is not a service"],
        ),
        ("[gateway]\nhead_timeout = 'soon'\n", &["gateway.head_timeout", "length of time"]),
        ("[forum]\nmax_body_chars = 0\n", &["forum.max_body_chars"]),
        ("[cms]\nhome = \"/\"\n", &["cms.home", "another than /"]),
        ("[cms]\nhome = \"https://a.example/\"\n", &["cms.home"]),
        ("[blobs]\nurl = 's3://files'\n", &["blobs.url", "blobs.access_key_id"]),
        ("[blobs]\nurl = 's3://files/../x'\n", &["blobs.url", "s3://bucket/prefix"]),
        ("[somewhere]\n", &["somewhere", "no such section"]),
        ("[node]\nname = 'a/b'\n", &["node.name"]),
    ] {
        for command in [&["config", "check"][..], &["config", "show"], &["migrate"]] {
            let refused = Node::builder().config(config).cli(command).await;
            assert_eq!(refused.status.code(), Some(2), "{config}: {}", stderr(&refused));
            for part in parts {
                assert!(stderr(&refused).contains(part), "{part}: {}", stderr(&refused));
            }
            assert!(stderr(&refused).contains(".toml"), "{}", stderr(&refused));
        }
    }
    let refused =
        Node::builder().env("PANEL_GATEWAY__MAX_BODY_BYTES", "a lot").cli(&["config", "check"]);
    let refused = refused.await;
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("PANEL_GATEWAY__MAX_BODY_BYTES"), "{}", stderr(&refused));
    let usage = Node::builder().cli(&["frobnicate"]).await;
    assert_eq!(usage.status.code(), Some(2));
}

/// Which files are in a bucket is in the database, and nodes that are linked must have the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn linked_nodes_know_of_the_same_files() {
    let gateway = || {
        let names = ["PANEL_BLOBS__ACCESS_KEY_ID", "PANEL_BLOBS__SECRET_ACCESS_KEY"];
        let node = Node::builder().env("PANEL_BLOBS__URL", "s3://files");
        let node = node.env("PANEL_CLUSTER__LISTEN", "127.0.0.1:0");
        let node = node.env("PANEL_CLUSTER__TLS_DIR", "/nowhere");
        names.into_iter().fold(node, |node, name| node.env(name, "key-of-bucket"))
    };
    let refused = gateway().cli(&["config", "check", "--roles", "gateway"]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let text = stderr(&refused);
    assert!(text.contains("blobs.url") && text.contains("linked"), "{text}");
    let database = "postgres://panel@db.example/panel";
    let show = ["config", "show", "--roles", "gateway"];
    let shown = gateway().env("DATABASE_URL", database).cli(&show).await;
    assert!(shown.status.success(), "{}", stderr(&shown));
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("s3://files") && !text.contains("secret_access_key = \"key"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_redacted() {
    let shown = Node::builder()
        .env("DATABASE_URL", "postgres://panel:hunter2@db.example/panel")
        .env("REDIS_URL", "redis://:pw9@cache.example")
        .cli(&["config", "show"])
        .await;
    assert!(shown.status.success(), "{}", stderr(&shown));
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("db.example") && text.contains("cache.example"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("pw9"), "{text}");
}

/// `DATABASE_URL` alone moves every service to another database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_names_the_database() {
    let database = Backend::Postgres.database().await;
    let node = Node::builder().env("DATABASE_URL", database.url()).start().await;
    panel_harness::Session::register(&node.client(), "ada").await;
    let mut auth = database.raw_sql("auth").await;
    assert_eq!(auth.texts("SELECT username FROM users", 0).await.unwrap(), ["ada"]);
    assert!(!node.data_dir().join("db").exists(), "no SQLite beside it");
    // A flag is stronger than the environment.
    let other = Backend::Postgres.database().await;
    let both = Node::builder().env("DATABASE_URL", database.url()).database(&other).start().await;
    panel_harness::Session::register(&both.client(), "grace").await;
    let mut auth = other.raw_sql("auth").await;
    assert_eq!(auth.texts("SELECT username FROM users", 0).await.unwrap(), ["grace"]);
}
