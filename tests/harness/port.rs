//! Ports for servers that have to be told theirs before they start, and keep it when they start again.
//!
//! One that the system was asked for and that was let go of may be given away before the server takes it: to a
//! connection, or to another test, whose server then answers in its place. So these are of those that the system gives
//! to nobody who does not name them, and no two tests have the same one at a time.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as Name, UnixListener};

/// Below these are the servers of the machine.
const FIRST: u16 = 10_000;
/// Which ports the system gives to whoever does not name one.
const GIVEN: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// A port of 127.0.0.1 that no other test takes before this is dropped.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    /// A name that one process can have at a time, and that goes with it.
    _held: UnixListener,
}

impl Port {
    /// One at which nobody listens.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn reserve() -> Self {
        let given = given();
        let mut ports: Vec<u16> = (FIRST..=u16::MAX).filter(|port| !given.contains(port)).collect();
        assert!(!ports.is_empty(), "{GIVEN} leaves no port to be named");
        let first = rand::random_range(..ports.len());
        ports.rotate_left(first);
        let port = ports.into_iter().find_map(|number| {
            let held = hold(number)?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
            TcpListener::bind(address).ok()?;
            Some(Self { address, _held: held })
        });
        port.expect("a port that nobody has")
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.address.port()
    }

    /// The whole address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

fn given() -> RangeInclusive<u16> {
    let range = std::fs::read_to_string(GIVEN).unwrap();
    let mut ends = range.split_whitespace().map(|end| end.parse::<u16>().unwrap());
    ends.next().unwrap()..=ends.next().unwrap()
}

fn hold(number: u16) -> Option<UnixListener> {
    let name = Name::from_abstract_name(format!("panel-test-port-{number}")).unwrap();
    UnixListener::bind_addr(&name).ok()
}
