//! Mails of what somebody was told and has not read.

use std::collections::BTreeMap;
use std::time::Duration;

use panel_harness::{
    Backend, Cluster, Node, Session, Smtp, TestDatabase, Thread, eventually, on_both_databases,
};
use serde_json::json;

use super::{NOTIFICATIONS, SOON, hears, reply};
use crate::forum::{Forum, id, posts};

on_both_databases!(
    somebody_gets_what_they_have_not_read,
    they_go_to_who_wants_them_and_can_have_them,
    nobody_gets_one_twice_or_not_at_all_over_kill_9,
    one_that_cant_be_written_holds_up_no_other,
);

const PREFERENCES: &str = "/api/v2/forum/notifications/preferences";
const MENTIONS: &str = "SELECT kind FROM notifications WHERE kind = 'mention'";
/// Mails are looked for every five seconds.
const MAILED: Duration = Duration::from_secs(20);

async fn wants(by: &Session, digest: &str) {
    let wanted = json!({"digest": digest});
    let now = by.put(PREFERENCES).json(&wanted).await.expect(200).json();
    assert_eq!(now["digest"], digest);
}

/// Everybody's address is proven to be theirs.
async fn all_are_verified(forum: &Forum) {
    let mut auth = forum.database.raw_sql("auth").await;
    auth.run("UPDATE users SET email_verified_at = 1").await;
}

/// The hour at which they are due has come; how many there were.
async fn all_are_due(forum: &Forum) {
    forum.database.raw_sql("forum").await.run("UPDATE digests SET next_at = 1").await;
}

/// Waits until a statement finds so many rows in what the forum has stored.
async fn finds(database: &TestDatabase, text: &str, count: usize) {
    eventually(&format!("{count} rows by {text}"), MAILED * 2, async || {
        let found = database.raw_sql("forum").await.texts(text, 0).await.unwrap().len();
        if found == count { Ok(()) } else { Err(found) }
    })
    .await;
}

/// All that were due are written.
async fn none_is_due(forum: &Forum) {
    finds(&forum.database, "SELECT every FROM digests WHERE next_at = 1", 0).await;
}

/// The forum has heard of all who are called like that, so that they can be called.
async fn are_known(database: &TestDatabase, name: &str, count: usize) {
    let known = format!("SELECT username_key FROM authors WHERE username_key LIKE '{name}'");
    finds(database, &known, count).await;
}

async fn with_mail(backend: Backend, smtp: &Smtp) -> Forum {
    let url = format!("smtp://127.0.0.1:{}", smtp.port());
    let settings =
        [("PANEL_AUTH__MAIL__URL", url.as_str()), ("PANEL_AUTH__MAIL__PLAINTEXT", "true")];
    Forum::configured(backend, &settings).await
}

