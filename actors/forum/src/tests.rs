//! The service as a whole, through its front door, on SQLite.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use panel_kernel::config::Section;
use panel_kernel::data::{DatabaseConfig, DatabaseUrl};
use panel_kernel::directory::{Member, SCOPE, Standing, group};
use panel_kernel::ids::{Id, random_hex};
use panel_kernel::keys::ClusterKey;
use panel_kernel::message::{
    Body, Envelope, Extensions, FrontDoorMessage, IdempotencyKey, KeyOrigin, Payload, Principal,
    Reply, TraceContext, User,
};
use panel_kernel::role::Role;
use panel_kernel::service::{self, NodeIdentity, Runtime};
use panel_kernel::supervision::{Supervisor, SupervisorSpec};
use panel_kernel::time::Clock;
use panel_text::rendering::Renderer;
use ractor::{Actor, ActorRef, pg};
use serde_json::{Value, json};

use crate::config::ForumConfig;
use crate::{SERVICE, assemble};

/// The service, running in a directory of its own.
struct Service {
    member: Member,
    clock: Clock,
    renderer: Renderer,
    root: ActorRef<panel_kernel::supervision::SupervisorMessage>,
    _directory: tempfile::TempDir,
}

fn user(id: i64, name: &str, role: Role) -> Principal {
    let id = Id::from_raw(id);
    Principal::User(User { id, session: id, name: name.to_owned(), role, scopes: None })
}

impl Service {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let node = NodeIdentity::new("test");
        let key = ClusterKey::generate();
        let home = directory.path().to_owned();
        let runtime =
            Runtime::new(node, clock.clone(), key, home.clone(), "http://x", "http://x").unwrap();
        let section = Section { path: "forum".to_owned(), values: json!({}) };
        let mut spec = (SERVICE.configure)(&section).unwrap();
        let config = ForumConfig::default();
        let renderer = Renderer::new(SERVICE.name, config.pool);
        let its = renderer.clone();
        spec.assemble = Arc::new(move |context| assemble(context, &config, &its));
        let location = DatabaseUrl::Sqlite(home);
        let (child, running) =
            service::child(&spec, &runtime, location, DatabaseConfig::default(), Vec::new());
        let root = SupervisorSpec::new("", &runtime.tree).child(child);
        #[allow(clippy::disallowed_methods, reason = "there is no supervisor above the root")]
        let (root, _) = Actor::spawn(None, Supervisor, root).await.unwrap();
        let up = || {
            let db = running.db.load_full()?;
            (db.health() == panel_kernel::data::DatabaseHealth::Up && running.is_member())
                .then_some(())
        };
        while up().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let cell = pg::get_scoped_local_members(&SCOPE.to_owned(), &group("forum")).remove(0);
        let door: ActorRef<FrontDoorMessage> = cell.into();
        let member = Member::new("test".to_owned(), "0".to_owned(), door, Standing::here());
        Self { member, clock, renderer, root, _directory: directory }
    }

    async fn send(
        &self,
        principal: &Principal,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(tag) = if_match {
            headers.insert(header::IF_MATCH, tag.parse().unwrap());
        }
        let envelope = Envelope {
            method,
            uri: format!("/api/v2/forum{path}").parse().unwrap(),
            headers,
            body: Payload::Inline(
                body.map_or_else(Vec::new, |b| b.to_string().into_bytes()).into(),
            ),
            principal: principal.clone(),
            deadline: self.clock.now().plus(Duration::from_secs(10)),
            idempotency_key: Some(IdempotencyKey {
                value: random_hex(),
                origin: KeyOrigin::Client,
            }),
            trace: TraceContext::begin(),
            request_id: random_hex(),
            extensions: Extensions::default(),
        };
        let reply = self.member.call(envelope, &self.clock).await.unwrap();
        Answer::of(reply)
    }

    async fn get(&self, principal: &Principal, path: &str) -> Answer {
        self.send(principal, Method::GET, path, None, None).await
    }

    async fn post(&self, principal: &Principal, path: &str, body: Value) -> Answer {
        self.send(principal, Method::POST, path, None, Some(body)).await
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn of(reply: Reply) -> Self {
        let Body::Inline(bytes) = reply.body else { panic!("not inline") };
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self { status: reply.status, headers: reply.headers, body }
    }

    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }

    fn tag(&self) -> &str {
        self.headers[header::ETAG].to_str().unwrap()
    }

    fn count(&self) -> usize {
        self.body["items"].as_array().unwrap().len()
    }
}

