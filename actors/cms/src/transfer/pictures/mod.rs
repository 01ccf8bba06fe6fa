//! Pictures on their way in and out.
//!
//! | file | |
//! |---|---|
//! | `giving` | out of a library, into a directory |
//! | `keeping` | from such a directory, as they are |
//! | `moving` | from the files of another program: what articles show becomes pictures of this site |
//! | `places` | where a text shows pictures of another site |

mod giving;
mod keeping;
mod moving;
mod places;

use std::path::Path;

use panel_kernel::blobs::Blobs;
use panel_kernel::data::Database;
use panel_kernel::local_file::LocalFolder;
use panel_kernel::metrics::Metrics;

use super::TransferError;
use crate::config::MediaConfig;
use crate::media::Media;

pub(super) use giving::Giving;
pub(super) use moving::{Moved, Moving};
pub(super) use places::Site;

/// Where pictures are that are to be taken in, and where they are made.
#[derive(Clone, Debug)]
pub struct Pictures {
    media: Media,
    folder: LocalFolder,
    /// Of another program: where they were on its site.
    site: Option<Site>,
}

/// Of which program a directory of pictures is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PicturesOf<'a> {
    /// This one: `cms export` has written it.
    Panel,
    /// WordPress at this address: `wp-content/uploads`.
    WordPress(&'a str),
    /// Ghost at this address: `content/images`.
    Ghost(&'a str),
}

impl Pictures {
    /// Those in a directory.
    ///
    /// # Errors
    /// [`TransferError::File`] if there is no such directory.
    pub fn open(
        (db, blobs): (&Database, &Blobs),
        (config, metrics): (&MediaConfig, &Metrics),
        folder: &Path,
        of: PicturesOf<'_>,
    ) -> Result<Self, TransferError> {
        let media = Media::aside((db, blobs), config, metrics);
        let (below, site): (&[&str], _) = match of {
            PicturesOf::Panel => (&[], None),
            PicturesOf::WordPress(address) => (&Site::UPLOADS, Some(Site::wordpress(address))),
            PicturesOf::Ghost(address) => (&Site::IMAGES, Some(Site::ghost(address))),
        };
        // Whoever copies a site says where they put it; which of its directories is meant is to be seen.
        let inside = below.iter().map(|below| folder.join(below)).find(|path| path.is_dir());
        let folder = inside.unwrap_or_else(|| folder.to_owned());
        let folder = LocalFolder::open(&folder)
            .map_err(|error| TransferError::File(format!("{}: {error}", folder.display())))?;
        Ok(Self { media, folder, site })
    }
}
