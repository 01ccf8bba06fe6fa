//! Signing in through somebody else: on both databases, with a real provider.

use std::time::Duration;

use panel_harness::http::{Answer, Client, RequestBuilder};
use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Backend, Node, NodeBuilder, OidcProvider, Session, Smtp, TestDatabase, eventually,
    on_both_databases,
};
use panel_kernel::time::Clock;
use serde_json::{Value, json};

on_both_databases!(
    who_has_an_account_there_gets_one_here,
    a_provider_in_githubs_manner,
    browsers_go_on_where_they_wanted_to,
    an_address_alone_is_no_proof,
    the_second_factor_is_asked_for_as_well,
    the_last_way_in_stays,
    an_account_without_a_password_chooses_one,
    registration_is_by_its_rules,
    who_is_suspended_stays_out,
);

const START: &str = "/api/v2/auth/oauth/company/start";
const ME: &str = "/api/v2/auth/me";
const IDENTITIES: &str = "/api/v2/auth/identities";

struct Place {
    node: Node,
    database: TestDatabase,
    provider: OidcProvider,
}

async fn place(backend: Backend, change: impl FnOnce(NodeBuilder) -> NodeBuilder) -> Place {
    let (database, provider) = (backend.database().await, OidcProvider::start());
    let node = provider.configure(Node::builder().database(&database));
    let node = change(node).start().await;
    provider.sends_back_to(&node.url("")).await;
    provider
        .person(
            "grace",
            &json!({"email": "grace@navy.example", "email_verified": true,
                                     "name": "Grace Hopper"}),
        )
        .await;
    Place { node, database, provider }
}

/// The cookie of a sign-in that is under way, as a browser would send it.
fn cookie(answer: &Answer) -> String {
    let mut set = answer.headers.get_all("set-cookie").iter().map(|set| set.to_str().unwrap());
    let set = set.rfind(|set| set.starts_with("panel_sign_in="));
    let set = set.unwrap_or_else(|| panic!("no cookie in {answer:?}"));
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

/// Goes to the provider, agrees there as `person`, and comes back.
async fn travel(place: &Place, start: &str, person: &str) -> Answer {
    let client = place.node.client();
    let left = client.get(start).await.expect(303);
    let back = place.provider.agree(left.header("location").unwrap(), person).await;
    client.get(&back).header("cookie", &cookie(&left)).await
}

/// Leaves by a script, agrees there as `person`, and comes back by what `back` sends.
async fn link(place: &Place, session: &Session, provider: &str, person: &str) -> RequestBuilder {
    let link = format!("/api/v2/auth/oauth/{provider}/link");
    back(place, &session.post(&link).json(&json!({})).await, person).await
}

/// The way back of who has left by a script.
async fn back(place: &Place, left: &Answer, person: &str) -> RequestBuilder {
    assert_eq!(left.status, 200, "{left:?}");
    let there = left.json()["authorize_url"].as_str().unwrap().to_owned();
    let path = place.provider.agree(&there, person).await;
    place.node.client().get(&path).header("cookie", &cookie(left))
}

/// Refused with this word.
#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    let problem = answer.problem();
    assert_eq!(
        (answer.status.as_u16(), problem.code.as_deref()),
        (status, Some(code)),
        "{answer:?}"
    );
}

fn signed_in(client: &Client, answer: Answer) -> Session {
    Session::from_json(client, &answer.expect(200).json())
}

