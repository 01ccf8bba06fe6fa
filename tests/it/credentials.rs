//! API keys and the cookies of browsers: on both databases, and on several nodes.

use std::time::Duration;

use http::Method;
use panel_harness::http::{Answer, Client, RequestBuilder};
use panel_harness::session::{PASSWORD, email};
use panel_harness::{Backend, Cluster, Node, Session, TestDatabase, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(
    a_key_acts_for_its_account_within_its_scopes,
    a_key_is_shown_once_and_ended_everywhere_at_once,
    keys_that_are_asked_for_are_checked,
    a_key_takes_somebody_who_has_just_shown_who_they_are,
    a_browser_is_signed_in_by_a_cookie,
    what_a_cookie_changes_takes_the_token_of_its_session,
    a_cookie_that_is_good_for_nothing_is_taken_away,
    a_cookie_lasts_as_long_as_it_is_used,
);

const KEYS: &str = "/api/v2/auth/api-keys";
const ME: &str = "/api/v2/auth/me";
const LOGIN: &str = "/api/v2/auth/login";
const COOKIE: &str = "panel_session";

async fn node(backend: Backend) -> (Node, TestDatabase) {
    let database = backend.database().await;
    (Node::builder().database(&database).start().await, database)
}

async fn key(session: &Session, scopes: &[&str]) -> Value {
    let asked = json!({"name": "robot", "scopes": scopes});
    session.post(KEYS).json(&asked).await.expect(201).json()
}

fn with_key(client: &Client, method: Method, path: &str, key: &Value) -> RequestBuilder {
    client.request(method, path).header("x-api-key", key["key"].as_str().unwrap())
}

/// A browser: it keeps one cookie, and the token it was told.
struct Browser {
    client: Client,
    cookie: Option<String>,
    token: String,
}

impl Browser {
    async fn sign_in(client: &Client, login: &str) -> Self {
        let credentials = json!({"login": login, "password": PASSWORD, "cookie": true});
        let answer = client.post(LOGIN).header("sec-fetch-site", "same-origin").json(&credentials);
        let answer = answer.await.expect(200);
        let body = answer.json();
        for secret in ["access_token", "refresh_token"] {
            assert!(body[secret].is_null(), "{body}");
        }
        let mut browser = Self { client: client.clone(), cookie: None, token: String::new() };
        browser.keep(&answer);
        body["csrf_token"].as_str().unwrap().clone_into(&mut browser.token);
        browser
    }

    /// Does what `Set-Cookie` says.
    fn keep(&mut self, answer: &Answer) {
        let Some(set) = answer.header("set-cookie") else { return };
        let (pair, attributes) = set.split_once(';').unwrap();
        let value = pair.strip_prefix("panel_session=").unwrap();
        assert!(attributes.contains("HttpOnly") && attributes.contains("SameSite=Lax"), "{set}");
        self.cookie = (!attributes.contains("Max-Age=0")).then(|| value.to_owned());
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// With the cookie, and nothing that only a page would know.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, path);
        match &self.cookie {
            Some(cookie) => request.header("cookie", &format!("theme=dark; {COOKIE}={cookie}")),
            None => request,
        }
    }

    /// As a page of ours does it.
    fn post(&self, path: &str) -> RequestBuilder {
        let post = self.request(Method::POST, path);
        post.header("x-csrf-token", &self.token).header("sec-fetch-site", "same-origin")
    }
}

async fn a_key_acts_for_its_account_within_its_scopes(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    let admin = node.admin("root").await;
    let news = json!({"name": "News"});
    let category = admin.post("/api/v2/forum/categories").json(&news).await.expect(201).json();
    let ada = Session::register(&client, "ada").await;
    let thread = json!({"category_id": category["id"], "title": "By a robot", "body": "Beep."});
    let threads = "/api/v2/forum/threads";
    let writer = key(&ada, &["forum:write"]).await;
    let post = with_key(&client, Method::POST, threads, &writer).json(&thread);
    let made = post.await.expect(201).json();
    assert_eq!(made["author"]["id"], ada.user_id.as_str());
    // Writing is not reading, one service is not another, and a read that is for everybody is not
    // for a key that may not read.
    for (method, path, key) in [
        (Method::GET, threads, &writer),
        (Method::GET, ME, &writer),
        (Method::POST, threads, &key(&ada, &["forum:read"]).await),
        (Method::GET, threads, &key(&ada, &["auth:read"]).await),
    ] {
        let asked = with_key(&client, method.clone(), path, key);
        let asked = if method == Method::GET { asked } else { asked.json(&thread) };
        let refused = asked.await.refused(403, "forbidden");
        assert_eq!(refused.code.as_deref(), Some("scope_required"), "{path}");
    }
    let reader = key(&ada, &["auth:read", "auth:write", "forum:read"]).await;
    let me = with_key(&client, Method::GET, ME, &reader).await.expect(200).json();
    assert_eq!(me["username"], "ada");
    with_key(&client, Method::GET, threads, &reader).await.expect(200);
    // Its rank is its owner's.
    let categories = "/api/v2/forum/categories";
    let any = key(&ada, &["forum:write"]).await;
    let made = with_key(&client, Method::POST, categories, &any).json(&json!({"name": "Mine"}));
    made.await.refused(403, "forbidden");
    let staff = key(&admin, &["forum:write"]).await;
    let made = with_key(&client, Method::POST, categories, &staff).json(&json!({"name": "Ours"}));
    made.await.expect(201);
    // What a key may never do, whatever its scopes.
    for path in [KEYS, "/api/v2/auth/password/change", "/api/v2/auth/logout-all"] {
        let sent = with_key(&client, Method::POST, path, &reader).json(&json!({}));
        sent.await.refused(403, "forbidden");
    }
}

async fn a_key_is_shown_once_and_ended_everywhere_at_once(backend: Backend) {
    let (node, database) = node(backend).await;
    let client = node.client();
    let (ada, bob) =
        (Session::register(&client, "ada").await, Session::register(&client, "bob").await);
    let (first, second) = (key(&ada, &["auth:read"]).await, key(&ada, &["auth:read"]).await);
    let listed = ada.get(KEYS).await.expect(200);
    let text = listed.text();
    for key in [&first, &second] {
        let secret = key["key"].as_str().unwrap();
        assert!(!text.contains(secret));
        assert!(secret.starts_with(key["prefix"].as_str().unwrap()));
    }
    let listed = listed.json();
    assert_eq!(listed["items"][1]["id"], first["id"]);
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    let kept = database.raw_sql("auth").await.texts("SELECT prefix FROM api_keys", 0).await;
    assert!(kept.unwrap().iter().all(|prefix| prefix.len() == 12));
    assert_eq!(bob.get(KEYS).await.expect(200).json()["items"], json!([]));
    for key in [&first, &second] {
        with_key(&client, Method::GET, ME, key).await.expect(200);
    }
    eventually("its use is noted", Duration::from_secs(5), || async {
        !ada.get(KEYS).await.expect(200).json()["items"][1]["last_used_at"].is_null()
    })
    .await;
    let one = format!("{KEYS}/{}", first["id"].as_str().unwrap());
    bob.delete(&one).await.refused(404, "not_found");
    ada.delete(&one).await.expect(204);
    ada.delete(&one).await.refused(404, "not_found");
    eventually("it is refused", Duration::from_secs(1), || async {
        with_key(&client, Method::GET, ME, &first).await.status == 401
    })
    .await;
    with_key(&client, Method::GET, ME, &second).await.expect(200);
    // What the account is now is what its keys act for.
    ada.patch("/api/v2/auth/profile").json(&json!({"display_name": "Ada L."})).await.expect(200);
    let me = with_key(&client, Method::GET, ME, &second).await.expect(200).json();
    assert_eq!(me["display_name"], "Ada L.");
}

async fn keys_that_are_asked_for_are_checked(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    let ada = Session::register(&client, "ada").await;
    for (asked, field) in [
        (json!({"name": "", "scopes": ["forum:read"]}), "name"),
        (json!({"name": "x", "scopes": []}), "scopes"),
        (json!({"name": "x", "scopes": ["forum:admin"]}), "scopes"),
        (json!({"name": "x", "scopes": ["mail:read"]}), "scopes"),
        (json!({"name": "x", "scopes": ["*"]}), "scopes"),
        (
            json!({"name": "x", "scopes": ["cms:read"], "expires_at": "2020-01-01T00:00:00Z"}),
            "expires_at",
        ),
        (json!({"name": "x", "scopes": ["cms:read"], "expires_at": "soon"}), "expires_at"),
        (json!({"name": "x", "scopes": ["cms:read"], "user": "y"}), "user"),
    ] {
        let refused = ada.post(KEYS).json(&asked).await.refused(422, "validation");
        assert_eq!(refused.fields()[0].0, field, "{asked}");
    }
    // What is none is refused, whatever it looks like.
    let long = "x".repeat(20_000);
    let unknown = format!("panel_{}", "A".repeat(43));
    for bad in ["", "panel_", "x", &unknown, &long, &ada.access_token, "panel_\u{e9}"] {
        client.get(ME).header("x-api-key", bad).await.refused(401, "unauthorized");
        client
            .get("/api/v2/forum/threads")
            .header("x-api-key", bad)
            .await
            .refused(401, "unauthorized");
    }
    let both = ada.get(ME).header("x-api-key", &unknown).await;
    both.refused(400, "bad_request");
    // A key in a URL is not looked at.
    let good = key(&ada, &["auth:read"]).await;
    let url = format!("{ME}?api_key={}", good["key"].as_str().unwrap());
    client.get(&url).await.refused(401, "unauthorized");
}

async fn a_key_takes_somebody_who_has_just_shown_who_they_are(backend: Backend) {
    let (node, database) = node(backend).await;
    let ada = Session::register(&node.client(), "ada").await;
    let mut sql = database.raw_sql("auth").await;
    sql.run("UPDATE sessions SET authenticated_at = authenticated_at - 300000000").await;
    let asked = json!({"name": "robot", "scopes": ["forum:read"]});
    let refused = ada.post(KEYS).json(&asked).await.refused(403, "forbidden");
    assert_eq!(refused.code.as_deref(), Some("reauthentication_required"));
    let show = "/api/v2/auth/reauthenticate";
    let wrong = ada.post(show).json(&json!({"password": "not it, not at all"})).await;
    assert_eq!(wrong.refused(422, "validation").fields(), [("password", "wrong")]);
    ada.post(show).json(&json!({"password": PASSWORD})).await.expect(204);
    ada.post(KEYS).json(&asked).await.expect(201);
}

async fn a_browser_is_signed_in_by_a_cookie(backend: Backend) {
    let (node, database) = node(backend).await;
    let client = node.client();
    Session::register(&client, "ada").await;
    let mut browser = Browser::sign_in(&client, "ada").await;
    let me = browser.get(ME).await.expect(200).json();
    assert_eq!(me["username"], "ada");
    let session = browser.get("/api/v2/auth/session").await.expect(200).json();
    assert_eq!(session["csrf_token"], browser.token.as_str());
    assert_eq!(session["user"]["username"], "ada");
    let first = browser.cookie.clone().unwrap();
    let kept = database.raw_sql("auth").await.texts("SELECT ip FROM sessions", 0).await.unwrap();
    assert_eq!(kept.len(), 2);
    // Signing in again is another session, with another cookie.
    let again = Browser::sign_in(&client, "ada").await;
    assert_ne!(again.cookie.as_ref(), Some(&first));
    assert_ne!(again.token, browser.token);
    browser.keep(&browser.post("/api/v2/auth/logout").await.expect(204));
    assert_eq!(browser.cookie, None);
    eventually("the old cookie is refused", Duration::from_secs(1), || async {
        let old = client.get(ME).header("cookie", &format!("{COOKIE}={first}"));
        old.await.status == 401
    })
    .await;
    again.get(ME).await.expect(200);
    // An answer that is given again is given with its cookie.
    let credentials = json!({"login": "ada", "password": PASSWORD, "cookie": true});
    let login = || client.post(LOGIN).idempotency_key("once").json(&credentials);
    let (one, two) = (login().await.expect(200), login().await.expect(200));
    assert_eq!(one.header("set-cookie"), two.header("set-cookie"));
    assert!(one.header("set-cookie").is_some());
    let stored = database.raw_sql("auth").await.texts("SELECT headers FROM idempotency", 0).await;
    let stored = stored.unwrap();
    // What is sealed has none; of the cookie that was taken away at the end, there is nothing to keep.
    assert!(stored.iter().filter(|headers| headers.is_empty()).count() >= 4, "{stored:?}");
    let kept = |headers: &&String| headers.contains(COOKIE) && !headers.contains("Max-Age=0");
    assert_eq!(stored.iter().find(kept), None);
}

async fn what_a_cookie_changes_takes_the_token_of_its_session(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    Session::register(&client, "ada").await;
    Session::register(&client, "bob").await;
    let (ada, bob) =
        (Browser::sign_in(&client, "ada").await, Browser::sign_in(&client, "bob").await);
    let profile = "/api/v2/auth/profile";
    let change = json!({"display_name": "Changed"});
    let patch = || ada.request(Method::PATCH, profile);
    for token in [None, Some(""), Some("nonsense"), Some(bob.token.as_str())] {
        let sent = match token {
            None => patch(),
            Some(token) => patch().header("x-csrf-token", token),
        };
        let refused = sent.json(&change).await.refused(403, "forbidden");
        assert_eq!(refused.code.as_deref(), Some("csrf_token_required"), "{token:?}");
    }
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let sent = patch().header("x-csrf-token", &ada.token).header(name, value).json(&change);
        let refused = sent.await.refused(403, "forbidden");
        assert_eq!(refused.code.as_deref(), Some("cross_site"), "{name}: {value}");
        // Nor may another site's page sign somebody in, or make accounts.
        let credentials = json!({"login": "bob", "password": PASSWORD, "cookie": true});
        let sent = client.post(LOGIN).header(name, value).json(&credentials);
        let refused = sent.await.refused(403, "forbidden");
        assert_eq!(refused.code.as_deref(), Some("cross_site"), "{name}: {value}");
    }
    assert_eq!(ada.get(profile).await.expect(200).json()["display_name"], "ada");
    patch().header("x-csrf-token", &ada.token).json(&change).await.expect(200);
    // Whoever is signed in can sign in as somebody else: that needs nobody.
    let credentials = json!({"login": "bob", "password": PASSWORD, "cookie": true});
    let sent = ada.request(Method::POST, LOGIN).json(&credentials).await.expect(200).json();
    assert_eq!(sent["user"]["username"], "bob");
    let taken = json!({"username": "ada", "email": email("x"), "password": PASSWORD});
    let sent = ada.request(Method::POST, "/api/v2/auth/register").json(&taken).await;
    sent.refused(409, "conflict");
    // A token that is shown beside a cookie is what counts.
    let session = Session::login(&client, "bob", PASSWORD).await;
    let both = ada.request(Method::PATCH, profile).bearer(&session.access_token).json(&change);
    assert_eq!(both.await.expect(200).json()["username"], "bob");
}

