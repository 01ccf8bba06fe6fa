//! Writing everything into a file.

use std::path::Path;

use panel_kernel::blobs::Blobs;
use panel_kernel::data::Database;
use panel_kernel::ids::{Id, random_hex};
use panel_kernel::partial_file::PartialFile;
use panel_pictures::MAIN;

use super::TransferError;
use super::pictures::Giving;
use super::record::{
    self, LibraryItem, MenuItem, Person, Picture, PictureFile, Record, Redirect, Revision, Seo,
    Site, Translation, VERSION,
};
use crate::rules::pictures::{Asset, Made, path};
use crate::store::articles::{self, Article};
use crate::store::media::items::Item;
use crate::store::media::{assets, items, shown};
use crate::store::menus::{self, Menu, Placed, Target};
use crate::store::transfer::{self, Named};

/// Rows at a time: texts of articles are long.
const REVISIONS: i64 = 10;
const SHORT: i64 = 500;
const PICTURES: i64 = 100;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Lines.
    pub lines: u64,
    /// Posts and pages.
    pub articles: u64,
    /// Pictures.
    pub pictures: u64,
    /// Pictures that are left out: the store has not all their files.
    pub lost: Vec<String>,
}

/// Where files of pictures are, and where they are to go.
pub type Files<'e> = (&'e Blobs, &'e Path);

/// Writes all articles, also those that are not published or deleted, with all their texts, categories, tags, and
/// redirects into a file that is there when it is whole; and all pictures, if it is said where their files are to go. `told`
/// hears of how many of how many articles and pictures.
///
/// # Errors
/// [`TransferError`].
pub async fn export(
    db: &Database,
    file: &Path,
    files: Option<Files<'_>>,
    mut told: impl FnMut(u64, u64),
) -> Result<Exported, TransferError> {
    // Whoever has it reads everything in it. What was cut off is begun anew.
    let mut out = PartialFile::open(file)?;
    out.begin_anew()?;
    let mut exporter = Exporter { db, out, done: Exported::default() };
    exporter.head().await?;
    let mut total = transfer::count(&mut db.reader().await?).await?;
    if let Some((blobs, folder)) = files {
        let giving = Giving::open(blobs, folder)?;
        total += assets::count(&mut db.reader().await?).await?;
        let total = u64::try_from(total).unwrap_or(0);
        exporter.pictures(&giving, |done| told(done, total)).await?;
    }
    let total = u64::try_from(total).unwrap_or(0);
    let mut last = Id::from_raw(0);
    loop {
        let mut conn = db.reader().await?;
        let Some(id) = transfer::next(&mut conn, last).await? else { break };
        let article = articles::by_id(&mut conn, id).await?;
        drop(conn);
        if let Some(article) = article {
            exporter.article(article).await?;
        }
        last = id;
        told(exporter.done.pictures + exporter.done.articles, total);
    }
    exporter.translations().await?;
    exporter.menus().await?;
    exporter.redirects().await?;
    let records = exporter.done.lines;
    exporter.write(&Record::End { records })?;
    let done = exporter.done;
    exporter.out.finish()?;
    Ok(done)
}

struct Exporter<'d> {
    db: &'d Database,
    out: PartialFile,
    done: Exported,
}

