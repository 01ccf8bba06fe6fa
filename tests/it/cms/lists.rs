//! Lists of articles, and who finds what in them.

use panel_harness::{Backend, on_both_databases};
use panel_kernel::role::Role;
use serde_json::{Value, json};

use super::{Cms, POSTS, at, begun, patch, published, slugs, took};

on_both_databases!(
    pages_are_stable_while_others_write,
    authors_find_their_own_and_editors_everything,
    what_is_public_is_shown_to_others_until_it_changes,
);

async fn pages_are_stable_while_others_write(backend: Backend) {
    let cms = Cms::start(backend).await;
    for n in 0..5 {
        published(&cms.eve, json!({"title": format!("a{n}"), "tags": ["t"]})).await;
        if n != 2 {
            cms.clock.advance(std::time::Duration::from_secs(1));
        }
    }
    for filter in ["", "&tag=t"] {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = cms.eve.get(&format!("{POSTS}?limit=2{filter}{cursor}")).await.expect(200);
            let page = page.json();
            found.extend(slugs(&page).into_iter().map(str::to_owned));
            if found.len() == 2 {
                let late = format!("late{}", filter.len());
                published(&cms.eve, json!({"title": late, "tags": ["t"]})).await;
            }
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        let old: Vec<_> = found.iter().filter(|slug| slug.starts_with('a')).collect();
        assert_eq!(old, ["a4", "a3", "a2", "a1", "a0"], "{filter}");
    }
    let page = cms.eve.get(&format!("{POSTS}?limit=2")).await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let other = cms.eve.get(&format!("{POSTS}?limit=2&tag=t&cursor={cursor}")).await;
    other.refused(400, "bad_request");
    cms.eve.get(&format!("{POSTS}?limit=0")).await.refused(422, "validation");
    cms.rig.shutdown().await;
}

async fn authors_find_their_own_and_editors_everything(backend: Backend) {
    let cms = Cms::start(backend).await;
    let mine = begun(&cms.ann, json!({"title": "mine"})).await;
    let other = begun(&cms.eve, json!({"title": "other"})).await;
    let public = published(&cms.eve, json!({"title": "public"})).await;
    let found = async |by: &panel_harness::Client, query: &str| -> Vec<String> {
        let listed: Value = by.get(&format!("{POSTS}{query}")).await.expect(200).json();
        let mut found: Vec<_> = slugs(&listed).into_iter().map(str::to_owned).collect();
        found.sort();
        found
    };
    assert_eq!(found(&cms.client(), "").await, ["public"]);
    assert_eq!(found(&cms.ann, "").await, ["public"]);
    assert_eq!(found(&cms.ann, "/all").await, ["mine"]);
    assert_eq!(found(&cms.ann, "/all?status=draft&author=me").await, ["mine"]);
    assert_eq!(found(&cms.eve, "/all").await, ["mine", "other", "public"]);
    assert_eq!(found(&cms.eve, "/all?status=draft").await, ["mine", "other"]);
    let ann = mine["author"]["id"].as_str().unwrap();
    let eve = other["author"]["id"].as_str().unwrap();
    assert_eq!(found(&cms.eve, &format!("/all?author={ann}")).await, ["mine"]);
    assert_eq!(found(&cms.client(), &format!("?author={eve}")).await, ["public"]);
    let others = cms.ann.get(&format!("{POSTS}/all?status=draft&author={eve}")).await;
    others.refused(403, "forbidden");
    cms.client().get(&format!("{POSTS}/all?status=draft")).await.refused(401, "unauthorized");
    cms.client().get(&format!("{POSTS}?author=me")).await.refused(401, "unauthorized");
    cms.eve.get(&format!("{POSTS}/all?status=gone")).await.refused(422, "validation");
    cms.eve.get(&format!("{POSTS}?author=x")).await.refused(422, "validation");
    // The last changed first.
    cms.clock.advance(std::time::Duration::from_secs(1));
    patch(&cms.ann, &mine, json!({"body": "b"})).await.expect(200);
    let listed = cms.eve.get(&format!("{POSTS}/all")).await.expect(200).json();
    assert_eq!(slugs(&listed)[0], "mine");
    assert_eq!(public["status"], "published");
    cms.rig.shutdown().await;
}

async fn what_is_public_is_shown_to_others_until_it_changes(backend: Backend) {
    let cms = Cms::start(backend).await;
    let article = published(&cms.eve, json!({"title": "a", "body": "old"})).await;
    let client = cms.client();
    let read = async || client.get(&at(&article)).await.expect(200);
    assert_eq!(read().await.json()["body"], "old");
    let tag = read().await.header("etag").unwrap().to_owned();
    client.get(&at(&article)).header("if-none-match", &tag).await.expect(304);
    let control = read().await.header("cache-control").unwrap().to_owned();
    assert!(control.starts_with("public"), "{control}");
    let changed = patch(&cms.eve, &article, json!({"body": "new"})).await.expect(200).json();
    assert_eq!(read().await.json()["body"], "new", "its writer's readers see it at once");
    assert_eq!(slugs(&client.get(POSTS).await.expect(200).json()), ["a"]);
    took(&cms.eve, &changed, "unpublish").await;
    client.get(&at(&article)).await.refused(404, "not_found");
    assert_eq!(slugs(&client.get(POSTS).await.expect(200).json()), [""; 0]);
    // What is for somebody is kept by nobody.
    let own = cms.rig.signed_in(Role::Moderator).get(&at(&article)).await.expect(200);
    assert!(!own.header("cache-control").unwrap_or_default().contains("public"));
    cms.rig.shutdown().await;
}