/// One service for all scenarios: process groups are the process's own.
#[tokio::test(flavor = "multi_thread")]
async fn through_the_front_door() {
    let service = Service::start().await;
    let (ann, bob) = (user(1, "Ann", Role::User), user(2, "Bob", Role::User));
    let moderator = user(3, "Mod", Role::Moderator);
    categories(&service, &moderator, &ann).await;
    let public = json!({"name": "Public"});
    let public = service.post(&moderator, "/categories", public).await.expect(201);
    threads(&service, public.id(), [&ann, &bob, &moderator]).await;
    lists(&service, public.id(), &ann).await;
    posts(&service, public.id(), [&ann, &bob, &moderator]).await;
    long_texts(&service, public.id(), [&ann, &bob, &moderator]).await;
    service.root.stop_and_wait(None, Some(Duration::from_secs(10))).await.unwrap();
}

const NOBODY: Principal = Principal::Anonymous;

async fn categories(service: &Service, moderator: &Principal, ann: &Principal) {
    service.post(&NOBODY, "/categories", json!({})).await.expect(401);
    service.post(ann, "/categories", json!({"name": "x"})).await.expect(403);
    service.post(moderator, "/categories", json!({"nme": "x"})).await.expect(422);
    let staff = json!({"name": "Staff", "read_role": "moderator", "position": 2});
    let staff = service.post(moderator, "/categories", staff).await.expect(201);
    let child = json!({"name": "Staff", "parent_id": staff.id()});
    let child = service.post(moderator, "/categories", child).await.expect(201);
    assert_eq!(child.body["slug"], "staff-2");
    let below = json!({"name": "x", "parent_id": child.id()});
    service.post(moderator, "/categories", below).await.expect(422);
    // The child is hidden with its parent, and found again with it.
    assert_eq!(service.get(&NOBODY, "/categories").await.expect(200).count(), 0);
    let path = format!("/categories/{}", staff.id());
    service.get(ann, &path).await.expect(404);
    let edit = |body| service.send(moderator, Method::PATCH, &path, Some(staff.tag()), Some(body));
    edit(json!({"read_role": null, "description": "d"})).await.expect(200);
    edit(json!({"name": "x"})).await.expect(412);
    assert_eq!(service.get(&NOBODY, "/categories").await.expect(200).count(), 2);
    let delete = |path| service.send(moderator, Method::DELETE, path, None, None);
    delete(&path).await.expect(409);
    let below = format!("/categories/{}", child.id());
    delete(&below).await.expect(204);
    delete(&path).await.expect(204);
    delete(&path).await.expect(404);
}

async fn threads(service: &Service, category: &str, [ann, bob, moderator]: [&Principal; 3]) {
    let new = json!({"category_id": category, "title": " Hé ", "body": "*b*", "tags": ["A b"]});
    service.post(&NOBODY, "/threads", new.clone()).await.expect(401);
    let thread = service.post(ann, "/threads", new).await.expect(201);
    let path = format!("/threads/{}", thread.id());
    assert_eq!(thread.headers[header::LOCATION], format!("/api/v2/forum{path}"));
    let shown = service.get(ann, &path).await.expect(200);
    assert_eq!((&shown.body, shown.tag()), (&thread.body, thread.tag()));
    let shown = service.get(&NOBODY, &path).await.expect(200);
    assert_eq!(shown.body.get("watching"), None);
    assert_eq!(shown.body["title"], "Hé");
    assert_eq!(shown.body["slug"], "he");
    assert_eq!(shown.body["tags"], json!(["a-b"]));
    assert_eq!(shown.body["author"], json!({"id": "0000000000001", "name": "Ann"}));
    let edit = |who, tag, body| service.send(who, Method::PATCH, &path, tag, Some(body));
    edit(bob, None, json!({"title": "x"})).await.expect(403);
    edit(ann, None, json!({"title": null})).await.expect(422);
    edit(ann, None, json!({"pinned": true})).await.expect(422);
    let edited = edit(ann, Some(thread.tag()), json!({"tags": ["c"]})).await.expect(200);
    assert_eq!(edited.body["tags"], json!(["c"]));
    edit(ann, Some(thread.tag()), json!({"tags": []})).await.expect(412);
    assert_eq!(service.get(&NOBODY, "/threads?tag=C").await.expect(200).count(), 1);
    assert_eq!(service.get(&NOBODY, "/threads?tag=a-b").await.expect(200).count(), 0);
    let delete = |who| service.send(who, Method::DELETE, &path, None, None);
    delete(bob).await.expect(403);
    delete(ann).await.expect(204);
    service.get(ann, &path).await.expect(404);
    service.get(ann, &format!("{path}/posts")).await.expect(404);
    assert_eq!(service.get(moderator, &path).await.expect(200).body["deleted"], true);
    assert_eq!(service.get(&NOBODY, "/threads?tag=c").await.expect(200).count(), 0);
}

