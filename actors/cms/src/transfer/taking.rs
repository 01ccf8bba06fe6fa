//! Taking a record in, within a transaction.

use std::sync::Arc;

use panel_kernel::data::{Conn, DbError, Tx};
use panel_kernel::http::validate::{Check, printable};
use panel_kernel::ids::{Id, Ids};
use panel_kernel::time::Timestamp;
use panel_text::html::beginning;
use panel_text::names;

use super::importing::Options;
use super::pictures::Moved;
use super::preparing::{Fresh, Prepared};
use super::record::{Article as Told, Person, Picture, Revision, Seo as ToldSeo, Term};
use crate::rules::{Status, fields};
use crate::store::articles::{self, Article, Seo};
use crate::store::people;
use crate::store::revisions::Revision as Kept;
use crate::store::terms::{self, TermKind};
use crate::store::transfer::{self, Imported};
use crate::store::{search, slugs};
use crate::texts::{self, Unshown};

/// The longest name of a person that is kept, in characters.
const NAME_CHARS: usize = 100;

/// From where it is.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) source: Arc<str>,
    /// It is this very site: ids are what they are.
    pub(super) is_same: bool,
}

impl Origin {
    /// What an article of there is called here, if it is here.
    pub(super) async fn known(&self, conn: &mut Conn, key: &str) -> Result<Option<Id>, DbError> {
        if self.is_same
            && let Ok(id) = key.parse::<Id>()
            && articles::by_id(conn, id).await?.is_some()
        {
            return Ok(Some(id));
        }
        let what = (Imported::Article, key);
        Ok(transfer::find(conn, &self.source, what).await?.map(|(id, _)| id))
    }

    /// Whether a picture of a library was taken in before, wherever it is now. Who restores this very site wants it back.
    pub(super) async fn has_picture(
        &self,
        conn: &mut Conn,
        told: &Picture,
    ) -> Result<bool, DbError> {
        let Some(item) = told.item.as_ref().filter(|_| !self.is_same) else { return Ok(false) };
        let what = (Imported::Picture, item.id.as_str());
        Ok(transfer::find(conn, &self.source, what).await?.is_some())
    }
}

/// Why a record can't be taken in.
#[derive(Debug)]
pub(super) enum Refusal {
    Reason(String),
    /// At another time it might be.
    Later(String),
    Database(DbError),
}

impl From<DbError> for Refusal {
    fn from(error: DbError) -> Self {
        match error {
            DbError::BadText => Self::Reason("it contains the character NUL".to_owned()),
            error => Self::Database(error),
        }
    }
}

impl From<Unshown> for Refusal {
    fn from(why: Unshown) -> Self {
        match why {
            Unshown::TooManyPictures => Self::Reason(texts::too_many()),
            Unshown::Database(error) => error.into(),
        }
    }
}

pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Reason(reason.into()))
}

/// What is wrong, as a sentence.
pub(super) fn checked(check: Check) -> Result<(), Refusal> {
    check.done().map_err(|problem| {
        let wrong = problem.errors.iter().map(|error| format!("{} {}", error.field, error.message));
        Refusal::Reason(wrong.collect::<Vec<_>>().join("; "))
    })
}

/// What became of a record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    /// It was not there before.
    pub(super) is_new: bool,
    /// Paths of another site that lead to it from now on.
    pub(super) led: u64,
    /// And those that do not.
    pub(super) unled: u64,
    /// Pictures that came into the library of its author.
    pub(super) pictures: u64,
}

/// A record that is being taken in.
pub(super) struct Taking<'t> {
    pub(super) tx: &'t mut Tx,
    pub(super) origin: Origin,
    pub(super) options: Arc<Options>,
    pub(super) fresh: Fresh,
    pub(super) now: Timestamp,
}

