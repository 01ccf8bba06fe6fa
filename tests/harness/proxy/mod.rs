//! A TCP proxy with faults, to stand between a node and whatever it talks to: another node,
//! PostgreSQL, Redis, a client.
//!
//! ```ignore
//! let proxy = Proxy::start("127.0.0.1:5432");
//! proxy.everybody().cut();                                      // all of them
//! proxy.peer("127.0.1.2".parse().unwrap()).delay(ms(50));       // the one that dials from there
//! proxy.heal();
//! ```
//!
//! A fault holds for open connections and for new ones, from the moment its call returns: what is
//! sent after [`Link::blackhole`] has returned does not arrive. Faults of a peer and of everybody
//! add up: the longer delay, the lower rate, the silence of either.
//!
//! It has a thread and a runtime of its own, so that it works however busy or blocked the test's
//! are. Its memory is bounded: at most [`CONNECTIONS`] connections with at most [`IN_FLIGHT`]
//! bytes on the way in each direction; beyond that, senders wait.

mod carry;
mod faults;
mod keeper;
mod leg;
mod pump;

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

pub use faults::Direction;
use faults::{Applied, Faults, Table};
use keeper::Keeper;

/// Connections at the same time; more are reset.
pub const CONNECTIONS: usize = 1_024;
/// Bytes on the way in one direction of one connection. With a delay this bounds the throughput:
/// 100 ms and 1 MiB make 10 MiB/s.
pub const IN_FLIGHT: usize = 1024 * 1024;

/// Where to connect to; asked at each connection.
type Upstream = Arc<dyn Fn() -> Option<SocketAddr> + Send + Sync>;

/// A running proxy. Dropping it resets every connection and frees its port.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    // An option, because its end tells the keeper to end, and that is before the thread's.
    table: Option<watch::Sender<Table>>,
    applied: Arc<Applied>,
    counters: Arc<Counters>,
    keeper: Option<JoinHandle<()>>,
}

impl Proxy {
    /// In front of one address.
    #[must_use]
    pub fn start(upstream: impl ToSocketAddrs) -> Self {
        let address = upstream.to_socket_addrs().unwrap().next().expect("an address");
        Self::resolving(move || Some(address))
    }

    /// In front of whatever address `upstream` gives when a client connects, such as that of a
    /// node which gets another port at each start. While it gives none, connections are reset as
    /// soon as they are made. It is called on the proxy's thread and must not wait for anything.
    #[must_use]
    pub fn resolving(upstream: impl Fn() -> Option<SocketAddr> + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (table, followed) = watch::channel(Table::default());
        let (applied, counters) = (Arc::<Applied>::default(), Arc::<Counters>::default());
        let keeper = {
            let _entered = runtime.enter();
            Keeper::new(Arc::new(upstream), followed, &applied, &counters)
        };
        let address = keeper.address();
        let thread = std::thread::Builder::new().name(format!("proxy on {address}"));
        let thread = thread.spawn(move || runtime.block_on(keeper.run())).unwrap();
        Self { address, table: Some(table), applied, counters, keeper: Some(thread) }
    }

    /// Where clients connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The faults of all clients.
    pub const fn everybody(&self) -> Link<'_> {
        Link { proxy: self, peer: None }
    }

    /// The faults of the clients that dial from this address. Processes on one machine can be
    /// told apart when each binds its connections to a loopback address of its own, `127.0.1.k`.
    pub const fn peer(&self, peer: IpAddr) -> Link<'_> {
        Link { proxy: self, peer: Some(peer) }
    }

    /// Ends all faults, everybody's and every peer's.
    pub fn heal(&self) {
        self.change(Table::heal);
    }

    /// What went through so far.
    #[must_use]
    pub fn counted(&self) -> Counted {
        let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counted {
            connections: value(&self.counters.connections),
            open: value(&self.counters.open),
            refused: value(&self.counters.refused),
            to_upstream: value(&self.counters.to_upstream),
            to_client: value(&self.counters.to_client),
        }
    }

    /// Returns when the change holds.
    fn change(&self, change: impl FnOnce(&mut Table)) {
        let mut version = 0;
        if let Some(table) = &self.table {
            table.send_modify(|table| version = table.change(change));
        }
        assert!(self.applied.wait_for(version), "the proxy on {} has ended", self.address);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.table.take());
        let ended = self.keeper.take().map_or(Ok(()), JoinHandle::join);
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "the proxy on {} has failed",
            self.address
        );
    }
}