async fn somebody_gets_what_they_have_not_read(backend: Backend) {
    let smtp = Smtp::start();
    let forum = with_mail(backend, &smtp).await;
    let (ada, bob) = (forum.member("ada").await, forum.member("bob").await);
    all_are_verified(&forum).await;
    let thread = forum.thread(&forum.admin, "A <b>bold</b> title").await;
    let first = reply(&ada, &thread, "hers").await;
    let answer = async |body: &str| {
        let body = json!({"body": body, "reply_to": first["id"]});
        bob.post(&posts(&thread)).json(&body).await.expect(201).json()
    };
    // What she was told before she wants them is in none.
    answer("before").await;
    hears(&ada, &[("reply", "")]).await;
    wants(&ada, "daily").await;
    let second = answer("after").await;
    hears(&ada, &[("reply", ""), ("reply", "")]).await;
    all_are_due(&forum).await;
    let mail = smtp.mail_to("ada@example.org", 0).await;
    let text = mail.text();
    let host = forum.node.http();
    assert_eq!(mail.subject(), format!("Something new for you at {host}"));
    let line = "- bob answered you in \u{201c}A <b>bold</b> title\u{201d}";
    let place = format!("/forum/threads/{}?from={}#post-", id(&thread), second["number"]);
    assert!(text.contains(line) && text.contains(&place), "{text}");
    assert_eq!(text.matches("- bob").count(), 1, "{text}");
    assert!(mail.html().contains("A &#60;b&#62;bold&#60;/b&#62; title"), "{}", mail.html());
    // Nothing new, and what she has read: no mail.
    none_is_due(&forum).await;
    all_are_due(&forum).await;
    none_is_due(&forum).await;
    answer("read").await;
    hears(&ada, &[("reply", ""), ("reply", ""), ("reply", "")]).await;
    ada.post(&format!("{NOTIFICATIONS}/read")).await.expect(200);
    all_are_due(&forum).await;
    none_is_due(&forum).await;
    answer("unread").await;
    hears(&ada, &[("reply", ""), ("reply", ""), ("reply", ""), ("reply", "")]).await;
    all_are_due(&forum).await;
    let mail = smtp.mail_to("ada@example.org", 1).await;
    assert_eq!(mail.text().matches("- bob").count(), 1, "{}", mail.text());
    // The link ends them, for whoever has it: a look alone does nothing.
    let place = mail.header("List-Unsubscribe").unwrap();
    assert_eq!(mail.header("List-Unsubscribe-Post"), Some("List-Unsubscribe=One-Click"));
    let place = place.trim_matches(['<', '>']).split_once(host).unwrap().1;
    assert!(mail.text().contains(place), "{}", mail.text());
    let client = forum.node.client();
    assert!(client.get(place).await.expect(200).text().contains("No more of them"));
    assert_eq!(ada.get(PREFERENCES).await.expect(200).json()["digest"], "daily");
    for _ in 0..2 {
        client.post(place).await.expect(200);
        assert_eq!(ada.get(PREFERENCES).await.expect(200).json()["digest"], "never");
    }
    for odd in ["x", &place[1..], &format!("{place}A")] {
        let odd = format!("/forum/unsubscribe/{}", odd.trim_start_matches("/forum/unsubscribe/"));
        client.post(&odd).await.expect(404);
    }
}

async fn they_go_to_who_wants_them_and_can_have_them(backend: Backend) {
    let smtp = Smtp::start();
    let forum = with_mail(backend, &smtp).await;
    let names = ["ada", "bob", "cleo", "dora", "eve"];
    let mut people = BTreeMap::new();
    for name in names {
        people.insert(name, forum.member(name).await);
    }
    all_are_verified(&forum).await;
    let mut auth = forum.database.raw_sql("auth").await;
    auth.run("UPDATE users SET email_verified_at = NULL WHERE username = 'bob'").await;
    for name in names {
        wants(&people[name], "weekly").await;
    }
    // Who doesn't want them, is suspended, or is gone when they are due.
    wants(&people["cleo"], "never").await;
    let odd = people["ada"].put(PREFERENCES).json(&json!({"digest": "hourly"})).await;
    odd.refused(422, "validation");
    let thread = forum.thread(&forum.admin, "t").await;
    let called = names.map(|name| format!("@{name}")).join(" ");
    reply(&forum.admin, &thread, &called).await;
    for name in names {
        hears(&people[name], &[("mention", "")]).await;
    }
    let dora = format!("/api/v2/admin/users/{}/suspend", people["dora"].user_id);
    let reason = json!({"reason": "late"});
    let suspended = eventually("the administration knows her", SOON, async || {
        let answer = forum.admin.post(&dora).json(&reason).await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    });
    suspended.await;
    let password = json!({"password": panel_harness::PASSWORD});
    people["eve"].delete("/api/v2/auth/account").json(&password).await.expect(204);
    // The forum has heard of that.
    finds(&forum.database, "SELECT name FROM authors WHERE erased = 1", 1).await;
    all_are_due(&forum).await;
    assert!(smtp.mail_to("ada@example.org", 0).await.text().contains("mentioned you"));
    none_is_due(&forum).await;
    // What was asked for before hers is through as well.
    let told = eventually("all is taken in", MAILED, async || {
        let waiting = "SELECT topic FROM outbox WHERE topic = 'mail.requested'";
        let sent = "SELECT CAST(attempts AS TEXT) FROM mails";
        let waiting = forum.database.raw_sql("forum").await.texts(waiting, 0).await.unwrap();
        let sending = forum.database.raw_sql("auth").await.texts(sent, 0).await.unwrap();
        if sending.is_empty() { Ok(waiting.len()) } else { Err(sending) }
    })
    .await;
    assert!(told <= 3, "of those who want them: {told}");
    let new = smtp.mails().into_iter().filter(|mail| mail.subject().contains("new for you"));
    let to: Vec<String> = new.map(|mail| mail.to().to_owned()).collect();
    assert_eq!(to, ["ada@example.org"]);
}

