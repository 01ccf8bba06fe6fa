//! What becomes of the HTML of a text before it is stored.

use std::collections::BTreeMap;

use panel_kernel::data::{Database, DbError};

use crate::rules::pictures;
use crate::store::media::assets;

/// Why a text is not shown.
#[derive(Debug)]
pub(crate) enum Unshown {
    /// It has more than [`pictures::MOST`] of this site.
    TooManyPictures,
    Database(DbError),
}

impl From<DbError> for Unshown {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

/// What is said of one that has too many.
pub(crate) fn too_many() -> String {
    format!("shows more than {} pictures; divide it", pictures::MOST)
}

/// The same HTML, in which pictures of this site come in the size that fits.
pub(crate) async fn with_pictures(db: &Database, html: String) -> Result<String, Unshown> {
    let shown = pictures::shown_in(&html);
    if shown.is_empty() {
        return Ok(html);
    }
    if shown.len() > pictures::MOST {
        return Err(Unshown::TooManyPictures);
    }
    let mut known = BTreeMap::new();
    let mut conn = db.reader().await?;
    for sha256 in shown {
        if let Some(asset) = assets::by_content(&mut conn, &sha256).await? {
            known.insert(sha256, asset);
        }
    }
    Ok(pictures::responsive(&html, &known))
}
