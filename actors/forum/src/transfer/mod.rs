//! Taking a forum from one place to another: a file of JSON lines ([`Record`]), written by [`export`] and taken in
//! by [`Import`].
//!
//! Both work beside a running node, and without one, and go on where they were cut off. What is taken in is known by
//! where it is from and what it is called there, in the database, in the transaction that stores it: so the same
//! file a second time changes nothing, and a longer one adds what is new. What comes from the same forum, or from
//! one whose ids are free here, keeps its ids, and so its addresses.

mod exporting;
mod importing;
pub mod original;
mod record;
mod resuming;
mod taking;

use panel_kernel::data::DbError;

pub use exporting::{Exported, export};
pub use importing::{Import, Imported, Options, Skipped};
pub use record::{
    Author, Category, Forum, Merged, Post, Reaction, Record, Reference, Revision, Thread, VERSION,
};

/// Why something can't be taken out or in.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A line can't be taken in; the ones before it are.
    #[error("line {line}: {reason}")]
    Line {
        /// Which, from 1.
        line: u64,
        /// A sentence.
        reason: String,
    },
    /// The file can't be read or written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The database did not do it.
    #[error("the database: {0}")]
    Database(#[from] DbError),
}
