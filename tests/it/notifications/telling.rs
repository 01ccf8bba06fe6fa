//! Who is told of what, and who is not.

use panel_harness::{Backend, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{NOTIFICATIONS, SOON, hears, items, reply, told, write};
use crate::forum::{Forum, THREADS, id, posts};

on_both_databases!(
    answers_quotes_names_and_reactions_are_told,
    who_watches_is_told_of_what_is_new,
    what_was_decided_is_told,
    nobody_is_told_what_they_may_not_read_or_do_not_want,
    what_was_read_is_read,
);

async fn answers_quotes_names_and_reactions_are_told(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob, cyd) =
        (forum.member("ada").await, forum.member("bob").await, forum.member("cyd").await);
    let thread = forum.thread(&forum.admin, "Thread").await;
    let first = reply(&ada, &thread, "one").await;
    let answer =
        json!({"body": "two, @cyd and @bob", "reply_to": first["id"], "quote": first["id"]});
    let answer = write(&bob, &thread, answer).await;
    // Once, however many reasons there are.
    let ada_hears = hears(&ada, &[("reply", "")]).await;
    assert_eq!(
        (&ada_hears[0]["actor"], &ada_hears[0]["post_id"], &ada_hears[0]["thread_id"]),
        (&json!({"id": bob.user_id, "name": "bob"}), &answer["id"], &thread["id"])
    );
    assert_eq!(
        (&ada_hears[0]["number"], &ada_hears[0]["title"], &ada_hears[0]["read"]),
        (&json!(3), &json!("Thread"), &json!(false))
    );
    hears(&cyd, &[("mention", "")]).await;
    let quote = json!({"body": "three", "quote": first["id"]});
    write(&cyd, &thread, quote).await;
    hears(&ada, &[("quote", ""), ("reply", "")]).await;
    // Whoever is named in an edit, and was not before.
    let post = format!("/api/v2/forum/posts/{}", id(&answer));
    let edit = json!({"body": "two, @cyd and @ada and @bob"});
    bob.patch(&post).json(&edit).await.expect(200);
    let edit = json!({"body": "two, @cyd and @root"});
    bob.patch(&post).json(&edit).await.expect(200);
    hears(&ada, &[("quote", ""), ("reply", "")]).await;
    hears(&cyd, &[("mention", "")]).await;
    // A reaction, once; what is taken back before it was read is not told.
    let react = format!("/api/v2/forum/posts/{}/reactions/like", id(&first));
    bob.put(&react).await.expect(200);
    hears(&ada, &[("reaction", "like"), ("quote", ""), ("reply", "")]).await;
    bob.delete(&react).await.expect(200);
    hears(&ada, &[("quote", ""), ("reply", "")]).await;
    bob.put(&react).await.expect(200);
    hears(&ada, &[("reaction", "like"), ("quote", ""), ("reply", "")]).await;
    ada.post(&format!("{NOTIFICATIONS}/read")).await.expect(200);
    bob.delete(&react).await.expect(200);
    bob.put(&react).await.expect(200);
    ada.put(&react).await.expect(200);
    let last = json!({"body": "last", "reply_to": first["id"]});
    write(&bob, &thread, last).await;
    hears(&ada, &[("reply", ""), ("reaction", "like"), ("quote", ""), ("reply", "")]).await;
    // Nobody hears of themselves, and bob was named by himself alone.
    assert!(told(&bob).await.is_empty());
    // Ids are in the order in which it was told.
    let ids: Vec<String> =
        told(&ada).await.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "{ids:?}");
}

