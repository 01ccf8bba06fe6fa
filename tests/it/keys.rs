//! Changing the keys that sign access tokens: nobody notices, unless they are to.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use panel_auth::{Retired, rotate_signing_key};
use panel_harness::session::PASSWORD;
use panel_harness::{
    Backend, Client, Node, Rig, RigBuilder, Session, eventually, on_both_databases,
};
use panel_kernel::config::Section;
use panel_kernel::time::Clock;
use serde_json::{Value, json};

on_both_databases!(
    a_new_key_is_shown_before_it_signs_and_the_old_one_goes_when_nothing_needs_it,
    keys_are_changed_beside_a_running_node,
);

const JWKS: &str = "/api/v2/auth/.well-known/jwks.json";
/// Longer than the keeper takes to read the keys again.
const READ: Duration = Duration::from_secs(12);

/// The keys that verify, newest first.
async fn shown(client: &Client) -> Vec<String> {
    let answer = client.get(JWKS).await.expect(200);
    // Who has them already is told so.
    let tag = answer.header("etag").unwrap();
    let again = client.get(JWKS).header("if-none-match", tag).await;
    assert!(again.status == 304 || again.header("etag") != Some(tag), "{again:?}");
    let keys = answer.json();
    let kid = |key: &Value| key["kid"].as_str().unwrap().to_owned();
    keys["keys"].as_array().unwrap().iter().map(kid).collect()
}

async fn shows(client: &Client, count: usize) -> Vec<String> {
    eventually(&format!("{count} keys are shown"), READ, async || {
        let keys = shown(client).await;
        if keys.len() == count { Ok(keys) } else { Err(keys) }
    })
    .await
}

/// The key a token was signed with.
fn signed_with(session: &Session) -> String {
    let head = session.access_token.split('.').next().unwrap();
    let head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
    head["kid"].as_str().unwrap().to_owned()
}

async fn accounts(backend: Backend, clock: &Clock) -> Rig {
    let values = json!({"argon2_memory_kib": 64, "argon2_iterations": 1, "signing_key_life": "2d"});
    let section = Section { path: "auth".to_owned(), values };
    let builder = RigBuilder::new(backend.database().await)
        .clock(clock.clone())
        .service((panel_auth::SERVICE.configure)(&section).unwrap());
    Box::pin(builder.start()).await
}

async fn a_new_key_is_shown_before_it_signs_and_the_old_one_goes_when_nothing_needs_it(
    backend: Backend,
) {
    let clock = Clock::manual(Clock::system().now());
    let rig = accounts(backend, &clock).await;
    let (client, db) = (rig.client(), rig.database("auth"));
    let [first] = shows(&client, 1).await.try_into().unwrap();
    let mut ada = Session::register(&client, "ada").await;
    assert_eq!(signed_with(&ada), first);
    let rotation = rotate_signing_key(&db, &rig.runtime.key, Retired::Verifying).await.unwrap();
    // A keeper that begins reads the keys.
    rig.kill("auth/token_keeper").await;
    assert_eq!(shows(&client, 2).await, [rotation.kid.clone(), first.clone()]);
    ada.refresh().await;
    assert_eq!(signed_with(&ada), first, "nobody may know the new one yet");
    clock.advance(Duration::from_secs(15));
    ada.refresh().await;
    assert_eq!(signed_with(&ada), rotation.kid);
    // What the first has signed at last ends ten minutes later.
    clock.advance(Duration::from_secs(599));
    rig.kill("auth/token_keeper").await;
    assert_eq!(shows(&client, 2).await.len(), 2);
    clock.advance(Duration::from_secs(2));
    rig.kill("auth/token_keeper").await;
    assert_eq!(shows(&client, 1).await, std::slice::from_ref(&rotation.kid));
    clock.advance(Duration::from_secs(3_600));
    eventually("the janitor has swept", Duration::from_secs(10), async || {
        rig.sweep("auth");
        let kept = rig.raw_sql("auth").await.texts("SELECT public_key FROM signing_keys", 0).await;
        kept.unwrap().len() == 1
    })
    .await;
    // When the key has served for two days, another follows by itself.
    clock.advance(Duration::from_secs(2 * 24 * 3_600));
    rig.kill("auth/token_keeper").await;
    let both = shows(&client, 2).await;
    assert_eq!(both[1], rotation.kid);
    clock.advance(Duration::from_secs(15));
    let late = Session::login(&client, "ada", PASSWORD).await;
    assert_eq!(signed_with(&late), both[0]);
    rig.shutdown().await;
}

async fn keys_are_changed_beside_a_running_node(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let client = node.client();
    let mut ada = Session::register(&client, "ada").await;
    let first = signed_with(&ada);
    let rotated = node.cli(&["keys", "rotate"]).await;
    assert!(rotated.status.success(), "{rotated:?}");
    let keys = shows(&client, 2).await;
    let told = String::from_utf8(rotated.stdout).unwrap();
    assert!(keys[1] == first && told.contains(&keys[0]), "{keys:?} {told}");
    ada.get("/api/v2/auth/me").await.expect(200);
    let revoked = node.cli(&["keys", "rotate", "--revoke"]).await;
    assert!(revoked.status.success(), "{revoked:?}");
    let [last] = shows(&client, 1).await.try_into().unwrap();
    assert!(!keys.contains(&last));
    eventually("what older keys have signed is refused", Duration::from_secs(2), async || {
        ada.get("/api/v2/auth/me").await.status == 401
    })
    .await;
    ada.refresh().await;
    assert_eq!(signed_with(&ada), last);
    eventually("what the new one signs is taken", Duration::from_secs(2), async || {
        ada.get("/api/v2/auth/me").await.status == 200
    })
    .await;
    // With a cluster key that is not this installation's, nothing is done.
    let elsewhere = tempfile::tempdir().unwrap();
    let stranger = elsewhere.path().to_str().unwrap();
    std::fs::create_dir_all(elsewhere.path().join("tls")).unwrap();
    panel_kernel::keys::write_private(&elsewhere.path().join("tls/cluster.key"), &[7; 32]).unwrap();
    let refused = node.cli(&["keys", "rotate", "--tls-dir", &format!("{stranger}/tls")]).await;
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("the cluster key here is not the one"), "{why}");
    // Nor is one made where there is none.
    let refused = Node::builder().database(&database).cli(&["keys", "rotate"]).await;
    assert_eq!(refused.status.code(), Some(1));
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("keys/cluster.key is not there"), "{why}");
    assert_eq!(shown(&client).await, [last]);
}
