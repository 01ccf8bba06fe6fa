//! Taking articles from one place to another: a file of JSON lines ([`Record`]), written by [`export`] and taken in by
//! [`Import`], which takes in what [`WordPress`] and [`ghost()`] read of the files of others as well.
//!
//! Both work beside a running node, and without one. What is taken in is known by where it is from and what it is called
//! there, in the database, in the transaction that stores it: so the same file a second time changes nothing, a longer
//! one adds what is new, and whatever ends an import, the next goes on.

mod exporting;
mod ghost;
mod html;
mod importing;
mod leading;
mod pictures;
mod preparing;
mod record;
mod shelving;
mod taking;
mod wordpress;

use panel_kernel::data::DbError;

pub use exporting::{Exported, Files, export};
pub use ghost::ghost;
pub use importing::{Finished, Import, Imported, Options, Skipped};
pub use pictures::{Pictures, PicturesOf};
pub use record::{
    Article, LibraryItem, Menu, MenuItem, Person, Picture, PictureFile, PictureKind, Record,
    Redirect, Revision, Seo, Site, Term, Translation, VERSION,
};
pub use wordpress::WordPress;

pub use crate::rules::{Kind, Status};
pub use crate::store::terms::TermKind;

/// Why something can't be taken out or in.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// Something can't be taken in; what came before it is.
    #[error("{place}: {reason}")]
    Refused {
        /// Where in the file.
        place: String,
        /// A sentence.
        reason: String,
    },
    /// The file can't be read or written, or is none of its kind.
    #[error("{0}")]
    File(String),
    /// The database did not do it.
    #[error("the database: {0}")]
    Database(#[from] DbError),
}

impl From<std::io::Error> for TransferError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error.to_string())
    }
}

/// What is left of a file of another program that has no place here, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks(Vec<(&'static str, u64)>);

impl Remarks {
    fn add(&mut self, what: &'static str, count: u64) {
        if count == 0 {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| *known == what) {
            Some((_, so_far)) => *so_far += count,
            None => self.0.push((what, count)),
        }
    }

    /// Each, with how often.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().copied()
    }
}