async fn who_watches_is_told_of_what_is_new(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob, cyd) =
        (forum.member("ada").await, forum.member("bob").await, forum.member("cyd").await);
    // Whoever opens a thread watches it.
    let thread = forum.thread(&ada, "t").await;
    let path = format!("{THREADS}/{}", id(&thread));
    cyd.post(&format!("{path}/watch")).await.expect(200);
    let post = reply(&bob, &thread, "two").await;
    let news = hears(&ada, &[("watched", "")]).await;
    assert_eq!(news[0]["post_id"], post["id"]);
    hears(&cyd, &[("watched", "")]).await;
    // Whoever has not read of that is not told of more in it; whoever is called is.
    reply(&bob, &thread, "three").await;
    let fourth = reply(&bob, &thread, "four, @cyd").await;
    hears(&cyd, &[("mention", ""), ("watched", "")]).await;
    hears(&ada, &[("watched", "")]).await;
    ada.post(&format!("{path}/read")).await.expect(200);
    assert_eq!(ada.get(&format!("{NOTIFICATIONS}/count")).await.expect(200).json()["unread"], 0);
    reply(&bob, &thread, "five").await;
    hears(&ada, &[("watched", ""), ("watched", "")]).await;
    // To have read up to somewhere is to have been told up to there.
    let up_to = json!({"number": fourth["number"]});
    cyd.post(&format!("{path}/read")).json(&up_to).await.expect(200);
    let unread = cyd.get(&format!("{NOTIFICATIONS}?unread=true")).await.expect(200);
    assert!(items(&unread).is_empty(), "{}", unread.json());
    cyd.post(&format!("{path}/unwatch")).await.expect(200);
    reply(&bob, &thread, "six").await;
    ada.post(&format!("{path}/read")).await.expect(200);
    reply(&bob, &thread, "seven").await;
    hears(&ada, &[("watched", ""); 3]).await;
    assert_eq!(told(&cyd).await.len(), 2);

    // Many who watch, each once.
    let mut raw = forum.database.raw_sql("forum").await;
    let raw_id = thread["id"].as_str().unwrap().parse::<panel_kernel::ids::Id>().unwrap().raw();
    for user in 1..=450 {
        raw.run(&format!("INSERT INTO authors (id, name) VALUES ({user}, 'u{user}')")).await;
        raw.run(&format!(
            "INSERT INTO thread_readers (user_id, thread_id, last_read, watching) \
             VALUES ({user}, {raw_id}, 0, 1)"
        ))
        .await;
    }
    reply(&bob, &thread, "eight").await;
    let count = "SELECT CAST(user_id AS TEXT) FROM notifications WHERE user_id <= 450";
    eventually("all of them are told", SOON, || async {
        let mut raw = forum.database.raw_sql("forum").await;
        let told = raw.texts(count, 0).await.unwrap().len();
        if told == 450 { Ok(()) } else { Err(told) }
    })
    .await;
    let left = "SELECT CAST(post_id AS TEXT) FROM notification_fanouts";
    assert!(raw.texts(left, 0).await.unwrap().is_empty());
}

