//! The proxy's own task: takes connections, and sees to it that faults hold.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::carry::{Way, carry};
use super::faults::{Applied, Table};
use super::leg::Leg;
use super::{CONNECTIONS, Counters, Upstream};

/// After a failure to listen or to accept, such as too many open files.
const PAUSE: Duration = Duration::from_millis(10);
/// What the kernel may take in before we read: little, so that who sends into a silent
/// connection comes to wait soon.
pub(super) const SOCKET_BUFFER: u32 = 64 * 1024;

pub(super) struct Keeper {
    address: SocketAddr,
    /// Keeps the port while nobody listens on it.
    _place: TcpSocket,
    listener: Option<TcpListener>,
    upstream: Upstream,
    table: watch::Receiver<Table>,
    applied: Arc<Applied>,
    counters: Arc<Counters>,
    connections: Vec<Open>,
}

struct Open {
    peer: IpAddr,
    resets: u64,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Listens on a free port. To be called where the runtime is known.
    pub(super) fn new(
        upstream: Upstream,
        table: watch::Receiver<Table>,
        applied: &Arc<Applied>,
        counters: &Arc<Counters>,
    ) -> Self {
        let place = bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = place.local_addr().unwrap();
        Self {
            address,
            _place: place,
            listener: Some(listen(address).unwrap()),
            upstream,
            table,
            applied: Arc::clone(applied),
            counters: Arc::clone(counters),
            connections: Vec::new(),
        }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Works until the proxy is dropped.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                // Faults first: no connection slips by one that holds.
                biased;
                changed = self.table.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.apply().await;
                }
                accepted = accept(self.listener.as_ref()) => match accepted {
                    Ok((stream, from)) => self.admit(stream, from.ip()),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                },
            }
        }
    }

    async fn apply(&mut self) {
        let table = self.table.borrow_and_update().clone();
        if table.everybody.refuses {
            self.listener = None;
        }
        while self.listener.is_none() && !table.everybody.refuses {
            match listen(self.address) {
                Ok(listener) => self.listener = Some(listener),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        for open in &mut self.connections {
            let resets = table.of(open.peer).resets;
            if open.resets != resets {
                open.resets = resets;
                open.task.abort();
                // Its sockets are gone when it has ended.
                drop((&mut open.task).await);
            }
        }
        // One that has ended must not be waited for again.
        self.connections.retain(|open| !open.task.is_finished());
        // Those who carry bytes look at the table before they do, so for them it holds already.
        self.applied.set(table.version);
    }

    fn admit(&mut self, stream: TcpStream, peer: IpAddr) {
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        self.connections.retain(|open| !open.task.is_finished());
        let client = Leg::new(stream);
        let faults = self.table.borrow().of(peer);
        if faults.refuses || self.connections.len() >= CONNECTIONS {
            self.counters.refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let way = Way {
            peer,
            upstream: Arc::clone(&self.upstream),
            table: self.table.clone(),
            counters: Arc::clone(&self.counters),
        };
        let task = tokio::spawn(carry(client, way));
        self.connections.push(Open { peer, resets: faults.resets, task });
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(1_024)
}

/// A socket that may share its port with another of ours: the one that keeps the port, and the one
/// that listens there.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    // Connections get it from the socket that listens.
    socket.set_recv_buffer_size(SOCKET_BUFFER)?;
    socket.bind(address)?;
    Ok(socket)
}
