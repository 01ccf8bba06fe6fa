//! One client of a load.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use super::{Entry, Kind, Marker, Outcome, Plan, Record, Silence};
use crate::http::{Answer, Client, NoAnswer, RequestBuilder};
use crate::session::Session;

/// After a failure, and before a request is sent again.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct LoadClient {
    number: u32,
    session: Option<Session>,
    /// When its tokens were changed last, and how often.
    refreshed: (Instant, u32),
    /// One for each gateway, and which it talks to.
    gateways: Vec<Client>,
    at: usize,
    plan: Arc<Plan>,
    record: Arc<Record>,
    requests: u32,
    writes: u32,
    /// The page of posts that it reads next.
    cursor: Option<String>,
}

impl LoadClient {
    pub(super) fn new(
        number: u32,
        session: Option<Session>,
        plan: &Arc<Plan>,
        record: &Arc<Record>,
    ) -> Self {
        let gateways: Vec<Client> = plan.gateways.iter().map(Client::new).collect();
        Self {
            number,
            session,
            refreshed: (Instant::now(), 0),
            at: number as usize % gateways.len(),
            gateways,
            plan: Arc::clone(plan),
            record: Arc::clone(record),
            requests: 0,
            writes: 0,
            cursor: None,
        }
    }

    pub(super) async fn run(mut self) {
        while !self.record.is_over() {
            self.keep_signed_in().await;
            let kind = self.next_kind();
            let entry = self.ask(kind).await;
            let failed = !entry.outcome.is_done();
            self.record.add(entry, self.plan.limit);
            match self.plan.pause {
                Some(pause) => tokio::time::sleep(pause).await,
                // Who is refused at once would do nothing but ask.
                None if failed => tokio::time::sleep(PAUSE).await,
                None => {}
            }
        }
    }

    /// Writes evenly among reads, not all clients at the same time; reads in turn.
    fn next_kind(&mut self) -> Kind {
        let turn = self.requests.wrapping_add(self.number.wrapping_mul(13));
        self.requests = self.requests.wrapping_add(1);
        // 37 and 100 have no common factor: each of a hundred requests has another remainder.
        if self.session.is_some() && turn.wrapping_mul(37) % 100 < self.plan.writes {
            Kind::Reply
        } else if turn.is_multiple_of(2) {
            Kind::ListPosts
        } else {
            Kind::ReadThread
        }
    }

    /// Asks until there is an answer or no reason to ask again.
    async fn ask(&mut self, kind: Kind) -> Entry {
        let marker = (kind == Kind::Reply).then(|| self.next_marker());
        let started = Instant::now();
        let (mut failovers, mut resent) = (0_u16, 0_u16);
        let result = loop {
            let error = match self.request(kind, marker).send().await {
                Ok(answer) => break Ok(answer),
                Err(error) => error,
            };
            self.at = (self.at + 1) % self.gateways.len();
            let untried = usize::from(failovers) + 1 < self.gateways.len();
            let resends = self.plan.resend.is_some_and(|within| started.elapsed() < within);
            if untried && goes_on(&error, kind) {
                failovers += 1;
            } else if resends {
                resent = resent.saturating_add(1);
                tokio::time::sleep(PAUSE).await;
            } else {
                break Err(error);
            }
        };
        let ended = Instant::now();
        let staleness = result.as_ref().map_or(Duration::ZERO, Answer::staleness);
        let (outcome, seen) = match result {
            Ok(answer) => self.understand(kind, &answer),
            Err(NoAnswer::NotConnected(_)) => (Outcome::Silent(Silence::NotConnected), None),
            Err(NoAnswer::Lost(_)) => (Outcome::Silent(Silence::Lost), None),
            Err(NoAnswer::TimedOut) => (Outcome::Silent(Silence::TimedOut), None),
        };
        let client = self.number;
        Entry { client, kind, marker, started, ended, outcome, seen, staleness, failovers, resent }
    }

    fn next_marker(&mut self) -> Marker {
        self.writes += 1;
        Marker { load: self.plan.load, client: self.number, write: self.writes }
    }

    fn request(&self, kind: Kind, marker: Option<Marker>) -> RequestBuilder {
        let (method, path) = match (kind, &self.cursor) {
            (Kind::Reply, _) => (Method::POST, self.plan.thread.posts.clone()),
            (Kind::ReadThread, _) => (Method::GET, self.plan.thread.path.clone()),
            (Kind::ListPosts, None) => {
                (Method::GET, format!("{}?limit=100", self.plan.thread.posts))
            }
            (Kind::ListPosts, Some(cursor)) => {
                let posts = &self.plan.thread.posts;
                (Method::GET, format!("{posts}?limit=100&cursor={cursor}"))
            }
        };
        let mut request = self.gateways[self.at].request(method, &path);
        request = request.patience(self.plan.patience);
        if let Some(session) = &self.session {
            request = request.bearer(&session.access_token);
        }
        if let Some(marker) = marker {
            let body = marker.to_string();
            if self.plan.keys {
                request = request.idempotency_key(&body);
            }
            request = request.json(&json!({"body": body}));
        }
        request
    }

    /// What an answer means, and the highest number of a post in it.
    fn understand(&mut self, kind: Kind, answer: &Answer) -> (Outcome, Option<u64>) {
        let status = answer.status.as_u16();
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if !answer.status.is_success() {
            let kind = body["type"].as_str().and_then(|kind| kind.strip_prefix("/problems/"));
            let problem = kind.unwrap_or("unreadable").into();
            return (Outcome::Refused { status, problem }, None);
        }
        let seen = match kind {
            Kind::Reply => body["number"].as_u64(),
            // The opening post is none of the replies.
            Kind::ReadThread => body["reply_count"].as_u64().map(|replies| replies + 1),
            Kind::ListPosts => body["items"].as_array().and_then(|items| {
                let last = items.last();
                last.map_or(Some(0), |post| post["number"].as_u64())
            }),
        };
        if kind == Kind::ListPosts
            && let Some(cursor) = body["next_cursor"].as_str()
        {
            self.cursor = Some(cursor.to_owned());
        }
        match seen {
            Some(_) => (Outcome::Done(status), seen),
            None => (Outcome::Refused { status, problem: "unreadable".into() }, None),
        }
    }

    /// Changes the tokens if it is time; if that fails, at the next request again, with the same
    /// key: without it, that would be a token used twice.
    async fn keep_signed_in(&mut self) {
        let (Some(every), Some(session)) = (self.plan.refresh, &mut self.session) else { return };
        let (last, count) = self.refreshed;
        if last.elapsed() < every {
            return;
        }
        let request = self.gateways[self.at].post("/api/v2/auth/refresh");
        let request = request.json(&json!({"refresh_token": session.refresh_token}));
        let key = format!("refresh-{}-{}-{count}", self.plan.load, self.number);
        let answer = request.idempotency_key(&key).patience(self.plan.patience).send().await;
        let Some(answer) = answer.ok().filter(|answer| answer.status == 200) else { return };
        let tokens: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let (Some(access), Some(refresh)) =
            (tokens["access_token"].as_str(), tokens["refresh_token"].as_str())
        {
            access.clone_into(&mut session.access_token);
            refresh.clone_into(&mut session.refresh_token);
            self.refreshed = (Instant::now(), count + 1);
        }
    }
}

/// Whether a load balancer would try the next gateway.
const fn goes_on(error: &NoAnswer, kind: Kind) -> bool {
    match error {
        NoAnswer::NotConnected(_) => true,
        NoAnswer::Lost(_) => !matches!(kind, Kind::Reply),
        NoAnswer::TimedOut => false,
    }
}