/// What went through a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Connections that clients made, refused ones too.
    pub connections: u64,
    /// Connections that are there now.
    pub open: u64,
    /// Connections that were reset because of a fault, of a missing upstream or of too many others,
    /// before anything went through. Where nobody listens, the proxy does not hear of them.
    pub refused: u64,
    /// Bytes written to the upstream.
    pub to_upstream: u64,
    /// Bytes written to clients.
    pub to_client: u64,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    open: AtomicU64,
    refused: AtomicU64,
    to_upstream: AtomicU64,
    to_client: AtomicU64,
}

/// The faults of everybody or of one peer.
#[derive(Clone, Copy, Debug)]
#[must_use = "it does nothing by itself"]
pub struct Link<'a> {
    proxy: &'a Proxy,
    peer: Option<IpAddr>,
}

impl Link<'_> {
    /// Resets the open connections; new ones are welcome.
    pub fn reset(self) {
        self.change(|faults| faults.resets += 1);
    }

    /// Takes no new connections; open ones go on. Cut for everybody, nobody listens: the kernel
    /// refuses (`ECONNREFUSED`). For one peer of several that is not possible: its connections
    /// are reset as soon as they are made, before or after its `connect` has returned.
    pub fn refuse(self) {
        self.change(|faults| faults.refuses = true);
    }

    /// Resets the open connections (RST) and takes no new ones, as [`Self::refuse`].
    pub fn cut(self) {
        self.change(|faults| {
            faults.resets += 1;
            faults.refuses = true;
        });
    }

    /// Lets nothing through, in both directions, and tells nobody: a partition that drops packets.
    ///
    /// Open connections stay open. Nothing is read from them, so that senders come to wait as
    /// they would on a dead network; what they sent arrives after [`Self::heal`]. A new connection
    /// is made and then silent, because the kernel does that before anybody is asked: to its
    /// client it looks like a host that froze, not like one whose `connect` hangs, and a limit on
    /// the handshake above TCP notices it. The upstream does not see it until the link is healed,
    /// and never if the client gave up before.
    pub fn blackhole(self) {
        self.change(|faults| (faults.silent_up, faults.silent_down) = (true, true));
    }

    /// The same in one direction: what is sent the other way arrives. A new connection needs both
    /// directions, so it is silent as in [`Self::blackhole`].
    pub fn one_way(self, silent: Direction) {
        self.change(|faults| match silent {
            Direction::ToUpstream => faults.silent_up = true,
            Direction::ToClient => faults.silent_down = true,
        });
    }

    /// Makes everything take this much longer, each way: a round trip takes twice as much. The
    /// throughput stays, up to [`IN_FLIGHT`] bytes in each `delay`.
    pub fn delay(self, delay: Duration) {
        self.delay_with_jitter(delay, Duration::ZERO);
    }

    /// The same, and up to `jitter` more, another time for each piece. The order stays, as TCP
    /// keeps it.
    pub fn delay_with_jitter(self, delay: Duration, jitter: Duration) {
        self.change(|faults| (faults.delay, faults.jitter) = (delay, jitter));
    }

    /// Lets no more than this through, in each direction of each connection.
    ///
    /// # Panics
    /// If it is 0: that is [`Self::blackhole`].
    pub fn throttle(self, bytes_per_second: u64) {
        assert!(bytes_per_second > 0, "nothing per second is a blackhole");
        self.change(|faults| faults.rate = Some(bytes_per_second));
    }

    /// Ends these faults; for a peer, not those of everybody. Bytes that are on a slow way arrive
    /// when they would have.
    pub fn heal(self) {
        self.change(Faults::heal);
    }

    fn change(self, change: impl FnOnce(&mut Faults)) {
        self.proxy.change(|table| change(table.entry(self.peer)));
    }
}
