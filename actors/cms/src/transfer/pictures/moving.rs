//! What articles of another program show, from a copy of its files: it becomes pictures of this site.

use std::collections::HashMap;
use std::io::ErrorKind;

use panel_kernel::local_file::LocalFile;
use panel_pictures::MAIN;

use super::keeping::refusal;
use super::{Pictures, Site};
use crate::rules::pictures::{Asset, MOST, path};
use crate::transfer::record::Article;
use crate::transfer::taking::Refusal;

/// What has become of the pictures of an article.
#[derive(Debug, Default)]
pub(in crate::transfer) struct Moving {
    /// Those that are of this site now.
    pub(in crate::transfer) moved: Vec<Moved>,
    /// Addresses that stay what they were, and why.
    pub(in crate::transfer) left: Vec<(String, String)>,
}

/// A picture that is of this site now.
#[derive(Debug)]
pub(in crate::transfer) struct Moved {
    pub(in crate::transfer) asset: Asset,
    /// What its file was called.
    pub(in crate::transfer) name: String,
    /// What it shows, if the article says so.
    pub(in crate::transfer) alt: Option<String>,
}

impl Moving {
    /// Takes a picture of this site, if there may be so many; its address here.
    fn take(&mut self, picture: Moved, address: &str) -> Option<String> {
        let here = path(&picture.asset.sha256, MAIN, picture.asset.kind);
        let is_there = self.moved.iter().any(|it| it.asset.sha256 == picture.asset.sha256);
        if is_there {
            self.said(Some(&here), picture.alt);
        } else if self.moved.len() < MOST {
            self.moved.push(picture);
        } else {
            let reason = format!("an article shows {MOST} pictures of this site at most");
            self.left.push((address.to_owned(), reason));
            return None;
        }
        Some(here)
    }

    /// What the picture of this address shows: whoever says so first.
    fn said(&mut self, here: Option<&String>, alt: Option<String>) {
        let is_it = |it: &&mut Moved| {
            here.is_some_and(|here| *here == path(&it.asset.sha256, MAIN, it.asset.kind))
        };
        if let Some(picture) = self.moved.iter_mut().find(is_it) {
            picture.alt = picture.alt.take().or(alt);
        }
    }
}

/// Why an address stays what it was.
enum Left {
    /// For this reason.
    Because(String),
    /// The article is not to be taken in now.
    Not(Refusal),
}

impl Pictures {
    /// Has an article show pictures of this site where it shows those of its own. It is as it was, if this fails.
    pub(in crate::transfer) async fn moved(
        &self,
        article: &mut Article,
    ) -> Result<Moving, Refusal> {
        let mut moving = Moving::default();
        let Some(site) = &self.site else { return Ok(moving) };
        let mut known: HashMap<String, Option<String>> = HashMap::new();
        let cover = article.cover.clone().filter(|cover| !site.names(cover).is_empty());
        let places = site.places(&article.body);
        let shown = places.iter().map(|place| (&place.address, place.alt.as_ref()));
        for (address, alt) in cover.iter().map(|cover| (cover, None)).chain(shown) {
            let alt = alt.filter(|alt| !alt.is_empty()).cloned();
            if let Some(here) = known.get(address) {
                moving.said(here.as_ref(), alt);
                continue;
            }
            let here = match self.found(site, address).await {
                Ok((asset, name)) => moving.take(Moved { asset, name, alt }, address),
                Err(Left::Because(reason)) => {
                    moving.left.push((address.clone(), reason));
                    None
                }
                Err(Left::Not(refusal)) => return Err(refusal),
            };
            known.insert(address.clone(), here);
        }
        let here = |address: &str| known.get(address).and_then(Option::as_ref);
        // From the last on: those before stay where they are.
        for place in places.into_iter().rev() {
            if let Some(here) = here(&place.address) {
                article.body.replace_range(place.range, here);
            }
        }
        if let Some(here) = cover.and_then(|cover| here(&cover)) {
            article.cover = Some(here.clone());
        }
        Ok(moving)
    }

    /// What is made of the file that an address means, and what that was called.
    async fn found(&self, site: &Site, address: &str) -> Result<(Asset, String), Left> {
        let mut why = None;
        for names in site.names(address) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let Some(path) = self.folder.find(&names) else { continue };
            let opened = LocalFile::open(&path, self.media.config().max_bytes).await;
            let mut file = match opened {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                    why.get_or_insert(error.to_string());
                    continue;
                }
                Err(error) => {
                    let reason = format!("{}: {error}", path.display());
                    return Err(Left::Not(Refusal::Reason(reason)));
                }
            };
            match self.media.made_of(&mut file).await {
                Ok(asset) => {
                    let name = names.last().copied().unwrap_or_default().to_owned();
                    return Ok((asset, name));
                }
                Err(problem) => match refusal(&problem) {
                    Refusal::Reason(reason) => drop(why.get_or_insert(reason)),
                    refusal => return Err(Left::Not(refusal)),
                },
            }
        }
        Err(Left::Because(why.unwrap_or_else(|| "there is no such file".to_owned())))
    }
}
