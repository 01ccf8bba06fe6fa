//! Menus of the site, which every page shows.

use std::collections::BTreeMap;

use panel_kernel::data::{Conn, DbError};

use crate::api::tree;
use crate::store::menus::{self, Placed};

const MAIN: &str = "main";
const FOOTER: &str = "footer";

/// Those that pages show: nothing where there are none.
#[derive(Debug, Default)]
pub(super) struct Menus {
    /// Above what a page is about.
    pub(super) main: Vec<Item>,
    /// Below it.
    pub(super) footer: Vec<Item>,
}

/// An item, and what is below it.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) link: Link,
    pub(super) below: Vec<Link>,
}

/// Where an item leads.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) label: String,
    pub(super) url: String,
    /// It is this page.
    pub(super) is_here: bool,
}

impl Menus {
    /// As they are now, on the page of this path.
    pub(super) async fn on(conn: &mut Conn, here: &str) -> Result<Self, DbError> {
        let items = menus::items_of_both(conn, [MAIN, FOOTER]).await?;
        if items.is_empty() {
            return Ok(Self::default());
        }
        let mut of: BTreeMap<String, Vec<Placed>> = BTreeMap::new();
        for item in items {
            of.entry(item.menu.clone()).or_default().push(item);
        }
        let mut shown = |name| {
            let items = of.remove(name).unwrap_or_default();
            tree(items, false).into_iter().map(|(item, below)| Item {
                link: Link::new(item, here),
                below: below.into_iter().map(|item| Link::new(item, here)).collect(),
            })
        };
        Ok(Self { main: shown(MAIN).collect(), footer: shown(FOOTER).collect() })
    }
}

impl Link {
    fn new(placed: Placed, here: &str) -> Self {
        let url = placed.leads_to.unwrap_or_default();
        Self { label: placed.item.label, is_here: url == here, url }
    }
}
