//! Each request is counted and logged once, however it ends.

use http::StatusCode;

use super::{Exchange, Observer};

/// A request that is under way. If its client goes away before the answer, this is dropped with
/// everything else of it, and says so.
pub(super) struct Watch<'o> {
    pub(super) exchange: Exchange,
    observer: &'o Observer,
    method: &'static str,
    status: Option<StatusCode>,
}

impl<'o> Watch<'o> {
    /// From here on it is counted, whatever becomes of it.
    pub(super) const fn begin(
        observer: &'o Observer,
        method: &'static str,
        exchange: Exchange,
    ) -> Self {
        Self { exchange, observer, method, status: None }
    }

    /// It was answered with this status.
    pub(super) fn answered(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let status = self.status.unwrap_or_else(client_gone);
        self.observer.record(&self.exchange, self.method, status);
    }
}

/// 499, which no client ever sees: it was gone before its answer was there. nginx's word for it.
fn client_gone() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}
