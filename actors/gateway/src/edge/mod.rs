//! The edge, as a list. What happens to a request, in order:
//!
//! 1. `exchange`: it gets an id and a place in a trace; `client`: and an address
//! 2. `head`: its URL and headers are not too long, its path has one meaning
//! 3. `cors`: browsers' preflights are answered
//! 4. the target: own route, service, gone, nothing
//! 5. `body`: it arrives whole, in time, and is not too large; `upload`: a file goes into the blob store, after 7
//! 6. `authenticate`, `origin`: credentials become a principal; bad ones are refused, and so is what
//!    another site's page would change
//! 7. `limit`: who asks for too much is told to wait; everybody, what they have left
//! 8. `cache`: who sends no credentials may be answered from what is kept
//! 9. dispatch: as a message to a member of the service
//! 10. `conditional`: the answer gets an entity tag; who has it gets 304; `compress`: and is made smaller
//! 11. `file`: what lies in the blob store is read while it is sent, all of it or a part
//! 12. `streams`: an answer that is a stream stays open, and is fed from here, over a WebSocket if asked for
//! 13. `finish`, `cache_status`: security headers (under TLS, that there is TLS), what a CDN may keep, CORS headers, request
//!     id, HEAD without body
//! 14. `explain`: an administrator who asks is told how all that was decided
//! 15. `watch`, `observe`: one log line, two metrics, also if the client has gone meanwhile

mod authenticate;
mod body;
mod cache;
mod cache_status;
mod client;
mod compress;
mod conditional;
mod cors;
mod envelope;
mod exchange;
mod explain;
pub(crate) mod file;
mod finish;
mod head;
mod limit;
mod observe;
mod origin;
mod target;
mod upload;
mod watch;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use http::{HeaderValue, Method, Request, StatusCode, header, request};
use hyper::body::Incoming;
use panel_kernel::message::{Body, Extensions, Payload, Reply};
use panel_kernel::problem::{Kind, Problem};
use panel_kernel::supervision::ChildSpec;
use panel_kernel::time::Clock;

use crate::behind::Behind;
use crate::cache::Cache;
use crate::cdn::Labels;
use crate::config::GatewayConfig;
use crate::dispatch::Dispatcher;
use crate::identity::{Credentials, Identity};
use crate::outgoing::{Content, Outgoing};
use crate::own::Own;
use crate::proxies::Proxies;
use crate::server::{Handler, HttpResponse, Peer};
use crate::streams::handshake::{self, Handshake};
use crate::streams::{Reader, Streams};

pub(crate) use authenticate::Browsers;
pub(crate) use compress::Compressor;
pub(crate) use cors::Cors;
pub(crate) use exchange::Exchange;
pub(crate) use file::Files;
pub(crate) use finish::hsts;
pub(crate) use limit::Limits;
pub(crate) use observe::Observer;
pub(crate) use target::{Target, Targets};
use upload::Receipt;
pub(crate) use upload::Uploads;
use watch::Watch;

/// Everything the edge needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Edge(pub(crate) Arc<EdgeParts>);

pub(crate) struct EdgeParts {
    pub(crate) config: GatewayConfig,
    pub(crate) proxies: Proxies,
    pub(crate) clock: Clock,
    pub(crate) targets: Targets,
    pub(crate) cors: Cors,
    pub(crate) identity: Identity,
    pub(crate) credentials: Credentials,
    pub(crate) browsers: Browsers,
    pub(crate) limits: Limits,
    pub(crate) cache: Cache,
    /// What is done of nobody's connection.
    pub(crate) behind: Behind,
    pub(crate) compressor: Compressor,
    pub(crate) files: Files,
    pub(crate) uploads: Uploads,
    pub(crate) streams: Streams,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) own: Own,
    pub(crate) observer: Observer,
    /// What browsers are told of TLS.
    pub(crate) hsts: Option<HeaderValue>,
    /// What a CDN in front is told with answers.
    pub(crate) cdn: Option<Labels>,
}

impl EdgeParts {
    /// What is told beside the answer: to browsers, and to a CDN.
    fn told(&self) -> (Option<&HeaderValue>, Option<&Labels>) {
        (self.hsts.as_ref(), self.cdn.as_ref())
    }
}

