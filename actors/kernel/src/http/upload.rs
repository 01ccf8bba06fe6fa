//! Files that come: the edge has put them into the blob store, and a handler decides what becomes of them.

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;

use crate::message::BlobRef;
use crate::problem::{Kind, Problem};

/// What the edge has received for a request. In the request's extensions.
#[derive(Clone, Debug)]
pub(crate) struct Received(pub(crate) BlobRef);

/// What was sent as the body of a request: a file, or a form with a file in it ([`Upload::opened`]). It goes as soon as
/// the request is answered, and after a day in any case, unless [`Blobs::adopt`](crate::blobs::Blobs::adopt) has given it
/// a key to stay under.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The content.
    pub blob: BlobRef,
    /// What its sender says that it is (`Content-Type`).
    pub media_type: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Upload {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(Received(blob)) = parts.extensions.remove() else {
            return Err(Problem::new(Kind::BadRequest, "send the file as the body"));
        };
        let media_type = parts.headers.get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(Self { blob, media_type })
    }
}
