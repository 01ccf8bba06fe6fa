//! Facts this service publishes.

use panel_kernel::data::Fact;
use panel_kernel::ids::Id;
use serde::Serialize;

/// Somebody signed.
#[derive(Debug, Serialize)]
pub(crate) struct EntrySigned {
    pub(crate) id: Id,
    pub(crate) author_id: Id,
}

impl Fact for EntrySigned {
    const TOPIC: &'static str = "entry.signed";
}
