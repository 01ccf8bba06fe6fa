//! From a connection to a greeted peer, on both sides. Everything here happens within one time
//! limit and before anything of ours knows of the connection.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use panel_kernel::ids::random_hex;
use panel_kernel::supervision::{Address, CallFailed};
use tokio::net::{TcpSocket, TcpStream};

use crate::arrival::{Arrival, Dialed};
use crate::failed::Failed;
use crate::hello::{self, Answer, Hello};
use crate::messages::{RosterMessage, Verdict};
use crate::rules::{self, Refused};
use crate::security::Security;

/// For everything up to the last word of the greeting.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);
/// For one address of several.
const ADDRESS: Duration = Duration::from_millis(1_200);
/// For the roster to make up its mind.
const CONSIDER: Duration = Duration::from_secs(1);

/// What both sides of a greeting need.
#[derive(Clone, Debug)]
pub(crate) struct Greeter {
    /// What we say of ourselves; each connection has a token of its own.
    pub(crate) me: Hello,
    pub(crate) security: Security,
    pub(crate) roster: Address<RosterMessage>,
    /// From which of our addresses we dial; any if it is unspecified.
    pub(crate) from: IpAddr,
}

impl Greeter {
    /// Dials an address and greets whoever answers.
    pub(crate) async fn dial(&self, address: &str) -> Result<Dialed, Failed> {
        within(self.dial_unlimited(address)).await
    }

    /// Greets whoever has connected. `None`: it only knocked.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Result<Option<Arrival>, Failed> {
        within(self.accept_unlimited(stream)).await
    }

    async fn dial_unlimited(&self, address: &str) -> Result<Dialed, Failed> {
        let stream = self.connect(address).await?;
        let (mut stream, certified) = self.security.dial(stream).await?;
        let me = self.hello();
        hello::send(&mut stream, &me).await?;
        let (peer, linked) = match hello::receive(&mut stream).await? {
            Answer::Welcome { hello } => (hello, true),
            Answer::Redial { hello } => (hello, false),
            Answer::Refused { label, .. } if label == Refused::Myself.label() => {
                return Err(Refused::Myself.into());
            }
            Answer::Refused { reason, .. } => {
                return Err(Failed::new("refused_there", format!("it refused: {reason}")));
            }
        };
        rules::check(&me, &peer, certified.as_ref())?;
        let expires = certified.map(|certified| certified.not_after);
        if !linked {
            return Ok(Dialed::Knocked(peer));
        }
        Ok(Dialed::Linked(Arrival { stream, peer, token: me.token, dialed: true, expires }))
    }

    async fn connect(&self, address: &str) -> Result<TcpStream, Failed> {
        let found = tokio::net::lookup_host(address).await;
        let found = found.map_err(|error| Failed::new("unreachable", error.to_string()))?;
        let found: Vec<SocketAddr> = found.collect();
        // One that swallows everything must leave time for the others.
        let patience = if found.len() > 1 { ADDRESS } else { LIMIT };
        let mut last = Failed::new("unreachable", "its name has no address");
        for target in found {
            let connected = tokio::time::timeout(patience, self.connect_to(target)).await;
            match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Failed::new("unreachable", error.to_string()),
            }
        }
        Err(last)
    }

    /// From the address we listen on, if it says which: a machine may have several, and the
    /// others' rules may know us by this one.
    async fn connect_to(&self, target: SocketAddr) -> io::Result<TcpStream> {
        let socket = if target.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        let may_reach = self.from.is_ipv4() == target.is_ipv4()
            && self.from.is_loopback() == target.ip().is_loopback();
        if !self.from.is_unspecified() && may_reach {
            socket.bind(SocketAddr::new(self.from, 0))?;
        }
        let stream = socket.connect(target).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn accept_unlimited(&self, stream: TcpStream) -> Result<Option<Arrival>, Failed> {
        stream.set_nodelay(true)?;
        let (mut stream, certified) = self.security.accept(stream).await?;
        let peer: Hello = hello::receive(&mut stream).await?;
        let me = self.hello();
        let verdict = match rules::check(&me, &peer, certified.as_ref()) {
            Err(refused) => Verdict::Refused(refused),
            Ok(()) => self.consider(&peer).await?,
        };
        let expires = certified.map(|certified| certified.not_after);
        let token = me.token.clone();
        let answer = match &verdict {
            Verdict::Welcome => Answer::Welcome { hello: me },
            Verdict::Redial => Answer::Redial { hello: me },
            Verdict::Refused(refused) => {
                let label = refused.label().to_owned();
                Answer::Refused { reason: refused.to_string(), label }
            }
        };
        hello::send(&mut stream, &answer).await?;
        match verdict {
            Verdict::Welcome => Ok(Some(Arrival { stream, peer, token, dialed: false, expires })),
            Verdict::Redial => Ok(None),
            Verdict::Refused(refused) => Err(refused.into()),
        }
    }

    async fn consider(&self, peer: &Hello) -> Result<Verdict, Failed> {
        let peer = Box::new(peer.clone());
        let asked = self.roster.call(|port| RosterMessage::Consider(peer, port), CONSIDER).await;
        asked.map_err(|error: CallFailed| Failed::new("not_ready", error.to_string()))
    }

    fn hello(&self) -> Hello {
        Hello { token: random_hex(), ..self.me.clone() }
    }
}

async fn within<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, Failed> {
    let limited = tokio::time::timeout(LIMIT, Box::pin(work)).await;
    limited.unwrap_or_else(|_| Err(Failed::new("timeout", "it took longer than 5 s")))
}
