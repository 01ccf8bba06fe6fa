//! What must not lie around: tokens and passwords, wherever the program writes.

use std::path::{Path, PathBuf};

use panel_harness::session::{PASSWORD, email};
use panel_harness::{Backend, Client, Node, Session, TestDatabase, on_both_databases};
use serde_json::{Value, json};

on_both_databases!(remembered_answers_keep_their_secrets);

/// The bytes of every file below a directory.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if let Ok(bytes) = std::fs::read(&path) {
            found.push((path, bytes));
        }
    }
    found
}

/// Every row of every table of PostgreSQL.
async fn tables(database: &TestDatabase) -> Vec<(PathBuf, Vec<u8>)> {
    let mut db = database.raw_sql("public").await;
    let names = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                 WHERE schemaname IN ('auth', 'forum', 'cms', 'admin')";
    let mut found = Vec::new();
    for table in db.texts(names, 0).await.unwrap() {
        let rows = db.texts(&format!("SELECT t::text FROM {table} t"), 0).await.unwrap();
        found.push((PathBuf::from(table), rows.join("\n").into_bytes()));
    }
    found
}

/// As PostgreSQL shows bytes.
fn hex(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn is_in(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Whatever else an account is given that is shown once.
async fn credentials(client: &Client) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let ada = Session::login(client, "ada", PASSWORD).await;
    let asked = json!({"name": "robot", "scopes": ["forum:read"]});
    let key = ada.post("/api/v2/auth/api-keys").json(&asked).await.expect(201).json();
    let cookie = json!({"login": "ada", "password": PASSWORD, "cookie": true});
    let cookie = client.post("/api/v2/auth/login").json(&cookie).await.expect(200);
    let cookie = cookie.header("set-cookie").unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
    let password = json!({"password": PASSWORD});
    let enrolled = ada.post("/api/v2/auth/totp/enroll").json(&password).await.expect(201).json();
    let device = totp_rs::Totp::from_url(text(&enrolled["otpauth_uri"])).unwrap();
    let now = panel_kernel::time::Clock::system().now().as_seconds();
    let code = json!({"code": device.generate(u64::try_from(now).unwrap()).to_string()});
    let codes = ada.post("/api/v2/auth/totp/confirm").json(&code).await.expect(200).json();
    let codes = codes["recovery_codes"].as_array().unwrap();
    let mut secrets: Vec<String> = codes.iter().map(text).collect();
    secrets.extend([text(&key["key"]), cookie, text(&enrolled["secret"])]);
    secrets
}

async fn remembered_answers_keep_their_secrets(backend: Backend) {
    let database = backend.database().await;
    let node = Node::builder().database(&database).start().await;
    let client = node.client();
    let account = json!({"username": "ada", "email": email("ada"), "password": PASSWORD});
    client.post("/api/v2/auth/register").idempotency_key("r").json(&account).await.expect(201);
    let mut secrets = vec![PASSWORD.to_owned()];
    let mut keep = |answer: &Value| {
        for name in ["access_token", "refresh_token"] {
            secrets.push(answer[name].as_str().unwrap().to_owned());
        }
        answer["refresh_token"].clone()
    };
    let login = json!({"login": "ada", "password": PASSWORD});
    let login = || client.post("/api/v2/auth/login").idempotency_key("login-key").json(&login);
    let first = login().await.expect(200);
    let token = json!({"refresh_token": keep(&first.json())});
    // Remembered it is: who has the key is told again.
    let again = login().await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.body, again.body);
    let refresh = client.post("/api/v2/auth/refresh").idempotency_key("refresh-key").json(&token);
    keep(&refresh.await.expect(200).json());
    secrets.extend(["login-key".to_owned(), "refresh-key".to_owned()]);

    secrets.extend(credentials(&client).await);
    let sealed = "SELECT CAST(count(*) AS TEXT) FROM idempotency WHERE sealed = 1";
    let sealed = database.raw_sql("auth").await.texts(sealed, 0).await.unwrap();
    assert_eq!(sealed, ["7"]);
    let mut places = files(node.data_dir());
    match backend {
        Backend::Sqlite => places.extend(files(database.file("auth").parent().unwrap())),
        Backend::Postgres => places.extend(tables(&database).await),
    }
    // What is no secret is found: the places are the right ones.
    assert!(places.iter().any(|(_, bytes)| is_in(bytes, &email("ada"))));
    for secret in &secrets {
        for (place, bytes) in &places {
            let found = is_in(bytes, secret) || is_in(bytes, &hex(secret));
            assert!(!found, "{secret} is in {}", place.display());
        }
        assert!(!node.log_contains(secret), "{secret} is in the log");
    }
}
