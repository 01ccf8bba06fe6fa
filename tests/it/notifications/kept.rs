//! What is to be told is told once, whatever ends in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use panel_harness::{Backend, Session, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{SOON, reply};
use crate::forum::{Forum, id, posts};

on_both_databases!(nothing_is_told_twice_or_not_at_all_over_kill_9);

/// Answers one post after the other, until one is not answered; counts those that were.
async fn write_until_cut(
    by: Session,
    (thread, first): (String, Value),
    done: Arc<AtomicUsize>,
) -> Vec<String> {
    let mut written = Vec::new();
    loop {
        let body = json!({"body": written.len().to_string(), "reply_to": first});
        match by.post(&thread).json(&body).send().await {
            Ok(answer) => written.push(id(&answer.expect(201).json()).to_owned()),
            Err(_) => return written,
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
}

async fn nothing_is_told_twice_or_not_at_all_over_kill_9(backend: Backend) {
    let mut forum = Forum::start(backend).await;
    let (mut ada, mut bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&forum.admin, "t").await;
    let first = reply(&ada, &thread, "one").await;
    let mut written = BTreeSet::new();
    // Each life ends after another number of posts, so at another point of telling of them.
    for posts_of_life in [5, 17, 40] {
        let done = Arc::new(AtomicUsize::new(0));
        let to = (posts(&thread), first["id"].clone());
        let writers: Vec<_> = (0..3)
            .map(|_| tokio::spawn(write_until_cut(bob.clone(), to.clone(), Arc::clone(&done))))
            .collect();
        eventually("enough is written", SOON, async || {
            done.load(Ordering::SeqCst) >= posts_of_life
        })
        .await;
        forum.node.kill9();
        for writer in writers {
            written.extend(writer.await.unwrap());
        }
        forum.node.restart().await;
        (ada, bob) = (ada.at(&forum.node.client()), bob.at(&forum.node.client()));
    }
    eventually("everything that was written is told", SOON, async || {
        let heard = all(&ada).await;
        let missing = written.iter().filter(|post| !heard.contains(post)).count();
        if missing == 0 { Ok(()) } else { Err(missing) }
    })
    .await;
    let heard = all(&ada).await;
    let once: BTreeSet<&String> = heard.iter().collect();
    assert_eq!(heard.len(), once.len(), "nothing is told twice");
    // What was written and not acknowledged is told as well, as it is there.
    assert!(heard.len() >= written.len() && heard.len() <= written.len() + 9, "{}", heard.len());
}

/// The posts of which she was told, over all pages.
async fn all(ada: &Session) -> Vec<String> {
    let (mut heard, mut page) = (Vec::new(), format!("{}?limit=100", super::NOTIFICATIONS));
    loop {
        let answer = ada.get(&page).await.expect(200).json();
        let posts = answer["items"].as_array().unwrap().iter();
        heard.extend(posts.map(|it| it["post_id"].as_str().unwrap().to_owned()));
        let Some(cursor) = answer["next_cursor"].as_str() else { return heard };
        page = format!("{}?limit=100&cursor={cursor}", super::NOTIFICATIONS);
    }
}
