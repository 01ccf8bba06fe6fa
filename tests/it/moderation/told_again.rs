//! An update tells services of all accounts once more, in the words in which accounts are told of.

use panel_harness::{Backend, Node, Session, on_both_databases};
use serde_json::Value;

on_both_databases!(accounts_are_told_again_as_they_were_told);

async fn accounts_are_told_again_as_they_were_told(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    node.admin("root").await;
    Session::register(&node.client(), "ada").await;
    let mut raw = database.raw_sql("auth").await;
    let told = "SELECT payload FROM outbox WHERE topic = 'user.registered' ORDER BY position";
    let first = raw.texts(told, 0).await.unwrap();
    let folder = if backend == Backend::Postgres { "postgres" } else { "sqlite" };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/auth/");
    let file = format!("{root}{folder}/0015_told_again.sql");
    raw.run(&std::fs::read_to_string(file).unwrap()).await;
    let again = raw.texts(told, 0).await.unwrap();
    let read = |texts: &[String]| -> Vec<Value> {
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    };
    assert_eq!((first.len(), again.len()), (2, 4));
    assert_eq!(read(&again[2..]), read(&first));
}
