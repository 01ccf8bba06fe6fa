//! What there is of somebody, put together for them: everything that all services have, as a zip archive
//! in the blob store.
//!
//! | file | |
//! |---|---|
//! | `exporter` | the actor: claims one, goes on with it step by step, removes what is over |
//! | `gathering` | one of them: asks every service, page by page |
//! | `archive` | the archive, as it grows |

mod archive;
mod exporter;
mod gathering;

use panel_kernel::supervision::Bell;

pub(crate) use exporter::{Exporter, ExporterMessage};

/// What the exporter hears.
pub(crate) type ExportBell = Bell<ExporterMessage>;

/// The bell of an exporter that is to be.
pub(crate) fn bell() -> ExportBell {
    Bell::new(|| ExporterMessage::Look)
}