async fn a_cookie_that_is_good_for_nothing_is_taken_away(backend: Backend) {
    let (node, _database) = node(backend).await;
    let client = node.client();
    Session::register(&client, "ada").await;
    let browser = Browser::sign_in(&client, "ada").await;
    let unknown = "A".repeat(43);
    let twice = format!("{0}; {COOKIE}={0}", browser.cookie.as_ref().unwrap());
    for bad in ["", "x", &unknown, &twice] {
        let with = |path: &str| client.get(path).header("cookie", &format!("{COOKIE}={bad}"));
        // It asks as nobody, who may read.
        let read = with("/api/v2/forum/threads").await.expect(200);
        assert!(read.header("set-cookie").unwrap().contains("Max-Age=0"), "{bad}");
        let refused = with(ME).await;
        refused.refused(401, "unauthorized");
        assert!(refused.header("set-cookie").unwrap().contains("Max-Age=0"), "{bad}");
        // And signs in, with the cookie it had.
        let credentials = json!({"login": "ada", "password": PASSWORD, "cookie": true});
        let login = client.post(LOGIN).header("cookie", &format!("{COOKIE}={bad}"));
        let signed_in = login.json(&credentials).await.expect(200);
        assert!(!signed_in.header("set-cookie").unwrap().contains("Max-Age=0"), "{bad}");
    }
    let good = browser.get("/api/v2/forum/threads").await.expect(200);
    assert_eq!(good.header("set-cookie"), None);
    assert_eq!(client.get("/api/v2/forum/threads").await.header("set-cookie"), None);
}

