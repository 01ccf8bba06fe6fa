//! What an answer's body is made of: bytes that are there, or content that comes piece by piece.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http_body::{Body, Frame, SizeHint};

use super::wire::Turn;

/// The body of an answer.
pub struct AnswerBody(Inner);

enum Inner {
    Whole(Bytes),
    Pieces {
        pieces: BoxStream<'static, io::Result<Bytes>>,
        /// How many bytes are still to come; `None`: as many as there will be.
        left: Option<u64>,
        /// The connection's, which is the service's until the last of them is on its way.
        turn: Option<Arc<Turn>>,
    },
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Self::Pieces { turn: Some(turn), .. } = self {
            turn.answered();
        }
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AnswerBody({:?})", self.size_hint().exact())
    }
}

impl AnswerBody {
    /// These bytes.
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self(Inner::Whole(bytes))
    }

    /// So many bytes, as they come. If they don't, the connection ends, so that the client knows.
    pub(crate) fn pieces(pieces: BoxStream<'static, io::Result<Bytes>>, length: u64) -> Self {
        Self(Inner::Pieces { pieces, left: Some(length), turn: None })
    }

    /// Whatever comes, until there is no more.
    pub(crate) fn endless(pieces: BoxStream<'static, io::Result<Bytes>>) -> Self {
        Self(Inner::Pieces { pieces, left: None, turn: None })
    }

    /// The answer is on its way, and with the last of it the turn of the service is over.
    pub(super) fn ends(&mut self, turn: &Arc<Turn>) {
        match &mut self.0 {
            Inner::Pieces { left: None | Some(1..), turn: whose, .. } => {
                *whose = Some(Arc::clone(turn));
            }
            Inner::Pieces { .. } | Inner::Whole(_) => turn.answered(),
        }
    }
}

impl Default for AnswerBody {
    fn default() -> Self {
        Self::whole(Bytes::new())
    }
}

impl From<Vec<u8>> for AnswerBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::whole(bytes.into())
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut self.get_mut().0 {
            Inner::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Inner::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Inner::Pieces { left: Some(0), .. } => Poll::Ready(None),
            Inner::Pieces { pieces, left, turn } => {
                let piece = match ready!(pieces.poll_next_unpin(context)) {
                    Some(Ok(piece)) => piece,
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None if left.is_none() => {
                        if let Some(turn) = turn.take() {
                            turn.answered();
                        }
                        return Poll::Ready(None);
                    }
                    None => {
                        let why = "there is less than was announced";
                        return Poll::Ready(Some(Err(io::Error::other(why))));
                    }
                };
                *left = left.map(|left| left.saturating_sub(piece.len() as u64));
                if *left == Some(0)
                    && let Some(turn) = turn.take()
                {
                    turn.answered();
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Pieces { left, .. } => left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
