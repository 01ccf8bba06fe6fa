//! Accepts other nodes. Nobody who has not been greeted may cost the others anything: each has
//! five seconds, there is room for so many, and when there is no more, the one that has been
//! silent longest goes. (A greeting takes milliseconds; whoever is oldest is idle.)

use std::collections::VecDeque;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::grievances::Grievances;
use crate::handshake::Greeter;
use crate::messages::RosterMessage;

/// Connections that are being greeted, at most.
const PENDING: usize = 64;
/// Before accepting again after it has failed (no more file descriptors, mostly).
const REST: Duration = Duration::from_millis(50);

/// What accepting needs.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    /// Bound once, when the node starts: a restart accepts on the same socket.
    pub(crate) socket: Arc<StdListener>,
    pub(crate) greeter: Greeter,
    pub(crate) grievances: Grievances,
}

impl Listening {
    /// Accepts for ever.
    pub(crate) async fn run(self) -> Result<(), String> {
        let socket = self.socket.try_clone().map_err(|error| error.to_string())?;
        let listener = TcpListener::from_std(socket).map_err(|error| error.to_string())?;
        let mut greetings = JoinSet::new();
        let mut pending: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = greetings.join_next() => continue,
            };
            let Ok((stream, from)) = accepted else {
                tokio::time::sleep(REST).await;
                continue;
            };
            pending.retain(|greeting| !greeting.is_finished());
            if pending.len() >= PENDING
                && let Some(oldest) = pending.pop_front()
            {
                oldest.abort();
            }
            let who = from.ip().to_string();
            pending.push_back(greetings.spawn(greet(self.clone(), stream, who)));
        }
    }
}

async fn greet(listening: Listening, stream: TcpStream, who: String) {
    match listening.greeter.accept(stream).await {
        Ok(Some(arrival)) => {
            let arrived = RosterMessage::Arrived(Box::new(arrival));
            drop(listening.greeter.roster.send(arrived));
        }
        Ok(None) => {}
        Err(failed) => listening.grievances.incoming(&who, &failed),
    }
}