async fn who_has_an_account_there_gets_one_here(backend: Backend) {
    let place = place(backend, |node| node).await;
    let client = place.node.client();
    let providers = client.get("/api/v2/auth/oauth").await.expect(200).json();
    let company = json!({"id": "company", "label": "The Company"});
    assert_eq!(providers["items"], json!([company, {"id": "hub", "label": "hub"}]));
    let grace = signed_in(&client, travel(&place, START, "grace").await);
    let me = grace.get(ME).await.expect(200).json();
    assert_eq!(
        (me["username"].as_str(), me["display_name"].as_str()),
        (Some("grace"), Some("Grace Hopper"))
    );
    assert_eq!(
        (me["email"].as_str(), me["email_verified"].as_bool()),
        (Some("grace@navy.example"), Some(true))
    );
    // The forum knows its authors from what it is told.
    eventually("she may write", Duration::from_secs(10), async || {
        grace.get("/api/v2/forum/threads").await.status == 200
    })
    .await;
    // The next time it is the same account, also after its name there has changed.
    let changed =
        json!({"email": "admiral@navy.example", "email_verified": true, "name": "Amazing"});
    place.provider.person("grace", &changed).await;
    let again = signed_in(&client, travel(&place, START, "grace").await);
    assert_eq!(again.user_id, grace.user_id);
    let listed = again.get(IDENTITIES).await.expect(200).json();
    let [one] = &listed["items"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!((one["provider"].as_str(), one["name"].as_str()), (Some("company"), Some("grace")));
    assert!(one["last_used_at"].is_string(), "{listed}");
    // A name that is taken is not the end of it, and somebody else is somebody else.
    let (node, provider) = (&place.node, &place.provider);
    Session::register(&node.client(), "linus").await;
    provider.person("linus", &json!({"email": "l@kernel.example", "email_verified": true})).await;
    let linus = signed_in(&client, travel(&place, START, "linus").await);
    assert_eq!(linus.get(ME).await.expect(200).json()["username"], "linus2");
}

async fn a_provider_in_githubs_manner(backend: Backend) {
    let place = place(backend, |node| node).await;
    let client = place.node.client();
    let hub = "/api/v2/auth/oauth/hub/start";
    let grace = signed_in(&client, travel(&place, hub, "grace").await);
    let me = grace.get(ME).await.expect(200).json();
    assert_eq!((&me["username"], &me["email"]), (&json!("grace"), &json!("grace@navy.example")));
    assert_eq!(signed_in(&client, travel(&place, hub, "grace").await).user_id, grace.user_id);
    // The same person at another provider is another matter: the address proves nothing.
    refused(&travel(&place, START, "grace").await, 409, "account_exists");
    let shy = json!({"email": "shy@example.org", "email_verified": false});
    place.provider.person("shy", &shy).await;
    refused(&travel(&place, hub, "shy").await, 403, "email_required");
}

async fn browsers_go_on_where_they_wanted_to(backend: Backend) {
    let place = place(backend, |node| node).await;
    let client = place.node.client();
    let start = format!("{START}?cookie=true&return_to=%2Fwelcome%3Fa%3Db%23c");
    let answer = travel(&place, &start, "grace").await.expect(303);
    assert_eq!(answer.header("location"), Some("/welcome?a=b#c"));
    assert!(answer.text().is_empty(), "{answer:?}");
    let set: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    let [session, gone] = set[..] else { panic!("{answer:?}") };
    let session = session.to_str().unwrap().split(';').next().unwrap();
    assert!(session.starts_with("panel_session="), "{answer:?}");
    let gone = gone.to_str().unwrap();
    assert!(gone.starts_with("panel_sign_in=;") && gone.contains("Max-Age=0"), "{gone}");
    let me = client.get(ME).header("cookie", session).await.expect(200).json();
    assert_eq!(me["username"], "grace");
    // What did not succeed is told there as well.
    Session::register(&client, "ada").await;
    place.provider.person("ada", &json!({"email": email("ada"), "email_verified": true})).await;
    let answer = travel(&place, &start, "ada").await.expect(303);
    assert_eq!(answer.header("location"), Some("/welcome?a=b&oauth_error=account_exists#c"));
    let left = client.get(&start).await.expect(303);
    let at = left.header("location").unwrap();
    let state = at.split(['?', '&']).find_map(|pair| pair.strip_prefix("state=")).unwrap();
    let said = format!("/api/v2/auth/oauth/company/callback?state={state}&error=access_denied");
    let answer = client.get(&said).header("cookie", &cookie(&left)).await.expect(303);
    assert_eq!(answer.header("location"), Some("/welcome?a=b&oauth_error=oauth_declined#c"));
    // Nobody is sent elsewhere by us.
    for elsewhere in ["//evil.example", "https%3A%2F%2Fevil.example", "%2F%5Cevil.example"] {
        let start = format!("{START}?cookie=true&return_to={elsewhere}");
        client.get(&start).await.refused(422, "validation");
    }
    client.get("/api/v2/auth/oauth/nobody/start").await.refused(404, "not_found");
}

async fn an_address_alone_is_no_proof(backend: Backend) {
    let smtp = Smtp::start();
    let place = place(backend, |node| node.mail(smtp.port())).await;
    let client = place.node.client();
    let ada = Session::register(&client, "ada").await;
    place.provider.person("ada", &json!({"email": email("ada"), "email_verified": true})).await;
    refused(&travel(&place, START, "ada").await, 409, "account_exists");
    assert_eq!(ada.get(IDENTITIES).await.expect(200).json()["items"], json!([]));
    // She signs in, and links it. Whoever is signed in as somebody else, in that browser, does not.
    let eve = Session::register(&client, "eve").await;
    let mixed = link(&place, &ada, "company", "ada").await.bearer(&eve.access_token).await;
    refused(&mixed, 400, "oauth_begin_again");
    let linked = link(&place, &ada, "company", "ada").await.await.expect(200).json();
    assert_eq!((&linked["provider"], &linked["name"]), (&json!("company"), &json!("ada")));
    let told = smtp.mail_to(&email("ada"), 0).await;
    assert!(told.subject().contains("linked"), "{told:?}");
    assert!(told.0["plain"].as_str().unwrap().contains("The Company"), "{told:?}");
    assert_eq!(signed_in(&client, travel(&place, START, "ada").await).user_id, ada.user_id);
    // It is hers alone, and linked once.
    let taken = link(&place, &eve, "company", "ada").await.await;
    refused(&taken, 409, "identity_taken");
    // A session that has ended links nothing, nor one in which nobody has shown who they are.
    place.provider.person("eve", &json!({})).await;
    let late = link(&place, &eve, "company", "eve").await;
    eve.post("/api/v2/auth/logout").await.expect(204);
    late.await.refused(401, "unauthorized");
    let eve = Session::login(&client, "eve", PASSWORD).await;
    place.database.raw_sql("auth").await.run("UPDATE sessions SET authenticated_at = 0").await;
    let stale = eve.post("/api/v2/auth/oauth/company/link").json(&json!({})).await;
    let stale = stale.refused(403, "forbidden");
    assert_eq!(stale.code.as_deref(), Some("reauthentication_required"));
}

/// On PostgreSQL: SQLite has no sessions that anybody could end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_the_database_that_was_ended_costs_nobody_their_way_back() {
    let place = place(Backend::Postgres, |node| node).await;
    let ada = Session::register(&place.node.client(), "ada").await;
    let back = link(&place, &ada, "company", "grace").await;
    let mut holding = place.database.raw_sql("auth").await;
    holding.run("BEGIN; LOCK TABLE identities IN SHARE MODE").await;
    let ending = async {
        eventually("it waits, and is ended", Duration::from_secs(10), async || {
            let end = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity \
                       WHERE wait_event_type = 'Lock' AND datname = current_database()";
            let ended = place.database.raw_sql("auth").await.texts(end, 0).await.unwrap();
            if ended.is_empty() { Err("nobody waits") } else { Ok(()) }
        })
        .await;
        holding.run("COMMIT").await;
    };
    let (linked, ()) = futures::join!(back.into_future(), ending);
    linked.expect(200);
    assert_eq!(ada.get(IDENTITIES).await.expect(200).json()["items"].as_array().unwrap().len(), 1);
}

