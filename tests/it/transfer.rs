//! Taking a forum from one place to another.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use panel_harness::{Backend, PASSWORD, Session, eventually, on_both_databases};
use serde_json::{Value, json};

use crate::forum::{Forum, THREADS, id, posts};

on_both_databases!(
    all_of_it_goes_into_a_file_and_another_forum,
    an_export_goes_on_where_it_was_cut_off,
    an_import_goes_on_where_it_was_cut_off,
    what_can_not_be_taken_in_is_named,
    the_original_applications_tables_are_taken_in,
);

fn said(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it).into_owned());
    text.concat()
}

async fn succeeds(forum: &Forum, arguments: &[&str]) -> String {
    let output = forum.node.cli(arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

async fn import(forum: &Forum, file: &Path) -> String {
    succeeds(forum, &["forum", "import", file.to_str().unwrap()]).await
}

async fn export(forum: &Forum, file: &Path) -> String {
    succeeds(forum, &["forum", "export", file.to_str().unwrap()]).await
}

/// A page, whole, by who sees everything.
async fn all(by: &Session, path: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let mark = if path.contains('?') { '&' } else { '?' };
        let page = by.get(&format!("{path}{mark}limit=100{cursor}")).await.expect(200).json();
        found.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// Everything there is to be seen of a forum by its administrator, but what is its own: who they are there, and
/// numbers of versions.
async fn picture(forum: &Forum) -> Value {
    let by = &forum.admin;
    let mut threads = all(by, &format!("{THREADS}?sort=created")).await;
    let mut pictures = Vec::new();
    for thread in &mut threads {
        let mut texts = all(by, &posts(thread)).await;
        for post in &mut texts {
            let one = format!("/api/v2/forum/posts/{}", id(post));
            let reactions = all(by, &format!("{one}/reactions")).await;
            let mut names: Vec<Value> = reactions
                .iter()
                .map(|it| json!([it["name"], it["user"]["name"], it["created_at"]]))
                .collect();
            names.sort_by_key(Value::to_string);
            let revisions = by.get(&format!("{one}/revisions")).await;
            let revisions = if revisions.status == 200 {
                revisions.json()["items"].clone()
            } else {
                Value::Null
            };
            let revisions: Vec<Value> = revisions
                .as_array()
                .into_iter()
                .flatten()
                .map(|it| json!([it["number"], it["editor"]["name"], it["created_at"]]))
                .collect();
            for own in ["version", "my_reactions", "deleted_by"] {
                post.as_object_mut().unwrap().remove(own);
            }
            pictures.push(json!([names, revisions]));
        }
        for own in ["version", "view_count", "watching", "last_read"] {
            thread.as_object_mut().unwrap().remove(own);
        }
        pictures.push(json!([thread, texts]));
    }
    let categories = by.get("/api/v2/forum/categories").await.expect(200).json();
    json!([categories["items"], pictures])
}

/// A forum with everything in it that there is.
async fn full(forum: &Forum) -> Value {
    let (admin, ada, bob) = (&forum.admin, forum.member("ada").await, forum.member("bob").await);
    let below = json!({"name": "Below", "parent_id": forum.category, "description": "d"});
    let below = admin.post("/api/v2/forum/categories").json(&below).await.expect(201).json();
    let staff = json!({"name": "Staff", "read_role": "moderator", "post_role": "moderator"});
    let staff = admin.post("/api/v2/forum/categories").json(&staff).await.expect(201).json();
    let tagged = json!({"category_id": below["id"], "title": "Tagged \u{1f600}", "body": "**first**",
                        "tags": ["rust", "東京"]});
    let thread = ada.post(THREADS).json(&tagged).await.expect(201).json();
    let of_staff = json!({"category_id": staff["id"], "title": "Secret", "body": "s"});
    admin.post(THREADS).json(&of_staff).await.expect(201);
    let reply = async |by: &Session, body: Value| {
        by.post(&posts(&thread)).json(&body).await.expect(201).json()
    };
    let one = reply(&bob, json!({"body": "Straße eins"})).await;
    let two = reply(&ada, json!({"body": "two", "reply_to": one["id"], "quote": one["id"]})).await;
    let three = reply(&bob, json!({"body": "three", "reply_to": two["id"]})).await;
    let four = reply(&bob, json!({"body": "four"})).await;
    let post = |post: &Value| format!("/api/v2/forum/posts/{}", id(post));
    for body in ["two!", "two!!"] {
        ada.patch(&post(&two)).json(&json!({"body": body})).await.expect(200);
    }
    ada.put(&format!("{}/reactions/like", post(&one))).await.expect(200);
    admin.put(&format!("{}/reactions/like", post(&one))).await.expect(200);
    bob.put(&format!("{}/reactions/love", post(&two))).await.expect(200);
    bob.delete(&post(&four)).await.expect(204);
    // Posts that refer to what comes after them: one that is somewhere else now, and a thread that is gone.
    let split = json!({"post_ids": [three["id"]], "title": "Three alone"});
    admin.post(&format!("{THREADS}/{}/split", id(&thread))).json(&split).await.expect(201);
    let merged = forum.thread(&ada, "Merged").await;
    let into = forum.thread(&bob, "Into").await;
    let merge = json!({"into": into["id"]});
    admin.post(&format!("{THREADS}/{}/merge", id(&merged))).json(&merge).await.expect(200);
    admin.post(&format!("{THREADS}/{}/pin", id(&into))).await.expect(200);
    admin.post(&format!("{THREADS}/{}/lock", id(&thread))).await.expect(200);
    let gone = forum.thread(&ada, "Deleted").await;
    ada.delete(&format!("{THREADS}/{}", id(&gone))).await.expect(204);
    json!([thread, merged, into])
}

async fn all_of_it_goes_into_a_file_and_another_forum(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let (file, later) = (folder.path().join("f.jsonl"), folder.path().join("later.jsonl"));
    let from = Forum::start(backend).await;
    let made = full(&from).await;
    assert!(export(&from, &file).await.contains("lines"));
    let refused = from.node.cli(&["forum", "export", file.to_str().unwrap()]).await;
    assert!(!refused.status.success() && said(&refused).contains("already"), "{}", said(&refused));
    // Into its own forum: all is there.
    let before = picture(&from).await;
    let told = import(&from, &file).await;
    assert!(
        told.contains(
            "new: 0 categories, 0 threads, 0 posts, 0 earlier texts, 0 reactions, by 0 people"
        ),
        "{told}"
    );
    assert_eq!(picture(&from).await, before);
    // Into another one, on the other database.
    let other = match backend {
        Backend::Sqlite => Backend::Postgres,
        Backend::Postgres => Backend::Sqlite,
    };
    let to = Forum::start(other).await;
    let own = forum_of_its_own(&to).await;
    let told = import(&to, &file).await;
    assert!(told.contains("3 categories"), "{told}");
    let taken = picture(&to).await;
    // What was there is there, and everything that has come is as it was: also its addresses.
    let was = |picture: &Value| picture.to_string().replace("general-2", "general");
    for piece in before[1].as_array().unwrap() {
        let piece = piece.to_string();
        assert!(was(&taken).contains(&piece), "{piece} is not in {taken}");
    }
    assert_eq!(taken[0].as_array().unwrap().len(), before[0].as_array().unwrap().len() + 1);
    let [thread, merged, into] = [0, 1, 2].map(|at| made[at]["id"].as_str().unwrap().to_owned());
    let client = to.node.client();
    let moved = client.get(&format!("{THREADS}/{merged}")).await;
    assert_eq!(
        (moved.status.as_u16(), moved.header("location").unwrap().ends_with(&into)),
        (308, true)
    );
    let found = client.get("/api/v2/forum/search?q=strasse").await.expect(200).json();
    assert_eq!(found["items"][0]["thread_id"], thread.as_str());
    let tagged = client.get(&format!("{THREADS}?tag=rust")).await.expect(200).json();
    assert_eq!(tagged["items"][0]["id"], thread.as_str());
    // A second time it is all there; what has been written since comes.
    assert!(import(&to, &file).await.contains("new: 0 categories, 0 threads, 0 posts"));
    assert_eq!(picture(&to).await, taken);
    let thread = json!({"id": into});
    let more = json!({"body": "later"});
    let more = from.admin.post(&posts(&thread)).json(&more).await.expect(201).json();
    to.admin.post(&posts(&thread)).json(&json!({"body": "here"})).await.expect(201);
    export(&from, &later).await;
    assert!(import(&to, &later).await.contains("new: 0 categories, 0 threads, 1 posts"));
    let texts = all(&to.admin, &posts(&thread)).await;
    let last: Vec<&Value> = texts.iter().rev().take(2).map(|post| &post["body"]).collect();
    assert_eq!(last, ["later", "here"], "behind what was written here");
    assert_eq!(texts.last().unwrap()["id"], more["id"]);
    assert_eq!(
        to.admin.get(&format!("{THREADS}/{}", id(&own))).await.expect(200).json()["title"],
        "Own"
    );
    // Somebody goes on where it was taken to.
    to.admin.post(&posts(&thread)).json(&json!({"body": "on"})).await.expect(201);
    let audit = eventually("the administration hears of it", Duration::from_secs(10), async || {
        let mut sql = to.database.raw_sql("admin").await;
        let found = sql.texts("SELECT record FROM audit WHERE action = 'forum.import'", 0).await;
        let found = found.unwrap();
        if found.len() == 3 { Ok(found) } else { Err(found) }
    });
    assert!(audit.await[0].contains("service:forum"));
}

async fn forum_of_its_own(forum: &Forum) -> Value {
    let eve = forum.member("eve").await;
    forum.thread(&eve, "Own").await
}

/// A file with so many posts in a thread.
fn many(count: usize) -> String {
    let at = "2020-01-02T03:04:05Z";
    let mut lines = vec![
        json!({"type": "forum", "version": 1, "source": "elsewhere", "exported_at": at}),
        json!({"type": "category", "id": "c", "name": "C", "created_at": at}),
        json!({"type": "author", "id": "a", "name": "Ada"}),
        json!({"type": "thread", "id": "t", "category_id": "c", "author_id": "a", "title": "T",
               "created_at": at}),
    ];
    for n in 0..count {
        lines.push(json!({"type": "post", "id": n.to_string(), "thread_id": "t", "author_id": "a",
                          "body": format!("post {n}"), "created_at": at}));
    }
    lines.push(json!({"type": "end", "records": lines.len()}));
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").unwrap();
        text
    })
}

async fn an_import_goes_on_where_it_was_cut_off(backend: Backend) {
    const POSTS: usize = 3_000;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.jsonl");
    std::fs::write(&file, many(POSTS)).unwrap();
    let forum = Forum::start(backend).await;
    let arguments = ["forum", "import", file.to_str().unwrap()];
    let mut cut = 0;
    let told = loop {
        // Each time a little later, so that it comes to its end.
        let after = Duration::from_millis(700 + 150 * cut);
        match forum.node.cli_cut_off(&arguments, after).await {
            Some(output) => break said(&output),
            None => cut += 1,
        }
    };
    assert!(cut > 0, "it was never cut off: {told}");
    let threads = all(&forum.admin, THREADS).await;
    assert_eq!((threads.len(), threads[0]["reply_count"].as_u64()), (1, Some(POSTS as u64 - 1)));
    let texts = all(&forum.admin, &posts(&threads[0])).await;
    for (n, post) in texts.iter().enumerate() {
        assert_eq!((&post["number"], &post["body"]), (&json!(n + 1), &json!(format!("post {n}"))));
    }
    assert_eq!(texts.len(), POSTS);
}

async fn an_export_goes_on_where_it_was_cut_off(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.jsonl");
    let forum = Forum::start(backend).await;
    full(&forum).await;
    export(&forum, &whole).await;
    let text = std::fs::read_to_string(&whole).unwrap();
    let lines = |text: &str| -> Vec<String> {
        let line = |line: &str| {
            let mut line: Value = serde_json::from_str(line).unwrap();
            line.as_object_mut().unwrap().remove("exported_at");
            line.to_string()
        };
        text.lines().map(line).collect()
    };
    // One at a time.
    let busy = folder.path().join("busy.jsonl");
    let other = std::fs::File::create(folder.path().join("busy.jsonl.partial")).unwrap();
    other.lock().unwrap();
    let refused = forum.node.cli(&["forum", "export", busy.to_str().unwrap()]).await;
    assert!(said(&refused).contains("another export writes"), "{}", said(&refused));
    drop(other);
    export(&forum, &busy).await;
    for (n, share) in [0, 1, 25, 50, 60, 75, 90, 99].into_iter().enumerate() {
        let file = folder.path().join(format!("{n}.jsonl"));
        let mut cut = text.len() * share / 100;
        while !text.is_char_boundary(cut) {
            cut += 1;
        }
        std::fs::write(folder.path().join(format!("{n}.jsonl.partial")), &text[..cut]).unwrap();
        let told = export(&forum, &file).await;
        assert_eq!(told.contains("from an earlier attempt"), share >= 25, "{share}: {told}");
        let again = std::fs::read_to_string(&file).unwrap();
        assert_eq!(lines(&again), lines(&text), "{share}");
    }
}

async fn what_can_not_be_taken_in_is_named(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.jsonl");
    let forum = Forum::start(backend).await;
    let good = many(2);
    let good: Vec<&str> = good.lines().collect();
    let path = file.to_str().unwrap().to_owned();
    let at = "2020-01-02T03:04:05Z";
    let post = |fields: Value| {
        let mut post = json!({"type": "post", "id": "x", "thread_id": "t", "author_id": "a",
                              "body": "b", "created_at": at});
        post.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        post.to_string()
    };
    let long = post(json!({"body": "x".repeat(32_001)}));
    for (bad, why) in [
        ("{".to_owned(), "EOF"),
        ("[]".to_owned(), "missing field `type`"),
        ("{\"type\":\"poem\u{0}\"}".to_owned(), "control character"),
        (json!({"type": "poem"}).to_string(), "poem"),
        (post(json!({"thread_id": "nowhere"})), "there is no thread \"nowhere\" before it"),
        (post(json!({"author_id": "nobody"})), "there is no author \"nobody\" before it"),
        (post(json!({"reply_to": "later"})), "there is no post \"later\" before it"),
        (post(json!({"body": " "})), "body must not be empty"),
        (long, "body must"),
        (post(json!({"id": ""})), "1 to 200 bytes"),
        (post(json!({"created_at": "yesterday"})), "could not be parsed"),
        (post(json!({"colour": "red"})), "colour"),
    ] {
        // The ones before it are good.
        let lines = [&good[..5], &[bad.as_str()], &good[5..]].concat();
        std::fs::write(&file, lines.join("\n")).unwrap();
        let output = forum.node.cli(&["forum", "import", &path]).await;
        let text = said(&output);
        assert!(
            !output.status.success() && text.contains("line 6: ") && text.contains(why),
            "{why}: {text}"
        );
        let skipped = forum.node.cli(&["forum", "import", "--skip", &path]).await;
        let text = said(&skipped);
        assert!(!skipped.status.success() && text.contains("left out, line 6: "), "{text}");
    }
    let threads = all(&forum.admin, THREADS).await;
    let texts = all(&forum.admin, &posts(&threads[0])).await;
    assert_eq!((threads.len(), texts.len()), (1, 2), "the good ones, once");
    for (lines, why) in [
        (vec![], "the file ends before its last line"),
        (good[..4].to_vec(), "the file ends before its last line"),
        (good[1..].to_vec(), "the first line must say what the file is"),
        ([&good[..3], &good[4..]].concat(), "before it"),
        ([&good[..], &good[2..3]].concat(), "it comes after the last line"),
        (
            vec![
                "{\"type\":\"forum\",\"version\":9,\"source\":\"x\",\"exported_at\":\"2020-01-02T03:04:05Z\"}",
            ],
            "it is of form 9",
        ),
    ] {
        std::fs::write(&file, lines.join("\n")).unwrap();
        let output = forum.node.cli(&["forum", "import", &path]).await;
        let text = said(&output);
        assert!(!output.status.success() && text.contains(why), "{why}: {text}");
    }
    // What comes before a line without an end is stored.
    let endless = format!(
        "{}\n{}",
        many(2).replace("elsewhere", "x").lines().take(5).collect::<Vec<_>>().join("\n"),
        "x".repeat(5_000_000)
    );
    std::fs::write(&file, endless).unwrap();
    let text = said(&forum.node.cli(&["forum", "import", &path]).await);
    assert!(text.contains("line 6: it is too long"), "{text}");
    assert_eq!(all(&forum.admin, THREADS).await.len(), 2);
    for (arguments, why) in [
        (vec!["forum", "import"], "required"),
        (vec!["forum", "import", "/nowhere/f.jsonl"], "/nowhere/f.jsonl"),
        (vec!["forum", "import", "--original", "/nowhere"], "/nowhere/user.csv"),
        (vec!["forum", "export", "/nowhere/f.jsonl"], "No such file"),
    ] {
        let output = forum.node.cli(&arguments).await;
        let text = said(&output);
        assert!(!output.status.success() && text.contains(why), "{arguments:?}: {text}");
    }
}

async fn the_original_applications_tables_are_taken_in(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "user.csv",
        "id,first_name,last_name,email,dob,password_hash,is_active,role,bio\n\
         1,Ada,Lovelace,ada@example.org,1815-12-10,scrypt:32768,1,moderator,\n\
         2,Bob,\"<b>Builder\",bob@elsewhere.example,,x,t,user,\"a, b\"\n\
         3,Cleo,,not an address,,x,1,user,\n\
         4,Ada,Lovelace,another@example.org,,x,f,,\n\
         5,Dan,,dan@example.org,,x,1,user,\n",
    );
    let long = "A very long title ".repeat(14);
    let threads = format!(
        "id,title,author_id,is_pinned,is_locked,created_at\n\
         1,Hello,1,1,0,2023-04-05 06:07:08\n\
         2,{long},2,0,True,2023-04-06 06:07:08.123456\n\
         3,<script>alert(1)</script>,9,0,0,2023-04-07T06:07:08Z\n"
    );
    write("forum_thread.csv", &threads);
    write(
        "forum_post.csv",
        "id,thread_id,author_id,content,created_at\n\
         1,1,1,\"First,\nwith <script>alert(1)</script> [x](javascript:alert(1))\",2023-04-05 06:07:08\n\
         2,2,2,Second,2023-04-06 06:07:08\n\
         3,1,3,Third,2023-04-08 06:07:08+02\n\
         4,1,2,Fourth,2023-04-09 06:07:08\n\
         5,2,5,Fifth,2023-04-10 06:07:08\n",
    );
    let forum = Forum::start(backend).await;
    let ada = forum.member("ada").await;
    let mut auth = forum.database.raw_sql("auth").await;
    auth.run("UPDATE users SET email_verified_at = 1 WHERE username = 'ada'").await;
    // Somebody else has taken Dan's address, which nobody has confirmed.
    let squatter =
        json!({"username": "squatter", "email": "dan@example.org", "password": PASSWORD});
    forum.node.client().post("/api/v2/auth/register").json(&squatter).await.expect(201);
    let original = folder.path().to_str().unwrap().to_owned();
    let import = ["forum", "import", "--original", &original, "--category", "Old"];
    let told = succeeds(&forum, &import).await;
    for piece in [
        "no account for user 3: email is not a mail address",
        "no account for user 5: email belongs to an account that has not shown that it is its own",
        "not taken over, for somebody to decide: ada: moderator",
        "new: 1 categories, 3 threads, 6 posts",
    ] {
        assert!(told.contains(piece), "{piece}: {told}");
    }
    // What auth tells of a name counts for more than what a table says.
    let threads = eventually("the forum knows her name", Duration::from_secs(10), async || {
        let threads = all(&forum.admin, &format!("{THREADS}?sort=created")).await;
        if threads[2]["author"]["name"] == "ada" { Ok(threads) } else { Err(threads) }
    })
    .await;
    let titles: Vec<&str> = threads.iter().rev().map(|it| it["title"].as_str().unwrap()).collect();
    assert_eq!((titles[0], titles[2]), ("Hello", "<script>alert(1)</script>"));
    assert!(titles[1].starts_with("A very long title") && titles[1].ends_with('\u{2026}'));
    let [script, long_one, hello] = &threads[..] else { panic!("{threads:?}") };
    assert_eq!(hello["author"], json!({"id": ada.user_id, "name": "ada"}), "by her address");
    assert_eq!((&hello["pinned"], &hello["reply_count"]), (&json!(true), &json!(2)));
    assert_eq!(hello["last_post_at"], "2023-04-09T06:07:08.000000Z");
    assert_eq!(
        (&long_one["locked"], &script["author"]["name"]),
        (&json!(true), &json!("deleted user"))
    );
    let texts = all(&forum.admin, &posts(hello)).await;
    let names: Vec<&Value> = texts.iter().map(|post| &post["author"]["name"]).collect();
    assert_eq!(names, ["ada", "Cleo", "Bob <b>Builder"]);
    let html = texts[0]["body_html"].as_str().unwrap();
    assert!(!html.contains("<script") && !html.contains("javascript:"), "{html}");
    let cut = all(&forum.admin, &posts(long_one)).await;
    assert_eq!(cut[1]["author"]["name"], "Dan", "and not who has taken his address");
    assert!(cut[0]["body"].as_str().unwrap().starts_with(long.trim()), "the whole title is there");
    // Those who had accounts have accounts, and choose a password by a mail.
    let users = eventually("the administration knows them", Duration::from_secs(10), async || {
        let users = all(&forum.admin, "/api/v2/admin/users").await;
        if users.len() == 5 { Ok(users) } else { Err(users.len()) }
    })
    .await;
    let user = |email: &str| users.iter().find(|user| user["email"] == email).unwrap();
    assert_eq!(user("bob@elsewhere.example")["role"], "user");
    assert_eq!(user("another@example.org")["status"], "suspended");
    let forgot = json!({"email": "bob@elsewhere.example"});
    forum.node.client().post("/api/v2/auth/password/forgot").json(&forgot).await.expect(202);
    // A second time, nothing is new.
    let told = succeeds(&forum, &import).await;
    assert!(told.contains("new: 0 categories, 0 threads, 0 posts"), "{told}");
    assert_eq!(all(&forum.admin, "/api/v2/admin/users").await.len(), 5);
}
