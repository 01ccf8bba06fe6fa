//! `kill -9` with writes under way: each that was not answered is sent again under its key, and
//! has one effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use panel_harness::{Backend, Node, Session, Thread, eventually, on_both_databases};

on_both_databases!(what_was_not_answered_is_sent_again_and_done_once);

const WRITERS: usize = 8;

/// One write after the other, until one is not answered: the keys of those that were, and the
/// last one.
async fn write_until_cut(
    name: String,
    (admin, thread): (Session, Thread),
    done: Arc<AtomicUsize>,
) -> (Vec<String>, String) {
    let mut acknowledged = Vec::new();
    loop {
        let key = format!("{name}-{}", acknowledged.len());
        match thread.reply(&admin, &key).idempotency_key(&key).send().await {
            Ok(answer) => drop(answer.expect(201)),
            Err(_) => return (acknowledged, key),
        }
        acknowledged.push(key);
        done.fetch_add(1, Ordering::SeqCst);
    }
}

async fn what_was_not_answered_is_sent_again_and_done_once(backend: Backend) {
    let database = backend.database().await;
    let mut node = Node::builder().database(&database).start().await;
    let mut admin = node.admin("root").await;
    let thread = Thread::open(&admin).await;
    let mut expected = vec!["first".to_owned()];
    let mut were_done = 0;
    // Each life ends after another number of writes, so at another point of the next ones.
    for (life, writes) in [7, 31, 64].into_iter().enumerate() {
        let done = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (to, done) = ((admin.clone(), thread.clone()), Arc::clone(&done));
                tokio::spawn(write_until_cut(format!("{life}-{writer}"), to, done))
            })
            .collect();
        eventually("enough is written", Duration::from_secs(10), async || {
            done.load(Ordering::SeqCst) >= writes
        })
        .await;
        node.kill9();
        let mut unanswered = Vec::new();
        for writer in writers {
            let (acknowledged, cut) = writer.await.unwrap();
            expected.extend(acknowledged);
            unanswered.push(cut);
        }
        node.restart().await;
        admin = admin.at(&node.client());
        for key in unanswered {
            for _ in 0..2 {
                let again = thread.reply(&admin, &key).idempotency_key(&key).await.expect(201);
                were_done += usize::from(again.header("idempotency-replayed").is_some());
            }
            expected.push(key);
        }
    }
    // The second time at the latest it was done already.
    assert!(were_done >= 3 * WRITERS, "{were_done}");
    let mut found = thread.bodies(&node.client()).await;
    let replies = thread.read(&node.client()).await["reply_count"].as_u64();
    assert_eq!(replies, Some(found.len() as u64 - 1));
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
