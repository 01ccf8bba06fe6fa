//! Menus of WordPress: each entry is an item of the file of its own, and says which it is below.

use std::collections::{HashMap, HashSet};

use panel_text::names;

use super::decoded;
use super::elements::Item;
use crate::rules::fields::{MAX_MENU_ITEMS, MAX_NAME_CHARS};
use crate::transfer::html;
use crate::transfer::record::{Menu, MenuItem};

/// Entries of all menus that are remembered.
const MOST: usize = 2_000;
/// What a site's only menu is called here: pages show it.
const MAIN: &str = "main";

/// What is known of the menus of a file.
#[derive(Debug, Default)]
pub(super) struct Menus {
    entries: Vec<Entry>,
    /// Entries that lead somewhere where there is nothing here.
    pub(super) lost: u64,
    /// Addresses of categories, by their numbers.
    categories: HashMap<String, String>,
    /// What articles are called, of those that entries lead to and that are taken in.
    articles: HashMap<String, String>,
    wanted: HashSet<String>,
}

#[derive(Debug)]
struct Entry {
    menu: String,
    order: i64,
    id: String,
    parent: String,
    label: String,
    target: Target,
}

#[derive(Debug)]
enum Target {
    Address(String),
    Article(String),
    Category(String),
    Nothing,
}

impl Menus {
    /// Notes an entry of the site at this address, before articles are read.
    pub(super) fn entry(&mut self, item: &Item, site: &str) {
        if self.entries.len() == MOST {
            self.lost += 1;
            return;
        }
        let meta = |name: &str| item.meta.get(name).map(|text| text.trim()).unwrap_or_default();
        let menu = item.terms.iter().find(|(domain, ..)| domain == "nav_menu");
        let object = meta("_menu_item_object_id").to_owned();
        let target = match (meta("_menu_item_type"), meta("_menu_item_object")) {
            ("custom", _) => html::address(&on_it(meta("_menu_item_url"), site))
                .map_or(Target::Nothing, Target::Address),
            ("post_type", "post" | "page") => {
                self.wanted.insert(object.clone());
                Target::Article(object)
            }
            ("taxonomy", "category") => Target::Category(object),
            _ => Target::Nothing,
        };
        self.entries.push(Entry {
            menu: menu.map(|(_, slug, _)| decoded(slug)).unwrap_or_default(),
            order: item.get("wp:menu_order").parse().unwrap_or_default(),
            id: item.get("wp:post_id").to_owned(),
            parent: meta("_menu_item_menu_item_parent").to_owned(),
            label: html::text(item.get("title")),
            target,
        });
    }

    /// Notes where a category is.
    pub(super) fn category(&mut self, number: &str, slug: &str) {
        if self.categories.len() < MOST {
            let slug = names::slug(&decoded(slug), "");
            self.categories.insert(number.to_owned(), format!("/blog/category/{slug}"));
        }
    }

    /// Notes an article that is taken in.
    pub(super) fn article(&mut self, id: &str, title: &str) {
        if self.wanted.contains(id) {
            self.articles.insert(id.to_owned(), title.to_owned());
        }
    }

    /// All menus, once all articles were read.
    pub(super) fn done(&mut self) -> Vec<Menu> {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_by(|a, b| (&a.menu, a.order).cmp(&(&b.menu, b.order)));
        let mut menus: Vec<(String, Menu)> = Vec::new();
        let mut there: HashSet<String> = HashSet::new();
        for entry in entries {
            let Some(mut item) = self.item(&entry) else {
                self.lost += 1;
                continue;
            };
            // A third level is shown on the second; what is below nothing that is there, on the first.
            item.is_below = there.contains(&entry.parent);
            if menus.last().is_none_or(|(slug, _)| *slug != entry.menu) {
                let name: String = names::slug(&entry.menu, "menu").chars().take(40).collect();
                menus.push((entry.menu.clone(), Menu { name, items: Vec::new() }));
                item.is_below = false;
            }
            let Some((_, menu)) = menus.last_mut() else { continue };
            if menu.items.len() == MAX_MENU_ITEMS {
                self.lost += 1;
                continue;
            }
            there.insert(entry.id);
            menu.items.push(item);
        }
        let mut menus: Vec<Menu> = menus.into_iter().map(|(_, menu)| menu).collect();
        if let [only] = menus.as_mut_slice() {
            MAIN.clone_into(&mut only.name);
        }
        menus
    }

    fn item(&self, entry: &Entry) -> Option<MenuItem> {
        let (url, article_id, named) = match &entry.target {
            Target::Address(address) => (Some(address.clone()), None, None),
            Target::Article(id) => (None, Some(id.clone()), Some(self.articles.get(id)?)),
            Target::Category(number) => (Some(self.categories.get(number)?.clone()), None, None),
            Target::Nothing => return None,
        };
        let label = if entry.label.is_empty() { named?.clone() } else { entry.label.clone() };
        let label = label.chars().take(MAX_NAME_CHARS).collect();
        Some(MenuItem { label, url, article_id, is_below: false })
    }
}

/// An address on its own site without the site: what was there leads on here.
fn on_it(address: &str, site: &str) -> String {
    let host = |url: &str| {
        let (_, rest) = url.split_once("://")?;
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Some((rest[..at].to_ascii_lowercase(), rest[at..].to_owned()))
    };
    match (host(address), host(site)) {
        (Some((here, path)), Some((own, _))) if here == own => {
            if path.starts_with('/') {
                path
            } else {
                format!("/{path}")
            }
        }
        _ => address.to_owned(),
    }
}
