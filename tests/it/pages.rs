//! Pages, in a real browser.

use std::time::Duration;

use panel_harness::session::{PASSWORD, email};
use panel_harness::{
    Authenticator, Backend, Browser, Node, NodeBuilder, OidcProvider, Session, Smtp, eventually,
};
use serde_json::json;

const EXPORT: &str = "/api/v2/auth/account/export";

async fn signs_in(browser: &Browser, login: &str, password: &str) {
    browser.types("#login", login).await;
    browser.types("#password", password).await;
    browser.clicks("form button").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_signs_in_and_has_their_data() {
    let database = Backend::Sqlite.database().await;
    let node = Node::builder().database(&database).start().await;
    let browser = Browser::start().await;
    let ada = Session::register(&node.client(), "ada").await;
    browser.open(&node.url("/account-export")).await;
    browser.arrives("/sign-in?return_to=%2Faccount-export").await;
    signs_in(&browser, "ada", "not hers, and long").await;
    browser.sees("the login or the password is not right").await;
    signs_in(&browser, "ada", PASSWORD).await;
    browser.arrives("/account-export").await;
    browser.sees("You are signed in as ada.").await;
    browser.clicks("form button").await;
    browser.sees("fetch it").await;
    let fetched = browser
        .run(
            "const answer = await fetch(document.querySelector('#exports a').href); \
             const bytes = new Uint8Array(await answer.arrayBuffer()); \
             return [answer.status, answer.headers.get('content-type'), bytes[0], bytes[1]];",
        )
        .await;
    assert_eq!(fetched, json!([200, "application/zip", 80, 75]));
    assert_eq!(ada.get(EXPORT).await.expect(200).json()["items"].as_array().unwrap().len(), 1);
    // Later, it is asked again who asks.
    let mut sql = database.raw_sql("auth").await;
    sql.run("UPDATE sessions SET authenticated_at = 0").await;
    browser.clicks("form button").await;
    browser.types("#password", "not hers, and long").await;
    browser.clicks("form button").await;
    browser.sees("password: is not your password").await;
    browser.types("#password", PASSWORD).await;
    browser.clicks("form button").await;
    eventually("there are two", Duration::from_secs(15), async || {
        let items = ada.get(EXPORT).await.expect(200).json()["items"].clone();
        if items.as_array().unwrap().len() == 2 { Ok(()) } else { Err(items) }
    })
    .await;
    // So it is before a file is given out.
    sql.run("UPDATE sessions SET authenticated_at = 0").await;
    browser.clicks("#exports li:first-child a").await;
    browser.types("#password", PASSWORD).await;
    browser.clicks("form button").await;
    eventually("it was fetched", Duration::from_secs(15), async || {
        let items = ada.get(EXPORT).await.expect(200).json()["items"].clone();
        if items[0]["downloaded_at"].is_string() { Ok(()) } else { Err(items) }
    })
    .await;
    // Who is signed in already goes on at once; and nowhere else than here.
    browser.open(&node.url("/sign-in?return_to=%2Faccount-export")).await;
    browser.arrives("/account-export").await;
    for elsewhere in
        ["https://evil.example/", "//evil.example/", "/\\evil.example", "/.//evil.example"]
    {
        let there = elsewhere.replace('/', "%2F").replace(':', "%3A").replace('\\', "%5C");
        browser.open(&node.url(&format!("/sign-in?return_to={there}"))).await;
        browser.sees("You are signed in as ada.").await;
        assert!(browser.url().await.starts_with(&node.url("/sign-in")));
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_factor_is_asked_for() {
    let (node, browser) = (Node::builder().start().await, Browser::start().await);
    let ada = Session::register(&node.client(), "ada").await;
    let (_, codes) = Authenticator::turn_on(&ada).await;
    browser.open(&node.url("/sign-in?return_to=%2Faccount-export")).await;
    signs_in(&browser, "ada", PASSWORD).await;
    browser.types("#code", "123 456").await;
    browser.clicks("form button").await;
    browser.sees("the code is not right").await;
    browser.types("#code", &codes[0]).await;
    browser.clicks("form button").await;
    browser.sees("You are signed in as ada.").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_signs_in() {
    let (node, browser) = (Node::builder().start().await, Browser::start().await);
    Session::register(&node.client(), "ada").await;
    let site = node.url("").replace("127.0.0.1", "localhost");
    browser.has_passkeys().await;
    browser.open(&format!("{site}/sign-in?return_to=%2Faccount-export")).await;
    signs_in(&browser, "ada", PASSWORD).await;
    browser.sees("You are signed in as ada.").await;
    let registered = browser
        .run(
            "const session = await (await fetch('/api/v2/auth/session')).json(); \
             const post = async (path, body) => (await fetch('/api/v2/auth/' + path, {method: 'POST', \
               headers: {'Content-Type': 'application/json', 'X-CSRF-Token': session.csrf_token}, \
               body: JSON.stringify(body)})); \
             const asked = await (await post('passkeys/register/start', {})).json(); \
             const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(asked.publicKey); \
             const credential = (await navigator.credentials.create({publicKey})).toJSON(); \
             const made = await post('passkeys/register/finish', \
               {ceremony: asked.ceremony, credential, name: 'a device'}); \
             const out = await post('logout', {}); \
             return [made.status, out.status];",
        )
        .await;
    assert_eq!(registered, json!([201, 204]));
    browser.open(&format!("{site}/account-export")).await;
    browser.arrives("/sign-in?return_to=%2Faccount-export").await;
    browser.clicks("#passkey").await;
    browser.arrives("/account-export").await;
    browser.sees("You are signed in as ada.").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_signs_in_and_what_goes_wrong_there_is_said() {
    let (provider, browser) = (OidcProvider::start(), Browser::start().await);
    let node = provider.configure(Node::builder()).start().await;
    provider.sends_back_to(&node.url("")).await;
    let grace = json!({"email": "grace@navy.example", "email_verified": true, "name": "Grace"});
    provider.person("grace", &grace).await;
    provider.is_used_by("grace").await;
    browser.open(&node.url("/sign-in?return_to=%2Faccount-export")).await;
    browser.clicks("#providers li:first-child a").await;
    browser.arrives("/account-export").await;
    browser.sees("You are signed in as grace.").await;
    // Of an account with a second factor, that is asked for here.
    let client = node.client();
    let chosen = browser
        .run(&format!(
            "const session = await (await fetch('/api/v2/auth/session')).json(); \
             const answer = await fetch('/api/v2/auth/password/change', {{method: 'POST', \
               headers: {{'Content-Type': 'application/json', 'X-CSRF-Token': session.csrf_token}}, \
               body: JSON.stringify({{new_password: '{PASSWORD}'}})}}); \
             return answer.status;"
        ))
        .await;
    assert_eq!(chosen, json!(204));
    let grace = Session::login(&client, "grace", PASSWORD).await;
    let (_, codes) = Authenticator::turn_on(&grace).await;
    browser.open(&node.url("/sign-in?again&return_to=%2Faccount-export")).await;
    browser.clicks("#providers li:first-child a").await;
    browser.sees("The account here has a second factor.").await;
    browser.types("#code", &codes[0]).await;
    browser.clicks("form button").await;
    browser.arrives("/account-export").await;
    // An address that somebody has here is no proof.
    Session::register(&client, "linus").await;
    let linus = json!({"email": email("linus"), "email_verified": true, "name": "Linus"});
    provider.person("linus2", &linus).await;
    provider.is_used_by("linus2").await;
    browser.open(&node.url("/sign-in?again&return_to=%2Faccount-export")).await;
    browser.clicks("#providers li:first-child a").await;
    browser.sees("There is an account here with the address of that one.").await;
    browser.close().await;
}

/// The pages that mailed links lead to: the token stays out of every request until somebody clicks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailed_links_lead_to_pages_that_work() {
    let (smtp, browser) = (Smtp::start(), Browser::start().await);
    let builder: NodeBuilder = Node::builder().mail(smtp.port());
    let node = builder.env("PANEL_AUTH__VERIFY_EMAIL", "true").start().await;
    let client = node.client();
    let account = json!({"username": "ada", "email": email("ada"), "password": PASSWORD});
    client.post("/api/v2/auth/register").json(&account).await.expect(202);
    let token = smtp.mail_to(&email("ada"), 0).await.token("verify-email");
    browser.open(&node.url(&format!("/verify-email#{token}"))).await;
    browser.clicks("form button").await;
    browser.sees("Done. You can sign in now.").await;
    browser.arrives("/verify-email").await;
    browser.open(&node.url("/sign-in")).await;
    browser.clicks("a[href='/forgot-password']").await;
    browser.types("#email", &email("ada")).await;
    browser.clicks("form button").await;
    browser.sees("the link is on its way").await;
    let token = smtp.mail_to(&email("ada"), 1).await.token("reset-password");
    browser.open(&node.url(&format!("/reset-password#{token}"))).await;
    browser.types("#new_password", "another-anchor-75-lantern").await;
    browser.clicks("form button").await;
    browser.sees("Done. You can sign in with it now.").await;
    Session::login(&client, "ada", "another-anchor-75-lantern").await;
    browser.close().await;
}