async fn lists(service: &Service, category: &str, ann: &Principal) {
    for n in 0..5 {
        let new = json!({"category_id": category, "title": format!("t{n}"), "body": "b",
            "tags": [if n % 2 == 0 { "even" } else { "odd" }]});
        service.post(ann, "/threads", new).await.expect(201);
    }
    for filter in ["", "sort=created", "sort=top", "sort=activity"] {
        for (also, count) in [("", 5), ("tag=even", 3)] {
            let path = format!("/threads?{filter}&{also}&category={category}&limit=2");
            let mut titles = Vec::new();
            let mut page = service.get(&NOBODY, &path).await.expect(200).body;
            loop {
                let items = page["items"].as_array().unwrap();
                titles.extend(items.iter().map(|t| t["title"].as_str().unwrap().to_owned()));
                let Some(cursor) = page["next_cursor"].as_str() else { break };
                page =
                    service.get(&NOBODY, &format!("{path}&cursor={cursor}")).await.expect(200).body;
            }
            let mut ordered = titles.clone();
            ordered.sort_unstable_by(|a, b| b.cmp(a));
            assert_eq!((titles.len(), &titles), (count, &ordered), "{path}");
        }
    }
    for (query, status) in
        [("limit=0", 422), ("sort=x", 422), ("category=x", 422), ("cursor=x", 400)]
    {
        service.get(&NOBODY, &format!("/threads?{query}")).await.expect(status);
    }
}