impl Taking<'_> {
    /// Takes it in.
    pub(super) async fn take(mut self, prepared: &Prepared) -> Result<Taken, Refusal> {
        let is_new = match prepared {
            Prepared::Term(term) => self.term(term).await,
            Prepared::Article(article, html, moved) => {
                return self.article(article, html, moved).await;
            }
            Prepared::Picture(picture, asset) => self.picture(picture, asset.id).await,
            Prepared::Revision(revision) => self.revision(revision).await,
            Prepared::Translation(translation) => self.translation(translation).await,
            Prepared::Menu(menu) => self.menu(menu).await,
            Prepared::Redirect(redirect) => self.redirect(redirect).await,
        };
        Ok(Taken { is_new: is_new?, ..Taken::default() })
    }

    async fn term(&mut self, told: &Term) -> Result<bool, Refusal> {
        let mut check = Check::new();
        let slug = slug_of_term(told.kind, &told.slug);
        let name = fields::name(&mut check, &printable(&told.name));
        let description = fields::description(&mut check, &printable(&told.description));
        checked(check)?;
        if slug.is_empty() {
            return refuse("nothing is left of its slug");
        }
        let position = told.position.clamp(0, fields::MOST_POSITION);
        let named = terms::Term::named(slug, name, self.now);
        let term = terms::Term { description, position, ..named };
        Ok(terms::insert(self.tx, told.kind, &term).await?)
    }

    async fn article(
        &mut self,
        told: &Told,
        html: &str,
        moved: &[Moved],
    ) -> Result<Taken, Refusal> {
        if self.known(&told.id).await?.is_some() {
            return Ok(Taken::default());
        }
        let mut check = Check::new();
        let title = fields::title(&mut check, &told.title);
        let excerpt = told.excerpt.as_deref().map(printable);
        let excerpt = excerpt.and_then(|text| fields::excerpt(&mut check, &text));
        let cover = told.cover.as_deref();
        let cover = cover.and_then(|text| fields::address(&mut check, "cover", text));
        let tags = tags(&told.tags);
        let comments = fields::comments(&mut check, told.kind, told.comments);
        let seo = seo(&mut check, &told.seo);
        let language = told.language.as_deref();
        let language = language.and_then(|text| fields::language(&mut check, text));
        checked(check)?;
        let author = self.person(&told.author, self.fresh.people[0]).await?;
        let edited_by = match &told.edited_by {
            Some(editor) => self.person(editor, self.fresh.people[1]).await?,
            None => author.clone(),
        };
        let co_authors = self.co_authors(told, author.0).await?;
        let id = self.named(&told.id).await?;
        let category = self.category(told.category.as_deref()).await?;
        let (status, published_at, publish_at) = when(told)?;
        let updated_at = told.updated_at.unwrap_or(told.created_at);
        let wanted = slug(told, &title);
        let article = Article {
            id,
            kind: told.kind,
            slug: slugs::free(self.tx, &wanted, id).await?,
            own_excerpt: excerpt.is_some(),
            excerpt: excerpt.unwrap_or_else(|| beginning(html, fields::EXCERPT_CHARS)),
            title,
            body: told.body.clone(),
            body_html: html.to_owned(),
            status,
            author,
            co_authors,
            edited_by,
            edited_at: told.edited_at.unwrap_or(updated_at),
            category,
            tags,
            cover,
            seo,
            language,
            translation_of: None,
            comments,
            created_at: told.created_at,
            published_at,
            publish_at,
            review_note: None,
            updated_at,
            preview_epoch: 0,
            deleted_at: told.deleted_at,
            version: 1,
        };
        slugs::moved(self.tx, id, (None, &article.slug)).await?;
        articles::insert(self.tx, &article).await?;
        for former in &told.former_slugs {
            let former = names::slug(former, "");
            if !former.is_empty() && !slugs::is_taken(self.tx, &former, id).await? {
                slugs::keep(self.tx, id, &former).await?;
            }
        }
        search::index(self.tx, id).await?;
        self.note((Imported::Article, &told.id), (id, None)).await?;
        let (led, unled) = self.former_paths(told, &article).await?;
        let pictures = self.moved(moved, &article).await?;
        Ok(Taken { is_new: true, led, unled, pictures })
    }

    async fn revision(&mut self, told: &Revision) -> Result<bool, Refusal> {
        let Some(article) = self.known(&told.article_id).await? else {
            return refuse(format!("there is no article {:?} before it", told.article_id));
        };
        if told.number < 1 {
            return refuse("numbers of revisions begin with 1");
        }
        let editor = self.person(&told.editor, self.fresh.people[0]).await?;
        let mut check = Check::new();
        let title = fields::title(&mut check, &told.title);
        checked(check)?;
        let revision = Kept {
            number: told.number,
            title,
            body: told.body.clone(),
            editor,
            created_at: told.created_at,
        };
        Ok(transfer::revision(self.tx, (self.fresh.own, article), &revision).await?)
    }

    /// Who wrote it with its author, each once.
    async fn co_authors(
        &mut self,
        told: &Told,
        author: Id,
    ) -> Result<Vec<people::Person>, Refusal> {
        let mut all: Vec<people::Person> = Vec::new();
        let fresh = self.fresh.people;
        for (told, fresh) in told.co_authors.iter().zip(fresh.into_iter().skip(2)) {
            let person = self.person(told, fresh).await?;
            if person.0 != author && all.iter().all(|(id, _)| *id != person.0) {
                all.push(person);
            }
        }
        all.truncate(fields::MAX_AUTHORS - 1);
        people::note(self.tx, &all).await?;
        Ok(all)
    }

    /// What an article of the file is called here, if it is here.
    pub(super) async fn known(&mut self, key: &str) -> Result<Option<Id>, Refusal> {
        Ok(self.origin.known(self.tx, key).await?)
    }

    /// What an article is to be called here: as there, if that may be and is free.
    async fn named(&mut self, key: &str) -> Result<Id, Refusal> {
        if let Ok(id) = key.parse::<Id>()
            && Ids::made_at(id) < self.now
            && articles::by_id(self.tx, id).await?.is_none()
        {
            return Ok(id);
        }
        Ok(self.fresh.own)
    }

    /// Who that is here: an account, or a name alone.
    pub(super) async fn person(
        &mut self,
        told: &Person,
        fresh: Id,
    ) -> Result<(Id, String), Refusal> {
        if let Some(account) = self.options.people.get(&told.id) {
            return Ok(account.clone());
        }
        let name: String = printable(told.name.trim())
            .chars()
            .filter(|c| !c.is_control())
            .take(NAME_CHARS)
            .collect();
        if self.origin.is_same
            && let Ok(id) = told.id.parse::<Id>()
        {
            return Ok((id, name));
        }
        let what = (Imported::Person, told.id.as_str());
        if let Some((id, kept)) = transfer::find(self.tx, &self.origin.source, what).await? {
            return Ok((id, kept.unwrap_or(name)));
        }
        self.note(what, (fresh, Some(&name))).await?;
        Ok((fresh, name))
    }

    pub(super) async fn note(
        &mut self,
        what: (Imported, &str),
        here: (Id, Option<&str>),
    ) -> Result<(), Refusal> {
        if !(1..=200).contains(&what.1.len()) {
            return refuse("what it is called there must have 1 to 200 bytes");
        }
        Ok(transfer::note(self.tx, &self.origin.source, what, here).await?)
    }

    /// The category of that slug, which is made where there is none.
    async fn category(&mut self, told: Option<&str>) -> Result<Option<String>, Refusal> {
        let slug = told.map(|slug| slug_of_term(TermKind::Category, slug));
        let Some(slug) = slug.filter(|slug| !slug.is_empty()) else { return Ok(None) };
        if terms::held(self.tx, TermKind::Category, &slug).await?.is_none() {
            let term = terms::Term::named(slug.clone(), slug.clone(), self.now);
            terms::insert(self.tx, TermKind::Category, &term).await?;
        }
        Ok(Some(slug))
    }
}