async fn a_cookie_lasts_as_long_as_it_is_used(backend: Backend) {
    let (node, database) = node(backend).await;
    let client = node.client();
    Session::register(&client, "ada").await;
    let browser = Browser::sign_in(&client, "ada").await;
    let mut sql = database.raw_sql("auth").await;
    // Half an hour ago: the next look notes the use, and prolongs it.
    sql.run("UPDATE sessions SET last_used_at = last_used_at - 1800000000, expires_at = expires_at - 1800000000")
        .await;
    browser.get(ME).await.expect(200);
    let moved = "SELECT CAST(count(*) AS TEXT) FROM sessions \
                 WHERE cookie_hash IS NOT NULL AND last_used_at > created_at - 60000000 \
                   AND expires_at > created_at + 2591000000000";
    eventually("the use is noted", Duration::from_secs(5), async || {
        let mut sql = database.raw_sql("auth").await;
        sql.texts(moved, 0).await.unwrap() == ["1"]
    })
    .await;
}

#[tokio::test]
async fn cookies_are_for_sites_that_are_safe() {
    let insecure = Node::builder().env("PANEL_NODE__PUBLIC_URL", "http://panel.example").start();
    let insecure = insecure.await;
    let client = insecure.client();
    Session::register(&client, "ada").await;
    let credentials = json!({"login": "ada", "password": PASSWORD, "cookie": true});
    let refused = client.post(LOGIN).json(&credentials).await.refused(422, "validation");
    assert_eq!(refused.fields(), [("cookie", "insecure")]);
    let allowed = Node::builder()
        .env("PANEL_NODE__PUBLIC_URL", "http://panel.example")
        .env("PANEL_AUTH__INSECURE_COOKIES", "true")
        .start()
        .await;
    let client = allowed.client();
    Session::register(&client, "ada").await;
    let answer = client.post(LOGIN).json(&credentials).await.expect(200);
    assert!(answer.header("set-cookie").unwrap().starts_with("panel_session="));
    let secure =
        Node::builder().env("PANEL_NODE__PUBLIC_URL", "https://panel.example").start().await;
    let client = secure.client();
    Session::register(&client, "ada").await;
    let answer = client.post(LOGIN).json(&credentials).await.expect(200);
    let set = answer.header("set-cookie").unwrap();
    assert!(set.starts_with("__Host-panel_session=") && set.ends_with("; Secure"), "{set}");
    let pair = set.split(';').next().unwrap();
    client.get(ME).header("cookie", pair).await.expect(200);
}

