//! Taking in what leads from one thing to another: translations, menus, redirects.

use panel_kernel::http::validate::{Check, printable};

use super::record::{Article as Told, Menu, Redirect, Translation};
use super::taking::{Refusal, Taking, checked, refuse};
use crate::redirecting::{self, Unled};
use crate::rules::{self, fields};
use crate::store::articles::Article;
use crate::store::{menus, redirects, transfer};

impl Taking<'_> {
    pub(super) async fn translation(&mut self, told: &Translation) -> Result<bool, Refusal> {
        let (of, article) = (self.known(&told.of).await?, self.known(&told.article_id).await?);
        match (article, of) {
            (Some(article), Some(of)) => Ok(transfer::translate(self.tx, article, of).await?),
            _ => refuse("there is no such article before it"),
        }
    }

    pub(super) async fn menu(&mut self, told: &Menu) -> Result<bool, Refusal> {
        let mut check = Check::new();
        let name = fields::menu(&mut check, &told.name);
        let mut items = Vec::new();
        for item in &told.items {
            let label = printable(&item.label);
            let label = check.line("label", &label, 1, fields::MAX_NAME_CHARS);
            let address = item.url.as_deref();
            let address = address.and_then(|url| fields::address(&mut check, "url", url));
            let target = match (address, &item.article_id) {
                (Some(address), None) => menus::Target::Address(address),
                (None, Some(key)) => match self.known(key).await? {
                    Some(article) => menus::Target::Article(article),
                    None => return refuse(format!("there is no article {key:?} before it")),
                },
                _ => return refuse("an item must lead to an address or to an article"),
            };
            items.push(menus::Item { label, target, is_below: item.is_below });
        }
        checked(check)?;
        if items.len() > fields::MAX_MENU_ITEMS {
            return refuse(format!("a menu has at most {} items", fields::MAX_MENU_ITEMS));
        }
        if menus::find(self.tx, &name).await?.is_some() {
            return Ok(false);
        }
        let menu = menus::Menu { name, updated_at: self.now, version: 1 };
        menus::store(self.tx, &menu, &items).await?;
        Ok(true)
    }

    pub(super) async fn redirect(&mut self, told: &Redirect) -> Result<bool, Refusal> {
        let mut check = Check::new();
        let from = fields::source(&mut check, &told.from);
        let to = fields::address(&mut check, "to", &told.to);
        checked(check)?;
        let Some(to) = to else { return refuse("it leads nowhere") };
        let redirect = redirects::Redirect { id: self.fresh.own, from, to, created_at: self.now };
        match redirecting::lead(self.tx, &redirect, &self.options.site).await {
            Ok(()) => Ok(true),
            Err(Unled::Taken) => Ok(false),
            Err(Unled::Full) => refuse("there are as many redirects as there may be"),
            Err(Unled::Cycle) => refuse("it leads back to itself, or through too many others"),
            Err(Unled::Database(error)) => Err(error.into()),
        }
    }

    /// Has paths at which an article was on another site lead to it: how many do, and how many can't.
    pub(super) async fn former_paths(
        &mut self,
        told: &Told,
        article: &Article,
    ) -> Result<(u64, u64), Refusal> {
        let to = rules::path(article.kind, &article.slug);
        let rest = told.former_paths.len().saturating_sub(self.fresh.paths.len());
        let (mut led, mut unled) = (0, u64::try_from(rest).unwrap_or(0));
        for (path, id) in told.former_paths.iter().zip(self.fresh.paths) {
            let mut check = Check::new();
            let from = fields::source(&mut check, path);
            if from == to {
                continue;
            }
            if check.done().is_err() {
                unled += 1;
                continue;
            }
            let redirect = redirects::Redirect { id, from, to: to.clone(), created_at: self.now };
            match redirecting::lead(self.tx, &redirect, &self.options.site).await {
                Ok(()) => led += 1,
                Err(Unled::Database(error)) => return Err(error.into()),
                Err(Unled::Taken | Unled::Full | Unled::Cycle) => unled += 1,
            }
        }
        Ok((led, unled))
    }
}
