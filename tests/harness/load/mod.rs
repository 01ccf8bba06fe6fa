//! Clients that read and write a thread of the forum, and remember every request and its end.
//!
//! Each client has one request at a time, on a connection that it keeps. Every write has a body of
//! its own, its [`Marker`], so that afterwards everybody can see what became of it. What came of
//! it all is judged by [`checks`](crate::checks).

mod client;
mod history;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::forum::Thread;
use crate::session::Session;
use client::LoadClient;
pub use history::{Entry, History, Kind, Latency, Marker, Outcome, Silence};

/// Requests that are remembered, if nothing else is said: some 150 MB.
const LIMIT: usize = 1_000_000;

/// A load being put together.
#[derive(Clone, Debug)]
pub struct Load {
    plan: Plan,
    sessions: Vec<Session>,
    anonymous: usize,
}

/// What all clients know.
#[derive(Clone, Debug)]
struct Plan {
    load: u32,
    thread: Thread,
    gateways: Vec<String>,
    writes: u32,
    keys: bool,
    resend: Option<Duration>,
    patience: Duration,
    pause: Option<Duration>,
    refresh: Option<Duration>,
    limit: usize,
}

impl Load {
    /// On this thread, by nobody yet: one request in ten of those who are signed in is a write.
    #[must_use]
    pub fn on(thread: &Thread) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let plan = Plan {
            load: COUNT.fetch_add(1, Ordering::Relaxed),
            thread: thread.clone(),
            gateways: Vec::new(),
            writes: 10,
            keys: false,
            resend: None,
            patience: Duration::from_secs(30),
            pause: None,
            refresh: None,
            limit: LIMIT,
        };
        Self { plan, sessions: Vec::new(), anonymous: 0 }
    }

    /// Through this gateway, `host:port`. With several, the clients begin at different ones, and
    /// a client whose connection fails goes on to the next, as a load balancer would: with every
    /// request that was not sent, and with reads that were. That counts as a failover.
    #[must_use]
    pub fn through(mut self, gateway: impl Display) -> Self {
        self.plan.gateways.push(gateway.to_string());
        self
    }

    /// By a client more for each of these, who read and write.
    #[must_use]
    pub fn signed_in(mut self, sessions: impl IntoIterator<Item = Session>) -> Self {
        self.sessions.extend(sessions);
        self
    }

    /// By so many clients more that are nobody, and only read.
    #[must_use]
    pub const fn anonymous(mut self, clients: usize) -> Self {
        self.anonymous += clients;
        self
    }

    /// With so many writes in a hundred requests of those who are signed in.
    ///
    /// # Panics
    /// If it is more than 100.
    #[must_use]
    pub fn writes(mut self, percent: u32) -> Self {
        assert!(percent <= 100, "{percent} per cent");
        self.plan.writes = percent;
        self
    }

    /// With an idempotency key of the client's own on each write.
    #[must_use]
    pub const fn keys(mut self) -> Self {
        self.plan.keys = true;
        self
    }

    /// By clients who send what was not answered again, writes with the same key of their own,
    /// until it is or this time is over since the first attempt.
    #[must_use]
    pub const fn resend(mut self, within: Duration) -> Self {
        self.plan.resend = Some(within);
        self.keys()
    }

    /// By clients who wait this long for an answer (30 s if not said).
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.plan.patience = patience;
        self
    }

    /// By clients who rest this long after each request.
    #[must_use]
    pub const fn pause(mut self, pause: Duration) -> Self {
        self.plan.pause = Some(pause);
        self
    }

    /// By clients who change their tokens that often: an access token is good for ten minutes.
    /// Each session must be that of one client alone then.
    #[must_use]
    pub const fn refresh_every(mut self, time: Duration) -> Self {
        self.plan.refresh = Some(time);
        self
    }

    /// Ends by itself at so many requests (a million if not said), so that what is remembered is
    /// bounded and nothing is forgotten.
    #[must_use]
    pub const fn limit(mut self, requests: usize) -> Self {
        self.plan.limit = requests;
        self
    }

    /// Begins. Must be called within a runtime.
    ///
    /// # Panics
    /// If no gateway or no client was named.
    #[must_use]
    pub fn start(self) -> Running {
        assert!(!self.plan.gateways.is_empty(), "a load goes through a gateway");
        let sessions = self.sessions.into_iter().map(Some);
        let sessions = sessions.chain(std::iter::repeat_with(|| None).take(self.anonymous));
        let (plan, record) = (Arc::new(self.plan), Arc::new(Record::default()));
        let clients: Vec<_> = (0..)
            .zip(sessions)
            .map(|(number, session)| {
                let client = LoadClient::new(number, session, &plan, &record);
                tokio::spawn(client.run())
            })
            .collect();
        assert!(!clients.is_empty(), "a load has clients");
        Running { record, clients }
    }

    /// Begins, lasts so long, and ends.
    pub async fn run_for(self, time: Duration) -> History {
        let running = self.start();
        tokio::time::sleep(time).await;
        running.stop().await
    }
}

/// What all clients write into.
#[derive(Debug, Default)]
struct Record {
    is_over: AtomicBool,
    acknowledged: AtomicUsize,
    entries: Mutex<Vec<Entry>>,
}

impl Record {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Remembers a request; at the limit, it was one of the last. Those that are under way still
    /// come, one for each client.
    fn add(&self, entry: Entry, limit: usize) {
        let is_acknowledged_write = entry.is_acknowledged_write();
        let mut entries = self.entries.lock();
        entries.push(entry);
        if entries.len() >= limit {
            self.is_over.store(true, Ordering::Relaxed);
        }
        drop(entries);
        self.acknowledged.fetch_add(usize::from(is_acknowledged_write), Ordering::Relaxed);
    }
}

/// A load under way. Dropping it ends it in the middle of its requests.
#[derive(Debug)]
pub struct Running {
    record: Arc<Record>,
    clients: Vec<JoinHandle<()>>,
}

impl Running {
    /// How many writes were acknowledged so far. To be waited for, with
    /// [`eventually`](crate::eventually()).
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.record.acknowledged.load(Ordering::Relaxed)
    }

    /// How many requests have ended so far.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.record.entries.lock().len()
    }

    /// What has ended so far; a copy.
    #[must_use]
    pub fn history(&self) -> History {
        History::new(self.record.entries.lock().clone())
    }

    /// Ends it: every client's request is the last, and is waited for, as long as its client
    /// does.
    pub async fn stop(mut self) -> History {
        self.record.is_over.store(true, Ordering::Relaxed);
        for client in &mut self.clients {
            client.await.unwrap();
        }
        self.history()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}
