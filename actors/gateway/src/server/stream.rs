//! What a connection runs over: the socket itself, or TLS on it.

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

/// A connection's bytes as they are meant. TLS is boxed: most of what it holds is of no concern to a
/// connection in the clear.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;
