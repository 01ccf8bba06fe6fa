//! One connection through the proxy, from its first byte to its end.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

use super::faults::{Direction, Faults, Table};
use super::keeper::SOCKET_BUFFER;
use super::leg::Leg;
use super::pump::Pump;
use super::{Counters, Upstream};

/// Between two looks whether a client that nobody answers still waits.
const LOOK: Duration = Duration::from_millis(20);

/// What a connection has to know.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) peer: IpAddr,
    pub(super) upstream: Upstream,
    pub(super) table: watch::Receiver<Table>,
    pub(super) counters: Arc<Counters>,
}

/// The proxy was dropped.
#[derive(Debug)]
pub(super) struct Ended;

impl Way {
    pub(super) fn faults(&mut self) -> Faults {
        self.table.borrow_and_update().of(self.peer)
    }

    pub(super) async fn changed(&mut self) -> Result<(), Ended> {
        self.table.changed().await.map_err(|_| Ended)
    }

    /// Waits until a direction lets bytes through.
    async fn open(&mut self, direction: Direction) -> Result<(), Ended> {
        while self.faults().is_silent(direction) {
            self.changed().await?;
        }
        Ok(())
    }

    /// Waits until both directions let bytes through, as a handshake of TCP needs them; false if
    /// the client has given up before.
    async fn open_for(&mut self, client: &Leg) -> Result<bool, Ended> {
        loop {
            let faults = self.faults();
            if !faults.silent_up && !faults.silent_down {
                return Ok(!client.is_left());
            }
            if client.is_left() {
                return Ok(false);
            }
            tokio::select! {
                changed = self.changed() => changed?,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

/// Counts a connection as open for as long as it is.
struct Present(Arc<Counters>);

impl Present {
    fn new(counters: &Arc<Counters>) -> Self {
        counters.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counters))
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Carries bytes both ways until both have ended, one is broken, or the task is aborted; the
/// latter two reset both sockets.
pub(super) async fn carry(mut client: Leg, mut way: Way) {
    let _present = Present::new(&way.counters);
    match way.open_for(&client).await {
        Ok(true) => {}
        Ok(false) | Err(Ended) => return,
    }
    let Some(stream) = connect(&way.upstream).await else {
        way.counters.refused.fetch_add(1, Ordering::Relaxed);
        return;
    };
    let mut server = Leg::new(stream);
    let broken = {
        let (from_client, to_client) = client.stream.split();
        let (from_server, to_server) = server.stream.split();
        let up = Pump::new(Direction::ToUpstream, way.clone());
        let down = Pump::new(Direction::ToClient, way.clone());
        tokio::try_join!(up.run(from_client, to_server), down.run(from_server, to_client)).err()
    };
    match broken {
        None => {
            client.end();
            server.end();
        }
        // The other end hears of it when it could.
        Some(direction) => drop(way.open(direction).await),
    }
}

async fn connect(upstream: &Upstream) -> Option<TcpStream> {
    let connect = async |address: SocketAddr| -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        // The proxy may be told to reset it before we hear that it is there.
        socket.set_zero_linger()?;
        socket.connect(address).await
    };
    connect(upstream()?).await.ok()
}