async fn posts(service: &Service, category: &str, [ann, bob, moderator]: [&Principal; 3]) {
    let new = json!({"category_id": category, "title": "t", "body": "first", "tags": ["x"]});
    let thread = service.post(ann, "/threads", new).await.expect(201);
    let path = format!("/threads/{}/posts", thread.id());
    let opening = service.get(&NOBODY, &path).await.expect(200).body["items"][0].clone();
    assert_eq!((&opening["number"], &opening["body"]), (&json!(1), &json!("first")));
    let answer = json!({"body": "<b>&", "reply_to": opening["id"], "quote": opening["id"]});
    let reply = service.post(bob, &path, answer).await.expect(201);
    assert_eq!(reply.body["number"], 2);
    assert_eq!(reply.body["quote"], opening["id"]);
    assert_eq!(reply.body["body_html"], "<p>&lt;b&gt;&amp;</p>\n");
    let at = format!("/posts/{}", reply.id());
    let shown = service.get(bob, &at).await.expect(200);
    assert_eq!((&shown.body, shown.tag()), (&reply.body, reply.tag()));
    let foreign = json!({"body": "x", "reply_to": thread.id()});
    service.post(bob, &path, foreign).await.expect(422);
    service.post(bob, "/threads/0000000000009/posts", json!({"body": "x"})).await.expect(404);
    service.post(bob, &path, json!({"body": " \n"})).await.expect(422);
    let edit = |who, tag| service.send(who, Method::PATCH, &at, tag, Some(json!({"body": "new"})));
    edit(ann, None).await.expect(403);
    let edited = edit(bob, Some(reply.tag())).await.expect(200);
    assert!(edited.body["edited_at"].is_string());
    edit(bob, Some(reply.tag())).await.expect(412);
    let delete = |who, at| service.send(who, Method::DELETE, at, None, None);
    let first = format!("/posts/{}", opening["id"].as_str().unwrap());
    delete(ann, &first).await.expect(409);
    delete(bob, &at).await.expect(204);
    service.get(bob, &at).await.expect(404);
    assert_eq!(service.get(moderator, &at).await.expect(200).body["body"], "new");
    service.post(ann, &path, json!({"body": "third"})).await.expect(201);
    let page = service.get(&NOBODY, &format!("{path}?limit=2")).await.expect(200).body;
    assert_eq!(page["items"][1]["deleted"], true);
    assert_eq!(page["items"][1]["body"], "");
    let rest = format!("{path}?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = service.get(&NOBODY, &rest).await.expect(200).body;
    assert_eq!(rest["items"][0]["number"], 3);
    assert_eq!(rest["next_cursor"], Value::Null);
    let top = service.get(&NOBODY, "/threads?sort=top&tag=x").await.expect(200).body;
    assert_eq!(
        (&top["items"][0]["reply_count"], &top["items"][0]["id"]),
        (&json!(1), &thread.body["id"])
    );
}

/// While no long text can be rendered, who may not write one hears of that, and short ones are
/// written.
async fn long_texts(service: &Service, category: &str, [ann, bob, moderator]: [&Principal; 3]) {
    let long = json!({"body": "long ".repeat(1_000)});
    let new = |category: &str, body: &Value| json!({"category_id": category, "title": "t", "body": body["body"]});
    let thread = service.post(ann, "/threads", new(category, &json!({"body": "b"}))).await;
    let path = format!("/threads/{}/posts", thread.expect(201).id());
    let news = json!({"name": "News", "post_role": "moderator"});
    let news = service.post(moderator, "/categories", news).await.expect(201);
    let reply = service.post(ann, &path, long.clone()).await.expect(201);
    assert_eq!(reply.body["body_html"].as_str().unwrap().len(), 4_999 + "<p></p>\n".len());
    let at = format!("/posts/{}", reply.id());
    let edit = |who, tag| service.send(who, Method::PATCH, &at, tag, Some(long.clone()));

    let full = std::iter::from_fn(|| service.renderer.texts().enter().ok()).collect::<Vec<_>>();
    assert!(!full.is_empty());
    service.post(&NOBODY, &path, long.clone()).await.expect(401);
    service.post(bob, "/threads/0000000000009/posts", long.clone()).await.expect(404);
    service.post(bob, "/threads", new(news.id(), &long)).await.expect(403);
    edit(bob, None).await.expect(403);
    edit(ann, Some("\"7-0\"")).await.expect(412);
    for busy in [
        service.post(bob, &path, long.clone()).await,
        service.post(bob, "/threads", new(category, &long)).await,
        edit(ann, Some(reply.tag())).await,
    ] {
        assert_eq!(busy.expect(503).body["detail"], "too many long texts at once");
    }
    service.post(bob, &path, json!({"body": "short"})).await.expect(201);
    drop(full);
    service.post(bob, &path, long.clone()).await.expect(201);
    edit(ann, Some(reply.tag())).await.expect(200);
}

#[test]
fn routes_are_documented_with_full_paths() {
    let document = serde_json::to_value(crate::api::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.keys().all(|path| path.starts_with("/api/v2/forum/")), "{paths:?}");
    let mut names = Vec::new();
    for operation in paths.values().flat_map(|path| path.as_object().unwrap().values()) {
        assert_eq!(operation["tags"], json!(["forum"]));
        names.push(operation["operationId"].as_str().unwrap());
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 73);
    let thread = &document["components"]["schemas"]["Thread"];
    let required = thread["required"].as_array().unwrap();
    assert!(required.contains(&json!("tags")) && !required.contains(&json!("deleted")));
    assert!(thread["properties"].get("version").is_none());
    // Whatever is referred to is there.
    let text = document.to_string();
    for name in
        text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap())
    {
        assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
    }
}
