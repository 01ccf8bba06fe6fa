//! The OpenAPI document: what it promises is kept, it says where things are, and what is to end says so.

use std::collections::BTreeMap;

use axum::Router;
use panel_harness::{Backend, Node, RigBuilder};
use panel_kernel::access::{Guarded as _, Need};
use panel_kernel::deprecation::Deprecation;
use panel_kernel::service::{Assembly, Registration};
use panel_kernel::time::Timestamp;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::deaths::configured;
use crate::telling::service;

/// What the last release promised.
const RELEASED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];
const SERVICES: [&Registration; 4] =
    [&panel_auth::SERVICE, &panel_forum::SERVICE, &panel_cms::SERVICE, &panel_admin::SERVICE];

/// Asks what of a document is broken: the exit code, and what is said of it.
async fn compared_with(document: &Value) -> (Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let asked = Node::builder().cli(&["openapi", "--against", file.to_str().unwrap()]).await;
    let text = [asked.stdout, asked.stderr].map(|all| String::from_utf8(all).unwrap());
    (asked.status.code(), text.concat())
}

fn released() -> Value {
    serde_json::from_slice(&std::fs::read(RELEASED).unwrap()).unwrap()
}

fn version() -> String {
    released()["info"]["version"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_breaks_who_relies_on_the_last_release() {
    let (code, text) = compared_with(&released()).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text, format!("nothing breaks for who relies on {}\n", version()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_is_listed() {
    let mut promised = released();
    promised["paths"]["/api/v2/forum/polls"] = json!({"get": {"responses": {"200": {}}}});
    let thread = &mut promised["components"]["schemas"]["NewThread"];
    thread["required"] = json!(["title"]);
    thread["properties"]["mood"] = json!({"type": "string"});
    let (code, text) = compared_with(&promised).await;
    assert_eq!(code, Some(1), "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let count = format!("panel-node: 4 promises of {} are broken", version());
    let expected = [
        "GET /api/v2/forum/polls: is gone",
        "POST /api/v2/forum/threads, body.body: must be there",
        "POST /api/v2/forum/threads, body.category_id: must be there",
        "POST /api/v2/forum/threads, body.mood: is gone",
        &count,
    ];
    assert_eq!(lines, expected);
    for nonsense in [json!([]), json!({"openapi": "3.1.0"}), json!({"paths": {}})] {
        let (code, text) = compared_with(&nonsense).await;
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("no OpenAPI document"), "{text}");
    }
    let nowhere = Node::builder().cli(&["openapi", "--against", "/nowhere.json"]).await;
    assert_eq!(nowhere.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_are_where_the_document_says() {
    let printed = Node::builder().cli(&["openapi"]).await;
    let document: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let (mut of_paths, mut of_queries) = (0, 0);
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let parameters = item[method]["parameters"].as_array().into_iter().flatten();
            let mut named: Vec<&str> = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            for one in parameters {
                let name = one["name"].as_str().unwrap();
                let place = named.iter().position(|other| *other == name);
                match (one["in"].as_str().unwrap(), place) {
                    ("path", Some(place)) => {
                        named.remove(place);
                        of_paths += 1;
                        assert_eq!(one["required"], true, "{method} {path}: {name}");
                    }
                    ("query" | "header" | "cookie", None) => of_queries += 1,
                    _ => panic!("{method} {path}: {one}"),
                }
            }
            let told = item[method].is_null() || named.is_empty();
            assert!(told, "{method} {path} does not tell of {named:?}");
        }
    }
    assert!(of_paths > 50 && of_queries > 50, "{of_paths} {of_queries}");
}

#[test]
fn one_name_is_one_schema() {
    let mut known: BTreeMap<String, (&str, Value)> = BTreeMap::new();
    for service in SERVICES {
        let document = serde_json::to_value((configured(service, json!({})).openapi)()).unwrap();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let (first, other) =
                known.entry(name.clone()).or_insert_with(|| (service.name, schema.clone()));
            assert_eq!(other, schema, "{name} of {first} and of {}", service.name);
        }
    }
    assert!(known.len() > 50);
}

/// Something that is to end.
#[utoipa::path(get, path = "/api/v2/letters/old", tag = "letters", responses((status = 200)))]
async fn old() -> &'static str {
    "still there"
}

/// The same, for few.
#[utoipa::path(get, path = "/api/v2/letters/older", tag = "letters", responses((status = 200)))]
async fn older() {}

fn ending() -> OpenApiRouter {
    let ends = Deprecation::since(Timestamp::midnight(2026, 11, 30))
        .sunset(Timestamp::midnight(2027, 6, 1))
        .successor("/api/v2/letters/new");
    let soon = Deprecation::since(Timestamp::midnight(2026, 11, 30));
    OpenApiRouter::new().deprecated(Need::Nothing, ends, routes!(old)).deprecated(
        Need::Session,
        soon,
        routes!(older),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_to_end_says_so() {
    let mut letters = service("letters", &[], |_| Assembly::new(Router::from(ending())));
    letters.openapi = || ending().into_openapi();
    let rig = RigBuilder::new(Backend::Sqlite.database().await).service(letters);
    let rig = Box::pin(rig.start()).await;
    let client = rig.client();
    let answer = client.get("/api/v2/letters/old").await.expect(200);
    assert_eq!(answer.header("deprecation"), Some("@1795996800"));
    assert_eq!(answer.header("sunset"), Some("Tue, 01 Jun 2027 00:00:00 GMT"));
    assert_eq!(answer.header("link"), Some("</api/v2/letters/new>; rel=\"successor-version\""));
    // Who is refused is told as well.
    let refused = client.get("/api/v2/letters/older").await.expect(401);
    assert_eq!(refused.header("deprecation"), Some("@1795996800"));
    assert_eq!(refused.header("sunset"), None);
    let document = client.get("/api/v2/openapi.json").await.expect(200).json();
    let told = &document["paths"]["/api/v2/letters/old"]["get"];
    assert_eq!(told["deprecated"], true);
    assert_eq!(told["x-panel-sunset"], "2027-06-01T00:00:00.000000Z");
    assert_eq!(told["x-panel-successor"], "/api/v2/letters/new");
    assert_eq!(told["x-panel-access"], "nothing");
    let routes = client.get("/api/v2/routes").await.expect(200).json();
    let routes = routes["items"].as_array().unwrap();
    let route = |path: &str| routes.iter().find(|route| route["path"] == path).unwrap();
    assert_eq!(route("/api/v2/letters/old")["sunset"], told["x-panel-sunset"]);
    assert_eq!(route("/api/v2/letters/older")["deprecated"], true);
    assert_eq!(route("/api/v2/health").get("deprecated"), None);
    rig.shutdown().await;
}
