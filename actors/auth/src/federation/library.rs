//! What the libraries for OpenID Connect and OAuth 2 are given, and what becomes of their errors.

use std::error::Error;
use std::pin::Pin;

use oauth2::{AsyncHttpClient, ErrorResponse, HttpRequest, HttpResponse, RequestTokenError};
use panel_kernel::outbound::{Outbound, OutboundError};

use super::FederationError;

/// Sends their requests.
pub(super) struct Http<'o>(pub(super) &'o Outbound);

impl<'c> AsyncHttpClient<'c> for Http<'_> {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move { self.0.send(request).await.map(|answer| answer.map(Vec::from)) })
    }
}

/// An error, with what led to it.
fn told(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

pub(super) fn unavailable(error: &dyn Error) -> FederationError {
    FederationError::Unavailable(told(error))
}

pub(super) fn refused(error: &dyn Error) -> FederationError {
    FederationError::Refused(told(error))
}

/// A code that became no token.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn token_error<T: ErrorResponse + 'static>(
    error: RequestTokenError<OutboundError, T>,
) -> FederationError {
    match error {
        RequestTokenError::ServerResponse(_) => refused(&error),
        _ => unavailable(&error),
    }
}
