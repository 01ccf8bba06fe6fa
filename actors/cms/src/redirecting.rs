//! Having an address lead elsewhere: whoever does so, a route or an import, does it by this.

use panel_kernel::data::{DbError, Tx};

use crate::rules::fields::usual_path;
use crate::store::redirects::{self, Redirect};

/// The most there may be.
const MOST: i64 = 50_000;
/// So many in a row are followed to see whether they lead back.
const HOPS: usize = 10;

/// Why an address does not lead there.
#[derive(Debug)]
pub(crate) enum Unled {
    /// There are as many as there may be.
    Full,
    /// It leads somewhere already.
    Taken,
    /// Back to where it came from, or through too many others.
    Cycle,
    Database(DbError),
}

impl From<DbError> for Unled {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

/// Has it lead there, on the site with this address.
pub(crate) async fn lead(tx: &mut Tx, redirect: &Redirect, site: &str) -> Result<(), Unled> {
    if redirects::count(tx, MOST).await? >= MOST {
        return Err(Unled::Full);
    }
    if redirects::target(tx, &redirect.from).await?.is_some() {
        return Err(Unled::Taken);
    }
    let mut at = redirect.to.clone();
    let mut hops = 0;
    while let Some(here) = on_this_site(&at, site).map(usual_path) {
        if here == redirect.from || hops == HOPS {
            return Err(Unled::Cycle);
        }
        hops += 1;
        match redirects::target(tx, &here).await? {
            Some(next) => at = next,
            None => break,
        }
    }
    // Somebody else may do so at this moment.
    if redirects::insert(tx, redirect).await? { Ok(()) } else { Err(Unled::Taken) }
}

/// The path of an address, if it is on this site.
fn on_this_site<'a>(address: &'a str, site: &str) -> Option<&'a str> {
    let path = address.strip_prefix(site).unwrap_or(address);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.starts_with('/').then(|| path.trim_end_matches('/'))
}
