//! Listens on the control socket and answers.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::RactorMessage;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::OwnedReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::protocol::{MAX_REQUEST, Request};
use super::replies::Replies;
use super::{Control, answers, drain};

/// For a request to be there whole, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the server is told.
#[derive(Debug, RactorMessage)]
pub(super) enum ServerMessage {
    /// The accepting task has ended, for whatever reason.
    Ended,
}

/// Listens on the node's control socket.
pub(super) struct Server {
    /// Opened once: a restart listens on the same socket.
    pub(super) socket: Arc<StdListener>,
    /// Who answers.
    pub(super) control: Control,
    /// For connections.
    pub(super) places: Arc<Semaphore>,
}

impl Actor for Server {
    type Msg = ServerMessage;
    /// Ends the accepting task and the connections when it is dropped.
    type State = DropGuard;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<ServerMessage>,
        (): (),
    ) -> Result<DropGuard, ActorProcessingErr> {
        let listener = UnixListener::from_std(self.socket.try_clone()?)?;
        let shutdown = CancellationToken::new();
        let accepting =
            accept(listener, self.control.clone(), Arc::clone(&self.places), shutdown.clone());
        #[allow(clippy::disallowed_methods, reason = "watched: its end is a message to us")]
        let task = tokio::spawn(accepting);
        #[allow(clippy::disallowed_methods, reason = "ends with the task it watches")]
        tokio::spawn(async move {
            drop(task.await);
            drop(myself.send_message(ServerMessage::Ended));
        });
        Ok(shutdown.drop_guard())
    }

    async fn handle(
        &self,
        _: ActorRef<ServerMessage>,
        ServerMessage::Ended: ServerMessage,
        _: &mut DropGuard,
    ) -> Result<(), ActorProcessingErr> {
        Err("the accepting task ended".into())
    }
}

async fn accept(
    listener: UnixListener,
    control: Control,
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    refuse(&stream, "too many connections to this socket; try again");
                    continue;
                };
                let (control, shutdown) = (control.clone(), shutdown.clone());
                connections.spawn(async move {
                    let _place = place;
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        ended = converse(stream, &control) => if let Err(error) = ended {
                            tracing::debug!(%error, "control connection ended");
                        }
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "can't accept a control connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Says a word without waiting for anybody to take it.
fn refuse(stream: &UnixStream, sentence: &str) {
    if let Err(error) = stream.try_write(format!("{}\n", json!({"error": sentence})).as_bytes()) {
        tracing::debug!(%error, "a control connection was refused without a word");
    }
}

/// Answers requests until there is none for a while.
async fn converse(stream: UnixStream, control: &Control) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != rustix::process::geteuid().as_raw() {
        tracing::warn!(uid = peer, "another account tried the control socket");
        refuse(&stream, "this socket is for the account that runs the node");
        return Ok(());
    }
    let (reader, writer) = stream.into_split();
    let (mut reader, mut replies) = (BufReader::new(reader), Replies(writer));
    loop {
        let line = match next_line(&mut reader).await? {
            Line::Request(line) => line,
            Line::End => return Ok(()),
            Line::TooLate => return replies.error("no request came within 5 s").await,
            Line::TooLong => return replies.error("a request has at most 65536 bytes").await,
        };
        match Request::parse(&line) {
            Err(sentence) => replies.error(&sentence).await?,
            Ok(request) => {
                tracing::debug!(?request, "control request");
                let drains =
                    matches!(&request, Request::Drain { node } if is_own(control, node.as_deref()));
                answer(control, request, &mut replies).await?;
                if drains {
                    return stay(reader, replies);
                }
            }
        }
    }
}

fn is_own(control: &Control, node: Option<&str>) -> bool {
    node.is_none_or(|name| *name == *control.0.runtime.node.name)
}

async fn answer(control: &Control, request: Request, replies: &mut Replies) -> io::Result<()> {
    let answered = match request {
        Request::Status {} => Ok(answers::status(control)),
        Request::Fault { arm, disarm } => answers::fault(arm.as_deref(), disarm.as_deref()),
        Request::Drain { node: Some(name) } if *name != *control.0.runtime.node.name => {
            return drain::another(control, &name, replies).await;
        }
        Request::Drain { .. } => {
            tracing::info!("told to drain over the control socket");
            return drain::own(control, replies).await;
        }
        Request::Kill { actor } => answers::kill(control, &actor),
        Request::Panic { actor } => answers::panic(control, &actor),
        Request::Stall { actor, time } => answers::stall(control, &actor, time.0),
    };
    match answered {
        Ok(done) => replies.done(done).await,
        Err(sentence) => replies.error(&sentence).await,
    }
}

/// Leaves the connection open until the process ends, which is how the other side learns of it.
fn stay(reader: BufReader<OwnedReadHalf>, replies: Replies) -> io::Result<()> {
    let stream = reader.into_inner().reunite(replies.0).map_err(io::Error::other)?;
    // Nobody closes it but the operating system, soon: the server ends next.
    std::mem::forget(stream.into_std()?);
    Ok(())
}

/// What came next.
enum Line {
    Request(Vec<u8>),
    End,
    TooLate,
    TooLong,
}

async fn next_line(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Line> {
    let mut line = Vec::new();
    let most = MAX_REQUEST as u64 + 1;
    let mut bounded = reader.take(most);
    let read = bounded.read_until(b'\n', &mut line);
    match tokio::time::timeout(PATIENCE, read).await {
        Err(_) => return Ok(Line::TooLate),
        Ok(read) => read?,
    };
    let is_whole = line.pop_if(|last| *last == b'\n').is_some();
    Ok(match line.len() {
        // The other side has nothing more to say.
        0 if !is_whole => Line::End,
        length if length > MAX_REQUEST => Line::TooLong,
        _ => Line::Request(line),
    })
}