async fn the_second_factor_is_asked_for_as_well(backend: Backend) {
    let place = place(backend, |node| node.env("PANEL_AUTH__LOGIN_ATTEMPTS", "3")).await;
    let client = place.node.client();
    let grace = signed_in(&client, travel(&place, START, "grace").await);
    let enrolled = grace.post("/api/v2/auth/totp/enroll").json(&json!({})).await.expect(201).json();
    let device = totp_rs::Totp::from_url(enrolled["otpauth_uri"].as_str().unwrap()).unwrap();
    let now = || u64::try_from(Clock::system().now().as_seconds()).unwrap();
    let code = json!({"code": device.generate(now()).to_string()});
    let codes = grace.post("/api/v2/auth/totp/confirm").json(&code).await.expect(200).json();
    let finish = |cookie: &str, given: Value| {
        client.post("/api/v2/auth/oauth/finish").header("cookie", cookie).json(&given)
    };
    let recovery = |number: usize| json!({"recovery_code": codes["recovery_codes"][number]});
    let waits = travel(&place, START, "grace").await;
    refused(&waits, 401, "totp_required");
    let waiting = cookie(&waits);
    // One try after the other, slowed down like any guessing.
    let wrong = json!({"recovery_code": "aaaaa-aaaaa"});
    refused(&finish(&waiting, wrong.clone()).await, 401, "totp_invalid");
    let answer = finish(&waiting, recovery(0)).await;
    let done = signed_in(&client, answer);
    assert_eq!(done.user_id, grace.user_id);
    // Once.
    refused(&finish(&waiting, recovery(1)).await, 400, "oauth_begin_again");
    // The cookie of who is still away does not finish anything, nor does none.
    let left = client.get(START).await.expect(303);
    refused(&finish(&cookie(&left), recovery(1)).await, 400, "oauth_begin_again");
    refused(
        &client.post("/api/v2/auth/oauth/finish").json(&recovery(1)).await,
        400,
        "oauth_begin_again",
    );
    // A browser hears of it where it goes on, and finishes with a cookie.
    let waits = travel(&place, &format!("{START}?cookie=true&return_to=%2Fin"), "grace").await;
    assert_eq!(waits.expect(303).header("location"), Some("/in?oauth_error=totp_required"));
    let waits = travel(&place, &format!("{START}?cookie=true"), "grace").await.expect(303);
    let done = finish(&cookie(&waits), recovery(1)).await.expect(200);
    assert!(done.json()["csrf_token"].is_string() && done.json()["access_token"].is_null());
    let waits = cookie(&travel(&place, START, "grace").await);
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(finish(&waits, wrong.clone()).await.status.as_u16());
    }
    assert_eq!(answers, [401, 401, 401, 429]);
}

