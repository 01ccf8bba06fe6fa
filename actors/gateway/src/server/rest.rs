//! A connection on which nothing is said keeps next to nothing.
//!
//! hyper keeps two buffers of 8 KiB for each that is open. Most of those that are open wait for a request that may
//! come or not; so when nothing was said for a moment hyper's part is dropped, and made anew when the client speaks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use prometheus::IntGauge;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, Sleep};

use super::stream::Stream;
use super::wire::{Progress, Turn, Wire};

/// How long nothing is said before a connection rests: longer than a browser takes between two requests for one page.
const QUIET: Duration = Duration::from_millis(250);
/// What is read of what the client says first: hyper reads the rest.
const FIRST: usize = 64;
/// For the last word, which nobody may be there to hear.
const FAREWELL: Duration = Duration::from_secs(1);

/// Notices when a connection has become quiet. It looks now and then, so that a request costs no timer.
pub(super) struct Quiet {
    turn: Arc<Turn>,
    /// The next look.
    look: Pin<Box<Sleep>>,
    /// How far the connection was at the last one.
    seen: Progress,
    /// Whether it may rest. It may not while it waits for the rest of a head: the time for that runs on.
    may_rest: bool,
}

impl Quiet {
    pub(super) fn of(turn: &Arc<Turn>) -> Self {
        let look = Box::pin(tokio::time::sleep(QUIET));
        Self { turn: Arc::clone(turn), look, seen: turn.progress(), may_rest: true }
    }

    /// Ready once nothing was said for a moment, and the client is to speak next.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.look.as_mut().poll(context).is_ready() {
            let now = self.turn.progress();
            let before = std::mem::replace(&mut self.seen, now);
            self.may_rest |= before.requests != now.requests;
            self.look.as_mut().reset(Instant::now() + QUIET);
            if before == now && self.may_rest && self.turn.is_clients() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// The client has begun to say something: it does not rest until that was a request.
    pub(super) fn wait_for_more(&mut self) {
        self.may_rest = false;
    }
}

/// Waits for what the client says next: its beginning; `None` if it says nothing in that time, or is gone.
pub(super) async fn rest(wire: &mut Wire<Stream>, head_timeout: Duration) -> Option<Bytes> {
    let mut first = [0; FIRST];
    let patience = head_timeout.saturating_sub(QUIET);
    match tokio::time::timeout(patience, wire.read(&mut first)).await {
        Ok(Ok(read @ 1..)) => first.get(..read).map(Bytes::copy_from_slice),
        Ok(Ok(0) | Err(_)) | Err(_) => None,
    }
}

/// Ends a connection on which nothing more is said: under TLS the client is told that it is no accident.
pub(super) async fn farewell(mut wire: Wire<Stream>) {
    drop(tokio::time::timeout(FAREWELL, wire.shutdown()).await);
}

/// One more that rests, until this is dropped.
pub(super) struct Resting<'g>(Option<&'g IntGauge>);

impl<'g> Resting<'g> {
    pub(super) fn begin(counted: Option<&'g IntGauge>) -> Self {
        counted.inspect(|counted| counted.inc());
        Self(counted)
    }
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.0.inspect(|counted| counted.dec());
    }
}