impl Handler for Edge {
    fn handle(
        &self,
        request: Request<Incoming>,
        peer: Peer,
    ) -> impl Future<Output = HttpResponse> + Send {
        // At once: the client may be gone before the answer is begun.
        let (mut parts, body) = request.into_parts();
        head::name_host(&mut parts);
        let method = observe::label(&parts.method);
        let exchange = Exchange::begin(&parts, peer, &self.0.proxies);
        self.watched(Watch::begin(&self.0.observer, method, exchange), parts, body)
    }

    fn refuse(&self, problem: &Problem, peer: Peer) -> HttpResponse {
        let exchange = Exchange::unreadable(peer);
        let mut outgoing = Outgoing::problem(problem, &exchange.request_id);
        finish::headers(&mut outgoing.headers, &exchange, self.0.told());
        Watch::begin(&self.0.observer, observe::OTHER, exchange).answered(outgoing.status);
        outgoing.into_http(&Method::GET)
    }
}

impl Edge {
    async fn watched(
        &self,
        mut watch: Watch<'_>,
        parts: request::Parts,
        body: Incoming,
    ) -> HttpResponse {
        // Boxed first: what is wrapped around it moves it about.
        let answering = Box::pin(self.answer(&mut watch.exchange, &parts, body));
        let outcome = AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!("the edge panicked");
            Err(Problem::internal())
        });
        let (request_id, service) = (&watch.exchange.request_id, watch.exchange.service);
        let mut outgoing = outcome.unwrap_or_else(|mut problem| {
            if problem.kind == Kind::Unavailable && problem.service.is_none() {
                problem.service = service.map(str::to_owned);
            }
            Outgoing::problem(&problem, request_id)
        });
        if let Some(asked) = watch.exchange.explains {
            // Boxed: hardly anybody asks.
            let explained = explain::explained(&self.0, &parts.method, &watch.exchange, asked);
            outgoing.headers.extend(Box::pin(explained).await.map(|told| (explain::NAME, told)));
        }
        finish::headers(&mut outgoing.headers, &watch.exchange, self.0.told());
        Limits::headers(&mut outgoing.headers, &watch.exchange.standings);
        if watch.exchange.clears_cookie {
            finish::without_cookie(&mut outgoing.headers, self.0.browsers.cookie);
        }
        self.0.cors.decorate(&parts.headers, &mut outgoing.headers);
        watch.answered(outgoing.status);
        outgoing.into_http(&parts.method)
    }

    async fn answer(
        &self,
        exchange: &mut Exchange,
        parts: &request::Parts,
        body: Incoming,
    ) -> Result<Outgoing, Problem> {
        let edge = &self.0;
        head::check(parts, &edge.config)?;
        if let Some(answer) = head::without_path(parts, &exchange.request_id) {
            return Ok(answer);
        }
        head::target(&parts.uri)?;
        if let Some(preflight) = edge.cors.preflight(parts) {
            return Ok(preflight);
        }
        let service = match edge.targets.resolve(&parts.method, parts.uri.path())? {
            Target::Own(route) => {
                exchange.route = Some(route.to_owned());
                let answering = edge.own.answer(route, parts, &exchange.request_id);
                let mut outgoing = Box::pin(answering).await?;
                self.represent(parts, &mut outgoing);
                return Ok(outgoing);
            }
            Target::Service(service) => service,
        };
        exchange.service = Some(service);
        let handshake = match Handshake::of(parts) {
            Ok(handshake) => handshake,
            Err(problem) => {
                let mut refusal = Outgoing::problem(&problem, &exchange.request_id);
                refusal.headers.extend([handshake::version()]);
                return Ok(refusal);
            }
        };
        let (principal, body, receipt) = match edge.targets.upload(&parts.method, parts.uri.path())
        {
            // Boxed: most requests bring no file, and need not carry the size of this.
            Some(route) => Box::pin(upload::received(edge, exchange, parts, (route, body))).await?,
            None => {
                let body = body::read(body, parts, &edge.config).await?;
                let principal = authenticate::principal(edge, exchange, parts).await?;
                exchange.explains = explain::asked(parts, &principal);
                (principal, Payload::Inline(body), None)
            }
        };
        let plan = edge.dispatcher.plan(service, parts, &principal);
        let patience = plan.timeout(parts).unwrap_or(edge.config.request_timeout.0);
        let deadline = edge.clock.now().plus(patience);
        exchange.is_canary = plan.is_canary();
        let question = match &body {
            // What is tried is neither shown to others nor taken from them.
            Payload::Inline(body) if body.is_empty() && !plan.is_canary() => {
                edge.cache.question(service, parts, &principal, edge.clock.now())
            }
            _ => None,
        };
        let reader = Reader::of(&principal, exchange.client);
        let canary = plan.canary_header().cloned();
        let envelope = |exchange: &Exchange| {
            let asking = (exchange, edge.browsers.sign_in);
            envelope::build(parts, body, principal, deadline, asking)
        };
        let mut outgoing = match question {
            Some(question) => {
                Box::pin(cache::answer(edge, &question, (envelope, plan), exchange)).await?
            }
            None => {
                let receipt = receipt.map(Receipt::sent);
                let envelope = envelope(exchange)?;
                let mut writing = edge.cache.writing(service, &parts.method, exchange.number);
                let answered = edge.dispatcher.call(service, envelope, &plan).await;
                if let Some(receipt) = receipt {
                    receipt.answered(&answered);
                }
                let answered = answered?;
                writing.answered(&answered.reply);
                exchange.cache_status = cache::bypassed(&answered.reply);
                exchange.member = Some(answered.node);
                exchange.attempts = answered.attempts;
                from_reply(answered.reply, exchange)
            }
        };
        // Other caches on the way keep apart what is tried.
        outgoing.headers.extend(canary.map(|header| (header::VARY, header.into())));
        self.represent(parts, &mut outgoing);
        if let Content::Blob(_) = outgoing.content {
            // Boxed: most answers are none, and need not carry the size of this.
            Box::pin(edge.files.open(parts, &mut outgoing, exchange)).await?;
        }
        edge.streams.open((parts, handshake), &mut outgoing, service, reader)?;
        Ok(outgoing)
    }

    /// Gives an answer its tag and its form, or says that the client has it already.
    fn represent(&self, parts: &request::Parts, outgoing: &mut Outgoing) {
        conditional::apply(parts, outgoing);
        self.0.compressor.apply(parts, outgoing);
        if outgoing.status == StatusCode::NOT_MODIFIED {
            outgoing.headers.remove(header::CONTENT_TYPE);
        }
    }

    /// What removes uploads that came to nothing.
    pub(crate) fn uploads_child(&self) -> ChildSpec {
        self.0.uploads.child()
    }

    /// Waits for what is done of nobody's connection, once that is to end.
    pub(crate) async fn behind_ended(&self) {
        self.0.behind.ended().await;
    }

    /// How long a node that is told to stop goes on as before.
    pub(crate) fn drain_delay(&self) -> Duration {
        self.0.config.drain_delay.0
    }

    /// How long shutdown waits for requests: no request takes longer than its deadline.
    pub(crate) fn longest_request(&self) -> Duration {
        let usual = self.0.config.request_timeout.0;
        self.0.dispatcher.traffic.longest_timeout().map_or(usual, |longest| longest.max(usual))
    }
}