async fn the_last_way_in_stays(backend: Backend) {
    let place = place(backend, |node| node).await;
    let client = place.node.client();
    let grace = signed_in(&client, travel(&place, START, "grace").await);
    let listed = grace.get(IDENTITIES).await.expect(200).json();
    let company = format!("{IDENTITIES}/{}", listed["items"][0]["id"].as_str().unwrap());
    refused(&grace.delete(&company).await, 409, "last_credential");
    // Another account elsewhere is another way.
    let linked = link(&place, &grace, "hub", "grace").await.await.expect(200).json();
    let hub = format!("{IDENTITIES}/{}", linked["id"].as_str().unwrap());
    Session::register(&client, "eve").await;
    let eve = Session::login(&client, "eve", PASSWORD).await;
    eve.delete(&company).await.refused(404, "not_found");
    let unlink = || grace.delete(&company).idempotency_key("once");
    unlink().await.expect(204);
    // The same request again is answered the same, also when the session is stale by then.
    let aged = |at: &'static str| format!("UPDATE sessions SET authenticated_at = {at}");
    let mut sql = place.database.raw_sql("auth").await;
    sql.run("UPDATE sessions SET last_used_at = authenticated_at").await;
    sql.run(&aged("0")).await;
    unlink().await.expect(204);
    refused(&grace.delete(&hub).await, 403, "reauthentication_required");
    sql.run(&aged("last_used_at")).await;
    refused(&grace.delete(&hub).await, 409, "last_credential");
    refused(&travel(&place, START, "grace").await, 409, "account_exists");
    // So is a passkey, and so is a password.
    crate::passkeys::register(&grace).await;
    grace.delete(&hub).await.expect(204);
    for action in ["identity.link", "identity.unlink"] {
        eventually(&format!("{action} is on record"), Duration::from_secs(10), async || {
            let mut sql = place.database.raw_sql("admin").await;
            let actions = sql.texts("SELECT action FROM audit", 0).await.unwrap_or_default();
            actions.iter().any(|it| it == action)
        })
        .await;
    }
    let listed = grace.get("/api/v2/auth/passkeys").await.expect(200).json();
    let passkey = format!("/api/v2/auth/passkeys/{}", listed["items"][0]["id"].as_str().unwrap());
    refused(&grace.delete(&passkey).await, 409, "last_credential");
    let new = json!({"new_password": "a lantern on the violet anchor"});
    grace.post("/api/v2/auth/password/change").json(&new).await.expect(204);
    grace.delete(&passkey).await.expect(204);
    Session::login(&client, "grace", "a lantern on the violet anchor").await;
}