async fn what_was_decided_is_told(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&forum.admin, "t").await;
    let rule = json!({"kind": "word", "pattern": "perhaps", "action": "hold"});
    forum.admin.post("/api/v2/forum/moderation/rules").json(&rule).await.expect(201);
    let held = eventually("the rule holds", SOON, || async {
        let post = reply(&ada, &thread, "perhaps, @bob").await;
        if post["hidden"] == true { Ok(post) } else { Err(()) }
    })
    .await;
    hears(&ada, &[("moderation", "post_hidden")]).await;
    let queue = "/api/v2/forum/moderation/queue";
    let item = items(&forum.admin.get(queue).await.expect(200)).remove(0);
    assert_eq!(item["post"]["id"], held["id"]);
    forum.admin.post(&format!("{queue}/{}/approve", id(&item))).await.expect(200);
    let news = hears(&ada, &[("moderation", "post_approved"), ("moderation", "post_hidden")]).await;
    // Nobody says who.
    assert_eq!((&news[0]["actor"], &news[0]["post_id"]), (&Value::Null, &held["id"]));
    // Now it is there, those whom it calls are told; and who watches the thread.
    eventually("bob is told", SOON, || async {
        told(&bob).await.iter().any(|it| it["post_id"] == held["id"])
    })
    .await;
    eventually("root is told", SOON, || async {
        told(&forum.admin).await.iter().any(|it| it["kind"] == "watched")
    })
    .await;
    // A flag, and what came of it.
    let flags = format!("/api/v2/forum/posts/{}/flags", id(&held));
    bob.post(&flags).json(&json!({"reason": "spam"})).await.expect(201);
    let item = items(&forum.admin.get(queue).await.expect(200)).remove(0);
    forum.admin.post(&format!("{queue}/{}/reject", id(&item))).await.expect(200);
    eventually("both are told", SOON, || async {
        let (ada, bob) = (told(&ada).await, told(&bob).await);
        (ada[0]["detail"] == "post_rejected" && bob[0]["detail"] == "flag_upheld")
            .then_some(())
            .ok_or((ada, bob))
    })
    .await;
    // The same, where it is decided by another way.
    let post = reply(&ada, &thread, "six").await;
    let flags = format!("/api/v2/forum/posts/{}/flags", id(&post));
    bob.post(&flags).json(&json!({"reason": "spam"})).await.expect(201);
    forum.admin.delete(&format!("/api/v2/forum/posts/{}", id(&post))).await.expect(204);
    eventually("both are told", SOON, || async {
        let (ada, bob) = (told(&ada).await, told(&bob).await);
        let heard = |told: &[Value], detail: &str| {
            told[0]["detail"] == detail && told[0]["post_id"] == post["id"]
        };
        heard(&ada, "post_rejected") && heard(&bob, "flag_upheld")
    })
    .await;
    let ban = json!({"user_id": ada.user_id, "kind": "silence", "reason": "r"});
    let bans = "/api/v2/forum/moderation/bans";
    let ban = forum.admin.post(bans).json(&ban).await.expect(201).json();
    forum.admin.delete(&format!("{bans}/{}", id(&ban))).await.expect(204);
    eventually("she is told", SOON, || async {
        let told = told(&ada).await;
        told[0]["detail"] == "ban_ended" && told[1]["detail"] == "silenced"
    })
    .await;
}

async fn nobody_is_told_what_they_may_not_read_or_do_not_want(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob, eve) =
        (forum.member("ada").await, forum.member("bob").await, forum.member("eve").await);
    let thread = forum.thread(&forum.admin, "t").await;
    let first = reply(&ada, &thread, "one").await;
    let staff = json!({"name": "Staff", "read_role": "moderator", "post_role": "moderator"});
    let staff = forum.admin.post("/api/v2/forum/categories").json(&staff).await.expect(201).json();
    let secret = json!({"category_id": staff["id"], "title": "secret", "body": "@ada @bob"});
    forum.admin.post(THREADS).json(&secret).await.expect(201);
    // Of whom she does not want to hear.
    let block = format!("/api/v2/forum/blocks/{}", eve.user_id);
    ada.put(&block).await.expect(200);
    let listed = items(&ada.get("/api/v2/forum/blocks").await.expect(200));
    assert_eq!((listed.len(), &listed[0]["user"]["name"]), (1, &json!("eve")));
    write(&eve, &thread, json!({"body": "@ada!", "reply_to": first["id"]})).await;
    // What she does not want to hear of.
    let preferences = format!("{NOTIFICATIONS}/preferences");
    let kinds = ada.get(&preferences).await.expect(200).json();
    assert_eq!(kinds["kinds"]["mention"], true);
    let muted = json!({"kinds": {"mention": false}});
    let muted = ada.put(&preferences).json(&muted).await.expect(200).json();
    assert_eq!(
        (&muted["kinds"]["mention"], &muted["kinds"]["reply"]),
        (&json!(false), &json!(true))
    );
    let all = json!({"kinds": {"moderation": false}});
    let refused = ada.put(&preferences).json(&all).await.refused(422, "validation");
    assert_eq!(refused.fields(), [("kinds.moderation", "required")]);
    ada.put(&preferences).json(&json!({"kinds": {"x": true}})).await.refused(422, "validation");
    reply(&bob, &thread, "hello @ada").await;
    // This she hears, and nothing of what was before.
    write(&bob, &thread, json!({"body": "four", "reply_to": first["id"]})).await;
    hears(&ada, &[("reply", "")]).await;
    assert!(told(&bob).await.is_empty());
    ada.delete(&block).await.expect(204);
    ada.delete(&block).await.refused(404, "not_found");
    ada.put(&format!("/api/v2/forum/blocks/{}", ada.user_id)).await.refused(409, "conflict");
    ada.put("/api/v2/forum/blocks/0000000000000").await.refused(404, "not_found");
    write(&eve, &thread, json!({"body": "again", "reply_to": first["id"]})).await;
    hears(&ada, &[("reply", ""), ("reply", "")]).await;
    // Once a thread is out of her sight, so is its title.
    forum
        .admin
        .post(&format!("{THREADS}/{}/move", id(&thread)))
        .json(&json!({"category_id": staff["id"]}))
        .await
        .expect(200);
    let told = told(&ada).await;
    assert!(told.iter().all(|it| it["title"].is_null()), "{told:?}");
}

