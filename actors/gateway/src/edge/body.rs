//! The request body: whole, in time, and not too large.

use bytes::Bytes;
use http::{Version, header, request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use panel_kernel::problem::{Kind, Problem};

use crate::config::GatewayConfig;
use crate::server::{LINGER_BYTES, LINGER_TIME};

pub(super) async fn read(
    body: Incoming,
    parts: &request::Parts,
    config: &GatewayConfig,
) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    plain(parts)?;
    let too_large = || {
        let detail = format!("at most {} bytes", config.max_body_bytes);
        Problem::new(Kind::PayloadTooLarge, detail)
    };
    // In HTTP/2 a connection goes on, whatever becomes of one request.
    let closes = parts.version != Version::HTTP_2;
    if body.size_hint().lower() > config.max_body_bytes as u64 {
        // A client that waits for our consent to send it hears of the refusal at once.
        if closes && !parts.headers.contains_key(header::EXPECT) {
            linger(body).await;
        }
        return Err(too_large());
    }
    let mut body = body;
    let collecting = Limited::new(&mut body, config.max_body_bytes).collect();
    match tokio::time::timeout(config.body_timeout.0, collecting).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            if closes {
                linger(body).await;
            }
            Err(too_large())
        }
        Ok(Err(_)) => Err(Problem::new(Kind::BadRequest, "the body did not arrive whole")),
        Err(_) => Err(Problem::new(Kind::BadRequest, "the body did not arrive in time")),
    }
}

/// Refuses what is small until it is unpacked.
pub(super) fn plain(parts: &request::Parts) -> Result<(), Problem> {
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        let detail = "compressed bodies are not taken; send it as it is";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    Ok(())
}

/// Reads on for a moment, keeping nothing. A client that is still sending when the connection
/// closes is reset, and never sees why it was refused (RFC 9112, 9.6).
pub(super) async fn linger(mut body: Incoming) {
    let reading = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Bytes::len);
            if bytes > LINGER_BYTES {
                return;
            }
        }
    };
    drop(tokio::time::timeout(LINGER_TIME, reading).await);
}
