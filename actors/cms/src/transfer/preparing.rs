//! What can be done with a record before its transaction: whatever takes long.

use panel_kernel::data::{Database, DbError};
use panel_kernel::http::validate::{Check, printable};
use panel_kernel::http::{MAX_PAGE_BYTES, json_bytes};
use panel_kernel::ids::Id;
use panel_text::markdown::{self, Dialect};

use super::importing::Options;
use super::pictures::Moved;
use super::record::{Article, Menu, Picture, Record, Redirect, Revision, Term, Translation};
use super::taking::{Refusal, checked, refuse};
use crate::rules::fields;
use crate::rules::pictures::Asset;
use crate::texts;

/// Paths of another site that lead to an article, at most.
const MOST_PATHS: usize = 5;

/// Ids for what a record may need.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    /// For itself.
    pub(super) own: Id,
    /// For the people it names: as many as there can be.
    pub(super) people: [Id; 2 + fields::MAX_AUTHORS],
    /// For addresses that lead to it.
    pub(super) paths: [Id; MOST_PATHS],
    /// For pictures that it shows.
    pub(super) pictures: Vec<Id>,
}

impl Fresh {
    pub(super) async fn new(db: &Database, prepared: &Prepared) -> Result<Self, DbError> {
        let none = Id::from_raw(0);
        let (mut people, mut paths) = ([none; 2 + fields::MAX_AUTHORS], [none; MOST_PATHS]);
        let mut pictures = match prepared {
            Prepared::Article(_, _, moved) => vec![none; moved.len()],
            _ => Vec::new(),
        };
        for id in people.iter_mut().chain(&mut paths).chain(&mut pictures) {
            *id = db.next_id().await?;
        }
        Ok(Self { own: db.next_id().await?, people, paths, pictures })
    }
}

/// A record that is ready to be stored.
#[derive(Debug)]
pub(super) enum Prepared {
    Term(Term),
    /// With what was made of it.
    Picture(Box<Picture>, Asset),
    /// With its text as it is shown, and the pictures that are of this site now.
    Article(Box<Article>, String, Vec<Moved>),
    Revision(Revision),
    Translation(Translation),
    Menu(Menu),
    Redirect(Redirect),
}

/// What stays as it was, and why.
pub(super) type Left = Vec<(String, String)>;

impl Prepared {
    /// What it says is printable, and not too long; its text is rendered, its pictures are there.
    pub(super) async fn new(
        db: &Database,
        record: &Record,
        options: &Options,
    ) -> Result<(Self, Left), Refusal> {
        let mut check = Check::new();
        let prepared = match record {
            Record::Term(term) => Self::Term(term.clone()),
            Record::Redirect(redirect) => Self::Redirect(redirect.clone()),
            Record::Menu(menu) => Self::Menu(menu.clone()),
            Record::Translation(translation) => Self::Translation(translation.clone()),
            Record::Revision(revision) => {
                let mut revision = revision.clone();
                revision.title = printable(&revision.title);
                revision.body =
                    fields::body(&mut check, &printable(&revision.body), options.max_body_chars);
                checked(check)?;
                Self::Revision(revision)
            }
            Record::Picture(picture) => match &options.pictures {
                Some(pictures) => {
                    let asset = pictures.kept(picture).await?;
                    Self::Picture(picture.clone(), asset)
                }
                None => return refuse("nobody has said where its files are"),
            },
            Record::Article(article) => return Self::article(db, article, options).await,
            Record::Site(_) | Record::End { .. } => return refuse("this is not its place"),
        };
        Ok((prepared, Left::new()))
    }

    async fn article(
        db: &Database,
        article: &Article,
        options: &Options,
    ) -> Result<(Self, Left), Refusal> {
        let mut check = Check::new();
        let mut article = Box::new(article.clone());
        let moving = match &options.pictures {
            Some(pictures) => Box::pin(pictures.moved(&mut article)).await?,
            None => super::pictures::Moving::default(),
        };
        article.title = printable(&article.title);
        article.body = fields::body(&mut check, &printable(&article.body), options.max_body_chars);
        checked(check)?;
        let dialect = Dialect::Article { embeds: options.embeds.clone() };
        let html = markdown::render(&article.body, &dialect).html;
        let html = texts::with_pictures(db, html).await?;
        if json_bytes(&html) > MAX_PAGE_BYTES {
            return refuse("its text becomes too long when it is shown");
        }
        Ok((Self::Article(article, html, moving.moved), moving.left))
    }
}