async fn what_was_read_is_read(backend: Backend) {
    let forum = Forum::start(backend).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    let thread = forum.thread(&forum.admin, "t").await;
    let first = reply(&ada, &thread, "one").await;
    for n in 0..5 {
        let body = json!({"body": n.to_string(), "reply_to": first["id"]});
        bob.post(&posts(&thread)).json(&body).await.expect(201);
    }
    let all = hears(&ada, &[("reply", ""); 5]).await;
    let count = async || {
        let answer = ada.get(&format!("{NOTIFICATIONS}/count")).await.expect(200).json();
        answer["unread"].as_i64().unwrap()
    };
    assert_eq!(count().await, 5);
    let read = format!("{NOTIFICATIONS}/read");
    let left = ada.post(&read).json(&json!({"ids": [all[0]["id"]]})).await.expect(200).json();
    assert_eq!(left["unread"], 4);
    let left = ada.post(&read).json(&json!({"up_to": all[3]["id"]})).await.expect(200).json();
    assert_eq!(left["unread"], 2);
    // Somebody else's are not hers.
    let theirs = bob.post(&read).json(&json!({"ids": [all[1]["id"]]})).await.expect(200).json();
    assert_eq!((theirs["unread"].as_i64(), count().await), (Some(0), 2));
    let unread = items(&ada.get(&format!("{NOTIFICATIONS}?unread=true")).await.expect(200));
    assert_eq!(unread.len(), 2);
    ada.post(&read).json(&json!({"ids": []})).await.expect(200);
    assert_eq!(count().await, 2);
    ada.post(&read).await.expect(200);
    assert_eq!(count().await, 0);
    for (body, field) in [
        (json!({"ids": ["x"]}), "ids[0]"),
        (json!({"ids": vec!["0000000000000"; 101]}), "ids"),
        (json!({"ids": [], "up_to": "0000000000000"}), "up_to"),
        (json!({"all": true}), "all"),
    ] {
        let refused = ada.post(&read).json(&body).await.refused(422, "validation");
        assert_eq!(refused.fields()[0].0, field, "{body}");
    }
    for query in ["unread=yes", "kind=gossip", "limit=0"] {
        ada.get(&format!("{NOTIFICATIONS}?{query}")).await.refused(422, "validation");
    }
    let page = ada.get(&format!("{NOTIFICATIONS}?limit=3")).await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = ada.get(&format!("{NOTIFICATIONS}?limit=3&cursor={cursor}")).await.expect(200);
    assert_eq!(items(&rest).len(), 2);
    bob.get(&format!("{NOTIFICATIONS}?limit=3&cursor={cursor}")).await.refused(400, "bad_request");
    forum.node.client().get(NOTIFICATIONS).await.refused(401, "unauthorized");
}