async fn an_account_without_a_password_chooses_one(backend: Backend) {
    let smtp = Smtp::start();
    let place = place(backend, |node| node.mail(smtp.port())).await;
    let client = place.node.client();
    let grace = signed_in(&client, travel(&place, START, "grace").await);
    // Nobody signs in with the password that is not there.
    for password in ["!", "", "a lantern on the violet anchor"] {
        let answer = Session::try_login(&client, "grace", password).await;
        assert!(matches!(answer.status.as_u16(), 401 | 422), "{answer:?}");
    }
    let change = "/api/v2/auth/password/change";
    let with_one =
        json!({"current_password": "!", "new_password": "a lantern on the violet anchor"});
    refused(&grace.post(change).json(&with_one).await, 409, "no_password");
    let password = json!({"password": "a lantern on the violet anchor"});
    let shown = grace.post("/api/v2/auth/reauthenticate").json(&password).await;
    refused(&shown, 409, "no_password");
    let new = json!({"new_password": "a lantern on the violet anchor"});
    place.database.raw_sql("auth").await.run("UPDATE sessions SET authenticated_at = 0").await;
    refused(&grace.post(change).json(&new).await, 403, "reauthentication_required");
    let grace = signed_in(&client, travel(&place, START, "grace").await);
    grace.post(change).json(&new).await.expect(204);
    let told = smtp.mail_to("grace@navy.example", 0).await;
    assert!(told.subject().contains("was changed"), "{told:?}");
    // From now on it takes that one.
    let fields = grace.post(change).json(&new).await;
    assert_eq!(fields.problem().fields(), [("current_password", "required")]);
    Session::login(&client, "grace", "a lantern on the violet anchor").await;
}

async fn registration_is_by_its_rules(backend: Backend) {
    let place = place(backend, |node| node.env("PANEL_AUTH__REGISTRATION", "invitation")).await;
    let client = place.node.client();
    refused(&travel(&place, START, "grace").await, 403, "invitation_required");
    let admin = place.node.admin("root").await;
    let made = admin.post("/api/v2/auth/invitations").json(&json!({})).await.expect(201).json();
    let token = made["token"].as_str().unwrap();
    for (person, invitation, status) in
        [("a-a", "nothing", 422), ("b-b", token, 200), ("c-c", token, 422)]
    {
        let about = json!({"email": format!("{person}@example.org"), "email_verified": true});
        place.provider.person(person, &about).await;
        let left = client.post(START).json(&json!({"invitation": invitation})).await.expect(200);
        let answer = back(&place, &left, person).await.await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    }
}