impl Exporter<'_> {
    fn write(&mut self, record: &Record) -> Result<(), TransferError> {
        self.out.write(record)?;
        self.done.lines += 1;
        Ok(())
    }

    /// What comes before articles.
    async fn head(&mut self) -> Result<(), TransferError> {
        let fresh = random_hex();
        let source = self
            .db
            .transact(move |tx| {
                Box::pin(async move {
                    tx.makes_nothing_old();
                    transfer::site(tx, &fresh).await
                })
            })
            .await?;
        let exported_at = Some(self.db.clock().now());
        self.write(&Record::Site(Site { version: VERSION, source, exported_at }))?;
        let (mut kind, mut slug) = ("", String::new());
        loop {
            let mut conn = self.db.reader().await?;
            let page = transfer::terms(&mut conn, (kind, &slug), SHORT).await?;
            drop(conn);
            let Some(Named(last_kind, last)) = page.last() else { return Ok(()) };
            (kind, slug) = (last_kind.name(), last.slug.clone());
            for Named(kind, term) in page {
                let (description, position) = (term.description, term.position);
                let (slug, name) = (term.slug, term.name);
                self.write(&Record::Term(record::Term {
                    kind,
                    slug,
                    name,
                    description,
                    position,
                }))?;
            }
        }
    }

    /// Pictures with their files; once for each library that one is in.
    async fn pictures(
        &mut self,
        giving: &Giving<'_>,
        mut told: impl FnMut(u64),
    ) -> Result<(), TransferError> {
        let mut after = Id::from_raw(0);
        loop {
            let mut conn = self.db.reader().await?;
            let page = assets::after(&mut conn, after, PICTURES).await?;
            drop(conn);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for asset in page {
                self.picture(giving, &asset).await?;
                told(self.done.pictures);
            }
        }
    }

    async fn picture(&mut self, giving: &Giving<'_>, asset: &Asset) -> Result<(), TransferError> {
        let mut conn = self.db.reader().await?;
        let owned = items::of_asset(&mut conn, asset.id).await?;
        let is_wanted = !owned.is_empty() || shown::is_shown(&mut conn, &asset.sha256).await?;
        drop(conn);
        if !is_wanted {
            return Ok(());
        }
        if !giving.give(asset).await? {
            // It may have been removed this very moment.
            let mut conn = self.db.reader().await?;
            if assets::by_id(&mut conn, asset.id).await?.is_some() {
                self.done.lost.push(path(&asset.sha256, MAIN, asset.kind));
            }
            return Ok(());
        }
        if owned.is_empty() {
            self.write(&Record::Picture(Box::new(pictured(asset, None))))?;
        }
        for item in owned {
            self.write(&Record::Picture(Box::new(pictured(asset, Some(item)))))?;
        }
        self.done.pictures += 1;
        Ok(())
    }

    async fn article(&mut self, article: Article) -> Result<(), TransferError> {
        let former_slugs = transfer::former_slugs(&mut self.db.reader().await?, &article).await?;
        let id = article.id;
        self.write(&Record::Article(Box::new(told(article, former_slugs))))?;
        self.done.articles += 1;
        let mut after = 0;
        loop {
            let mut conn = self.db.reader().await?;
            let page = transfer::revisions(&mut conn, id, after, REVISIONS).await?;
            drop(conn);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.number;
            for revision in page {
                self.write(&Record::Revision(Revision {
                    article_id: id.to_string(),
                    number: revision.number,
                    title: revision.title,
                    body: revision.body,
                    editor: person(revision.editor),
                    created_at: revision.created_at,
                }))?;
            }
        }
    }

    /// After all articles: what was translated may have been written later.
    async fn translations(&mut self) -> Result<(), TransferError> {
        let mut after = Id::from_raw(0);
        loop {
            let mut conn = self.db.reader().await?;
            let page = transfer::translations(&mut conn, after, SHORT).await?;
            drop(conn);
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (id, of) in page {
                let (article_id, of) = (id.to_string(), of.to_string());
                self.write(&Record::Translation(Translation { article_id, of }))?;
            }
        }
    }

    async fn menus(&mut self) -> Result<(), TransferError> {
        let all = menus::list(&mut self.db.reader().await?, SHORT).await?;
        for Menu { name, .. } in all {
            let items = menus::items(&mut self.db.reader().await?, &name).await?;
            let items = items.into_iter().map(|Placed { item, .. }| {
                let (url, article_id) = match item.target {
                    Target::Address(address) => (Some(address), None),
                    Target::Article(article) => (None, Some(article.to_string())),
                };
                MenuItem { label: item.label, url, article_id, is_below: item.is_below }
            });
            let items = items.collect();
            self.write(&Record::Menu(record::Menu { name, items }))?;
        }
        Ok(())
    }

    async fn redirects(&mut self) -> Result<(), TransferError> {
        let mut after = Id::from_raw(0);
        loop {
            let mut conn = self.db.reader().await?;
            let page = transfer::redirects(&mut conn, after, SHORT).await?;
            drop(conn);
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for redirect in page {
                self.write(&Record::Redirect(Redirect { from: redirect.from, to: redirect.to }))?;
            }
        }
    }
}

fn person((id, name): (Id, String)) -> Person {
    Person { id: id.to_string(), name, email: None }
}

fn pictured(asset: &Asset, item: Option<Item>) -> Picture {
    let file = |made: &Made| {
        let Made { size, kind, width, height, bytes, sha256 } = made.clone();
        PictureFile { size, kind, width, height, bytes, sha256 }
    };
    Picture {
        sha256: asset.sha256.clone(),
        kind: asset.kind,
        width: asset.width,
        height: asset.height,
        frames: asset.frames,
        color: asset.color.clone(),
        files: asset.files.iter().map(file).collect(),
        item: item.map(|item| LibraryItem {
            id: item.id.to_string(),
            owner: person(item.owner),
            name: item.name,
            alt: item.alt,
            created_at: item.created_at,
        }),
    }
}

fn told(article: Article, former_slugs: Vec<String>) -> record::Article {
    let seo = article.seo;
    record::Article {
        id: article.id.to_string(),
        kind: article.kind,
        slug: Some(article.slug),
        former_slugs,
        // Those are redirects.
        former_paths: Vec::new(),
        title: article.title,
        excerpt: article.own_excerpt.then_some(article.excerpt),
        body: article.body,
        status: article.status,
        author: person(article.author),
        co_authors: article.co_authors.into_iter().map(person).collect(),
        language: article.language,
        edited_by: Some(person(article.edited_by)),
        edited_at: Some(article.edited_at),
        category: article.category,
        tags: article.tags,
        cover: article.cover,
        seo: Seo {
            title: seo.title,
            description: seo.description,
            canonical: seo.canonical,
            noindex: seo.noindex,
        },
        comments: article.comments,
        created_at: article.created_at,
        published_at: article.published_at,
        publish_at: article.publish_at,
        updated_at: Some(article.updated_at),
        deleted_at: article.deleted_at,
    }
}