/// Subjects and addresses of the mails that a node has written into files.
fn files(node: &Node) -> Vec<String> {
    let folder = std::fs::read_dir(node.data_dir().join("mail"));
    let texts = folder.into_iter().flatten().map(|file| file.unwrap().path());
    let texts = texts.filter(|path| path.extension().is_some_and(|it| it == "eml"));
    let texts = texts.map(|path| std::fs::read_to_string(path).unwrap());
    let new = texts.filter(|text| text.contains("new for you at"));
    let to = |text: String| {
        let line = text.lines().find_map(|line| line.strip_prefix("To: ")).unwrap();
        line.trim().to_owned()
    };
    new.map(to).collect()
}

/// So many people who are told of something and want a mail of it.
async fn crowd(forum: &Forum, count: usize) -> Vec<Session> {
    let (mut people, mut called) = (Vec::new(), Vec::new());
    for n in 0..count {
        let name = format!("reader{n}");
        people.push(forum.member(&name).await);
        wants(&people[n], "daily").await;
        called.push(format!("@{name}"));
    }
    all_are_verified(forum).await;
    let thread = forum.thread(&forum.admin, "t").await;
    for (n, called) in called.chunks(20).enumerate() {
        reply(&forum.admin, &thread, &format!("{n} {}", called.join(" "))).await;
    }
    finds(&forum.database, MENTIONS, count).await;
    people
}

async fn nobody_gets_one_twice_or_not_at_all_over_kill_9(backend: Backend) {
    const PEOPLE: usize = 60;
    let mut forum = Forum::start(backend).await;
    crowd(&forum, PEOPLE).await;
    all_are_due(&forum).await;
    let due = "SELECT every FROM digests WHERE next_at = 1";
    // Each life ends after another number of them.
    for left in [50, 30, 5] {
        eventually("some are written", MAILED, async || {
            let found = forum.database.raw_sql("forum").await.texts(due, 0).await.unwrap().len();
            if found <= left { Ok(()) } else { Err(found) }
        })
        .await;
        forum.node.kill9();
        forum.node.restart().await;
    }
    none_is_due(&forum).await;
    let node = &forum.node;
    let mut to = eventually("all are mailed", MAILED * 3, async || {
        let to = files(node);
        if to.len() >= PEOPLE { Ok(to) } else { Err(to.len()) }
    })
    .await;
    to.sort_unstable();
    to.dedup();
    assert_eq!((to.len(), files(node).len()), (PEOPLE, PEOPLE));
}