#[tokio::test]
async fn what_one_gateway_ends_every_gateway_refuses() {
    let cluster = Cluster::builder()
        .await
        .node("n1", "gateway")
        .node("n2", "gateway,auth,forum,cms,admin")
        .start()
        .await;
    let gateways = [cluster.client("n1"), cluster.client("n2")];
    let ada = Session::register(&gateways[0], "ada").await;
    let robot = key(&ada, &["auth:read"]).await;
    let browser = Browser::sign_in(&gateways[1], "ada").await;
    let cookie = format!("{COOKIE}={}", browser.cookie.as_ref().unwrap());
    let with_cookie = |client: &Client| client.get(ME).header("cookie", &cookie);
    for gateway in &gateways {
        with_key(gateway, Method::GET, ME, &robot).await.expect(200);
        with_cookie(gateway).await.expect(200);
    }
    let one = format!("{KEYS}/{}", robot["id"].as_str().unwrap());
    ada.delete(&one).await.expect(204);
    // Every other session, by the one that began last.
    let change =
        json!({"current_password": PASSWORD, "new_password": "another lantern, in violet"});
    ada.post("/api/v2/auth/password/change").json(&change).await.expect(204);
    for gateway in &gateways {
        eventually("both are refused", Duration::from_secs(1), || async {
            with_key(gateway, Method::GET, ME, &robot).await.status == 401
                && with_cookie(gateway).await.status == 401
        })
        .await;
    }
}