/// The slug of a category or a tag in the form that it has here.
fn slug_of_term(kind: TermKind, slug: &str) -> String {
    match kind {
        TermKind::Category => names::slug(slug, ""),
        TermKind::Tag => tags(&[slug.to_owned()]).pop().unwrap_or_default(),
    }
}

/// Tags in the form that they have here, as many as an article may have: of names of elsewhere, what can be in one.
fn tags(told: &[String]) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for name in told {
        let may_be = |c: char| c.is_alphanumeric() || "-_.+#".contains(c);
        let words = name.split(|c| !may_be(c)).filter(|word| !word.is_empty());
        let name: String = words.collect::<Vec<_>>().join(" ").chars().take(30).collect();
        // One by one: what is none is left out.
        let found = names::tags(&mut Check::new(), &[name], 1).pop();
        tags.extend(found.filter(|tag| !tag.is_empty() && !tags.contains(tag)));
        if tags.len() == fields::MAX_TAGS {
            break;
        }
    }
    tags
}

/// The slug that an article had, or follows from its title.
fn slug(told: &Told, title: &str) -> String {
    let own = told.slug.as_deref().map(|slug| names::slug(slug, ""));
    match own.filter(|slug| !slug.is_empty()) {
        Some(slug) => fields::slug_of(&slug, told.kind.name()),
        None => fields::slug_of(title, told.kind.name()),
    }
}

/// Where it is on its way, since when it is published, and when it is to be.
type When = (Status, Option<Timestamp>, Option<Timestamp>);

fn when(told: &Told) -> Result<When, Refusal> {
    let published = told.published_at;
    Ok(match told.status {
        Status::Published => (Status::Published, published.or(Some(told.created_at)), None),
        Status::Scheduled => match told.publish_at {
            Some(at) => (Status::Scheduled, published, Some(at)),
            None => return refuse("it is scheduled, and has no time (publish_at)"),
        },
        other => (other, published, None),
    })
}

fn seo(check: &mut Check, told: &ToldSeo) -> Seo {
    let mut take = |text: &Option<String>, rule: fn(&mut Check, &str) -> Option<String>| {
        text.as_deref().and_then(|text| rule(check, text))
    };
    let title = take(&told.title, fields::seo_title);
    let description = take(&told.description, fields::seo_description);
    let canonical = told.canonical.as_deref();
    let canonical = canonical.and_then(|text| fields::address(check, "seo.canonical", text));
    Seo { title, description, canonical, noindex: told.noindex }
}
