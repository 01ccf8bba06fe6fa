//! What an answer's body is made of: bytes that are there, content that comes piece by piece, or what takes the
//! whole connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http_body::{Body, Frame, SizeHint};

use super::handover::Handover;
use super::wire::Turn;

/// The body of an answer.
pub struct AnswerBody(Inner);

enum Inner {
    Whole(Bytes),
    Pieces {
        pieces: BoxStream<'static, io::Result<Bytes>>,
        /// How many bytes are still to come.
        left: u64,
        /// The connection's, which is the service's until the last of them is on its way.
        turn: Option<Arc<Turn>>,
    },
    /// What the connection is given to once the head is sent, if it can be. Where it was taken out, nothing
    /// comes here, and no end.
    Handover(Option<Handover>),
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
        Self(Inner::Pieces { pieces, left: length, turn: None })
    }

    /// Whatever this does with the connection, which ends with it.
    pub(crate) const fn handover(to: Handover) -> Self {
        Self(Inner::Handover(Some(to)))
    }

    /// Who is to be given the connection, if anybody is.
    pub(super) fn take_handover(&mut self) -> Option<Handover> {
        let Inner::Handover(to) = &mut self.0 else { return None };
        let to = to.take()?;
        if matches!(to, Handover::Protocol(_)) {
            // Its head is all there is of the answer.
            *self = Self::default();
        }
        Some(to)
    }

    /// The answer is on its way, and with the last of it the turn of the service is over.
    pub(super) fn ends(&mut self, turn: &Arc<Turn>) {
        match &mut self.0 {
            Inner::Pieces { left: 1.., turn: whose, .. } => *whose = Some(Arc::clone(turn)),
            _ => turn.answered(),
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
            Inner::Pieces { left: 0, .. } | Inner::Handover(Some(Handover::Protocol(_))) => {
                Poll::Ready(None)
            }
            // Where a connection carries other answers as well, it can't be given to this one.
            Inner::Handover(Some(Handover::Pieces(pieces))) => pieces
                .poll_next_unpin(context)
                .map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
            Inner::Handover(None) => Poll::Pending,
            Inner::Pieces { pieces, left, turn } => {
                let piece = match ready!(pieces.poll_next_unpin(context)) {
                    Some(Ok(piece)) => piece,
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => {
                        let why = "there is less than was announced";
                        return Poll::Ready(Some(Err(io::Error::other(why))));
                    }
                };
                *left = left.saturating_sub(piece.len() as u64);
                if *left == 0
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
            Inner::Pieces { left, .. } => SizeHint::with_exact(*left),
            Inner::Handover(_) => SizeHint::default(),
        }
    }
}
