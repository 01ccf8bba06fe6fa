//! One of the two sockets of a connection through the proxy.

use futures::FutureExt as _;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A socket that is reset when it is closed, whatever the reason, unless its connection came to
/// an orderly end.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) stream: TcpStream,
}

impl Leg {
    pub(super) fn new(stream: TcpStream) -> Self {
        drop(stream.set_zero_linger());
        // What was sent together shall not wait for more.
        drop(stream.set_nodelay(true));
        Self { stream }
    }

    /// Both directions have ended: closes without a reset.
    pub(super) fn end(self) {
        #[allow(deprecated, reason = "to linger may block when it closes, not to linger does not")]
        drop(self.stream.set_linger(None));
    }

    /// Whether the other end has closed, also behind bytes that nobody has read yet.
    pub(super) fn is_left(&self) -> bool {
        let ready = self.stream.ready(Interest::READABLE).now_or_never();
        ready.is_some_and(|ready| !ready.is_ok_and(|ready| !ready.is_read_closed()))
    }
}