async fn who_is_suspended_stays_out(backend: Backend) {
    let place = place(backend, |node| node).await;
    let client = place.node.client();
    let admin = place.node.admin("root").await;
    let grace = signed_in(&client, travel(&place, START, "grace").await);
    let suspend = format!("/api/v2/admin/users/{}/suspend", grace.user_id);
    admin.post(&suspend).json(&json!({"reason": "spam"})).await.expect(200);
    refused(&travel(&place, START, "grace").await, 403, "account_suspended");
}

#[tokio::test]
async fn coming_back_is_for_the_browser_that_has_left_and_once() {
    let place = place(Backend::Sqlite, |node| node).await;
    let client = place.node.client();
    let left = client.get(START).await.expect(303);
    let at = left.header("location").unwrap();
    for part in
        ["code_challenge_method=S256", "nonce=", "response_type=code", "scope=openid+email+profile"]
    {
        assert!(at.contains(part), "{at}");
    }
    let back = place.provider.agree(at, "grace").await;
    let come = async |path: &str, cookie: &str| client.get(path).header("cookie", cookie).await;
    // Another browser, another state, another provider, no code.
    let other = client.get(START).await.expect(303);
    for (path, cookie) in [
        (back.clone(), "a=b".to_owned()),
        (back.clone(), cookie(&other)),
        (back.clone(), "panel_sign_in=nonsense".to_owned()),
        (back.replace("state=", "state=x"), cookie(&left)),
        (back.replace("/company/", "/hub/"), cookie(&left)),
        (back.replace("code=", "more="), cookie(&left)),
        (format!("{back}&iss=https%3A%2F%2Fevil.example"), cookie(&left)),
    ] {
        refused(&come(&path, &cookie).await, 400, "oauth_begin_again");
    }
    let first = come(&back, &cookie(&left)).await.expect(200);
    // Who asks again is answered the same: a gateway may have to.
    let again = come(&back, &cookie(&left)).await.expect(200);
    assert_eq!((again.json(), again.header("idempotency-replayed")), (first.json(), Some("true")));
    let grace = Session::from_json(&client, &first.json());
    let listed = grace.get("/api/v2/auth/sessions").await.expect(200).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    // A code that the provider does not know.
    let left = client.get(START).await.expect(303);
    let back = place.provider.agree(left.header("location").unwrap(), "grace").await;
    let wrong = back.replace("code=", "code=x");
    refused(&come(&wrong, &cookie(&left)).await, 401, "oauth_refused");
}

#[tokio::test]
async fn a_provider_that_hangs_costs_its_own_people_alone() {
    let place = place(Backend::Sqlite, |node| node).await;
    let client = place.node.client();
    // It was asked before, so that is not what we wait for.
    let left = client.get(START).await.expect(303);
    let back = place.provider.agree(left.header("location").unwrap(), "grace").await;
    place.provider.freeze();
    let came = (0..12).map(async |_| client.get(&back).header("cookie", &cookie(&left)).await);
    let came = futures::future::join_all(came);
    let others = async {
        for _ in 0..20 {
            client.get("/api/v2/forum/threads").await.expect(200);
            client.get("/api/v2/auth/oauth").await.expect(200);
        }
    };
    let (came, ()) = futures::join!(came, others);
    for answer in came {
        answer.refused(503, "unavailable");
    }
    place.provider.thaw();
    let outcomes = [("target", "company"), ("outcome", "unavailable")];
    assert!(place.node.metrics().await.count("panel_outbound_total", &outcomes) >= 12);
    assert_eq!(travel(&place, START, "grace").await.status, 200);
}