/// Makes the database refuse mails, but to these.
async fn poison(backend: Backend, database: &TestDatabase, but: &[&Session]) {
    let but = but.iter().map(|but| format!("NEW.payload NOT LIKE '%{}%'", but.user_id));
    let but = but.collect::<Vec<_>>().join(" AND ");
    let refused = format!("NEW.topic = 'mail.requested' AND {but}");
    let mut sql = database.raw_sql("forum").await;
    if backend == Backend::Sqlite {
        let refuse = format!(
            "CREATE TRIGGER poison BEFORE INSERT ON outbox WHEN {refused} \
             BEGIN SELECT RAISE(ABORT, 'poison'); END"
        );
        sql.run(&refuse).await;
    } else {
        sql.run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'poison'; END $$",
        )
        .await;
        let refuse = format!(
            "CREATE TRIGGER poison BEFORE INSERT ON outbox FOR EACH ROW WHEN ({refused}) \
             EXECUTE FUNCTION refuse()"
        );
        sql.run(&refuse).await;
    }
}

async fn one_that_cant_be_written_holds_up_no_other(backend: Backend) {
    // More than are looked at together are first in line.
    const PEOPLE: usize = 26;
    let forum = Forum::start(backend).await;
    let people = crowd(&forum, PEOPLE).await;
    let last = [&people[PEOPLE - 2], &people[PEOPLE - 1]];
    poison(backend, &forum.database, &last).await;
    let mut sql = forum.database.raw_sql("forum").await;
    sql.run("UPDATE digests SET next_at = 1").await;
    none_is_due(&forum).await;
    let node = &forum.node;
    let mailed = async |count: usize| {
        let mut to = eventually("they are mailed", MAILED, async || {
            let to = files(node);
            if to.len() >= count { Ok(to) } else { Err(to.len()) }
        })
        .await;
        to.sort_unstable();
        to
    };
    let expected = last.map(|one| format!("{}@example.org", one.username));
    assert_eq!(mailed(2).await, expected);
    // What was in those that could not be written is in the next.
    let drop = match backend {
        Backend::Sqlite => "DROP TRIGGER poison",
        Backend::Postgres => "DROP TRIGGER poison ON outbox",
    };
    sql.run(drop).await;
    sql.run("UPDATE digests SET next_at = 1").await;
    let mut to = mailed(PEOPLE).await;
    to.dedup();
    assert_eq!(to.len(), PEOPLE);
}

#[tokio::test]
async fn of_several_nodes_one_mails_and_another_when_it_is_gone() {
    const PEOPLE: usize = 12;
    let builder = Cluster::builder().await.node("g", "gateway");
    let builder = builder.node("f1", "auth,forum").node("f2", "auth,forum");
    let mut cluster = builder.start().await;
    cluster.await_linked().await;
    let root = cluster.node("g").admin("root").await;
    let thread = Thread::open(&root).await.value();
    let mut called = Vec::new();
    for n in 0..PEOPLE {
        let name = format!("reader{n}");
        wants(&Session::register(&cluster.client("g"), &name).await, "daily").await;
        called.push(format!("@{name}"));
    }
    let mut auth = cluster.database().raw_sql("auth").await;
    auth.run("UPDATE users SET email_verified_at = 1").await;
    let mut sql = cluster.database().raw_sql("forum").await;
    are_known(cluster.database(), "reader%", PEOPLE).await;
    let mut round = 0;
    for gone in [None, Some("f1")] {
        if let Some(gone) = gone {
            cluster.node_mut(gone).kill9();
        }
        round += 1;
        reply(&root, &thread, &format!("{round} {}", called.join(" "))).await;
        finds(cluster.database(), MENTIONS, PEOPLE * round).await;
        sql.run("UPDATE digests SET next_at = 1").await;
        // A mail is written by whichever node claims it.
        let cluster = &cluster;
        let mailed = async || ["f1", "f2"].map(|node| files(cluster.node(node))).concat();
        let to = eventually("all are mailed", MAILED * 3, async || {
            let to = mailed().await;
            if to.len() >= PEOPLE * round { Ok(to) } else { Err(to.len()) }
        })
        .await;
        for n in 0..PEOPLE {
            let address = format!("reader{n}@example.org");
            assert_eq!(to.iter().filter(|to| **to == address).count(), round, "{to:?}");
        }
    }
}
