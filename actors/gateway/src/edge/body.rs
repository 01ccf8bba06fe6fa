//! The request body: whole, in time, and not too large.

use bytes::Bytes;
use http::{header, request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use panel_kernel::problem::{Kind, Problem};

use crate::config::GatewayConfig;

pub(super) async fn read(
    body: Incoming,
    parts: &request::Parts,
    config: &GatewayConfig,
) -> Result<Bytes, Problem> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if parts.headers.contains_key(header::CONTENT_ENCODING) {
        let detail = "compressed bodies are not taken; send it as it is";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    let too_large = || {
        let detail = format!("at most {} bytes", config.max_body_bytes);
        Problem::new(Kind::PayloadTooLarge, detail)
    };
    // Refused before it is sent, where the client says how long it is.
    if body.size_hint().lower() > config.max_body_bytes as u64 {
        return Err(too_large());
    }
    let collecting = Limited::new(body, config.max_body_bytes).collect();
    match tokio::time::timeout(config.body_timeout.0, collecting).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(Kind::BadRequest, "the body did not arrive whole")),
        Err(_) => Err(Problem::new(Kind::BadRequest, "the body did not arrive in time")),
    }
}
