//! Taking pictures into libraries.

use panel_kernel::http::validate::{Check, printable};
use panel_kernel::ids::{Id, Ids};
use panel_kernel::time::Timestamp;

use super::pictures::Moved;
use super::record::Picture;
use super::taking::{Refusal, Taking, checked, refuse};
use crate::rules::fields;
use crate::store::articles::Article;
use crate::store::media::assets;
use crate::store::media::items::{self, Item};
use crate::store::people::Person;
use crate::store::transfer::Imported;

/// What is said of a picture in a library.
struct Words {
    name: String,
    alt: Option<String>,
    at: Timestamp,
}

impl Taking<'_> {
    /// A picture of another site, into the library that it was in.
    pub(super) async fn picture(&mut self, told: &Picture, asset: Id) -> Result<bool, Refusal> {
        let Some(item) = &told.item else { return Ok(false) };
        let mut check = Check::new();
        let alt = item.alt.as_deref().map(|alt| fields::alt(&mut check, &printable(alt)));
        checked(check)?;
        let words = Words { name: fields::file_name(&item.name), alt, at: item.created_at };
        let owner = self.person(&item.owner, self.fresh.people[0]).await?;
        let id = match item.id.parse::<Id>() {
            Ok(id) if Ids::made_at(id) < self.now && items::by_id(self.tx, id).await?.is_none() => {
                id
            }
            _ => self.fresh.own,
        };
        let is_new = self.shelve((id, asset), owner, words).await?;
        if !self.origin.is_same {
            self.note((Imported::Picture, &item.id), (id, None)).await?;
        }
        Ok(is_new)
    }

    /// Pictures that an article shows, into the library of its author. How many were not there.
    pub(super) async fn moved(
        &mut self,
        moved: &[Moved],
        article: &Article,
    ) -> Result<u64, Refusal> {
        let mut new = 0;
        for (number, picture) in moved.iter().enumerate() {
            // Longer ones are cut: whoever wrote them did not know of the bound.
            let alt = picture.alt.as_deref().map(printable);
            let alt = alt.map(|alt| alt.chars().take(fields::MAX_ALT_CHARS).collect());
            let name = fields::file_name(&picture.name);
            let words = Words { name, alt, at: article.created_at };
            let id = self.fresh.pictures[number];
            let owner = article.author.clone();
            new += u64::from(self.shelve((id, picture.asset.id), owner, words).await?);
        }
        Ok(new)
    }

    async fn shelve(
        &mut self,
        (id, asset): (Id, Id),
        owner: Person,
        Words { name, alt, at }: Words,
    ) -> Result<bool, Refusal> {
        let Some(asset) = assets::held(self.tx, asset).await? else {
            return refuse("a picture of it went while it came; do it again");
        };
        if items::of(self.tx, owner.0, asset.id).await?.is_some() {
            return Ok(false);
        }
        // What is taken in is more than somebody may have perhaps: then they can send nothing else.
        items::gained(self.tx, owner.0, asset.bytes()).await?;
        let item = Item {
            id,
            asset: asset.id,
            owner,
            name,
            alt,
            created_at: at,
            updated_at: at,
            version: 1,
        };
        items::insert(self.tx, &item, &asset).await?;
        Ok(true)
    }
}