/// A service's reply as it leaves: problems get the request id that only the edge knows.
fn from_reply(reply: Reply, exchange: &mut Exchange) -> Outgoing {
    exchange.route = reply.extensions.text(Extensions::ROUTE).map(str::to_owned);
    let mut body = match reply.body {
        Body::Inline(body) => body,
        Body::Blob(blob) => {
            let content = Content::Blob(blob);
            return Outgoing { status: reply.status, headers: reply.headers, content };
        }
        Body::Stream { topics, after_id } => {
            let content = Content::Stream { topics, after_id };
            return Outgoing { status: reply.status, headers: reply.headers, content };
        }
    };
    let failed = reply.status.is_client_error() || reply.status.is_server_error();
    if failed
        && let Ok(mut problem) = serde_json::from_slice::<serde_json::Value>(&body)
        && let Some(fields) = problem.as_object_mut()
    {
        fields.insert("request_id".to_owned(), exchange.request_id.clone().into());
        if reply.status == StatusCode::SERVICE_UNAVAILABLE
            && let Some(service) = exchange.service
        {
            fields.entry("service").or_insert_with(|| service.into());
        }
        body = serde_json::to_vec(&problem).unwrap_or_default().into();
    }
    let content = Content::Bytes(body);
    Outgoing { status: reply.status, headers: reply.headers, content }
}
