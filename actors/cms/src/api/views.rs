//! Articles as they are shown.

use panel_kernel::ids::Id;
use panel_kernel::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::rules::{Status, Viewer, path};
use crate::store::articles::{Article, Seo};
use crate::store::lists::Listed;

/// Somebody.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Person {
    /// The account.
    id: Id,
    /// The name shown.
    name: String,
}

impl Person {
    /// How they are called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl From<&(Id, String)> for Person {
    fn from((id, name): &(Id, String)) -> Self {
        Self { id: *id, name: name.clone() }
    }
}

impl From<(Id, String)> for Person {
    fn from((id, name): (Id, String)) -> Self {
        Self { id, name }
    }
}

/// How it is told of where it is not read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct SeoView {
    /// Instead of its title.
    title: Option<String>,
    /// Instead of its excerpt.
    description: Option<String>,
    /// Where it was first, if not here.
    canonical: Option<String>,
    /// Whether search engines are to leave it out.
    noindex: bool,
}

impl From<Seo> for SeoView {
    fn from(seo: Seo) -> Self {
        let Seo { title, description, canonical, noindex } = seo;
        Self { title, description, canonical, noindex }
    }
}

/// An article, whole.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct ArticleView {
    id: Id,
    /// Its place in addresses. One that it had before leads to this one.
    slug: String,
    /// The page at which people read it, once it is published.
    path: String,
    title: String,
    /// A few lines: what somebody wrote, else the beginning of the text.
    excerpt: String,
    /// Markdown.
    body: String,
    body_html: String,
    status: Status,
    /// Whose it is.
    author: Person,
    /// Who wrote it, its author first.
    authors: Vec<Person>,
    /// The slug of its category.
    category: Option<String>,
    tags: Vec<String>,
    /// The address of a picture.
    cover: Option<String>,
    seo: SeoView,
    /// In which language it is (BCP 47), if that is known.
    language: Option<String>,
    /// Of which article it is a translation: of all that say the same, the one that was there first.
    translation_of: Option<Id>,
    /// Whether people can comment on it, while it is published.
    comments: bool,
    created_at: Timestamp,
    /// When it was published first.
    published_at: Option<Timestamp>,
    updated_at: Timestamp,
    version: i64,
    /// For those who write it.
    #[serde(flatten)]
    inside: Option<Inside>,
}

/// What only those see who write an article, or decide about it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct Inside {
    /// When it is to appear by itself.
    publish_at: Option<Timestamp>,
    /// Who wrote the text as it is, and when.
    edited_by: Person,
    edited_at: Timestamp,
    /// What whoever gave it back said.
    review_note: Option<String>,
}

impl ArticleView {
    /// As this person sees it.
    pub(super) fn new(article: Article, viewer: Viewer) -> Self {
        let authors = article.authors().map(Person::from).collect();
        let inside = article.is_seen_by(viewer).then(|| Inside {
            publish_at: article.publish_at,
            edited_by: article.edited_by.into(),
            edited_at: article.edited_at,
            review_note: article.review_note,
        });
        Self {
            id: article.id,
            path: path(article.kind, &article.slug),
            slug: article.slug,
            title: article.title,
            excerpt: article.excerpt,
            body: article.body,
            body_html: article.body_html,
            status: article.status,
            authors,
            author: article.author.into(),
            category: article.category,
            tags: article.tags,
            cover: article.cover,
            seo: article.seo.into(),
            language: article.language,
            translation_of: article.translation_of,
            comments: article.comments,
            created_at: article.created_at,
            published_at: article.published_at,
            updated_at: article.updated_at,
            version: article.version,
            inside,
        }
    }
}

/// An article in a list, as it is seen there.
macro_rules! item {
    ($(#[$about:meta])* $name:ident { $($(#[$field_about:meta])* $field:ident: $type:ty = $from:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Serialize, ToSchema)]
        pub(super) struct $name {
            id: Id,
            slug: String,
            title: String,
            excerpt: String,
            status: Status,
            author: Person,
            /// Who wrote it, its author first.
            authors: Vec<Person>,
            /// The slug of its category.
            category: Option<String>,
            tags: Vec<String>,
            /// The address of a picture.
            cover: Option<String>,
            $($(#[$field_about])* $field: $type,)*
            updated_at: Timestamp,
            version: i64,
        }

        impl From<Listed> for $name {
            fn from(it: Listed) -> Self {
                $(let $field = $from(&it);)*
                let authors = it.authors().map(Person::from).collect();
                Self {
                    id: it.id,
                    slug: it.slug,
                    title: it.title,
                    excerpt: it.excerpt,
                    status: it.status,
                    authors,
                    author: it.author.into(),
                    category: it.category,
                    tags: it.tags,
                    cover: it.cover,
                    $($field,)*
                    updated_at: it.updated_at,
                    version: it.version,
                }
            }
        }
    };
}

item! {
    /// A published article in a list.
    ArticleItem {
        /// When it was published first.
        published_at: Timestamp = |it: &Listed| it.published_at.unwrap_or(it.updated_at),
    }
}

item! {
    /// An article in a list of all that there are.
    AnyArticleItem {
        /// When it was published first, if it was.
        published_at: Option<Timestamp> = |it: &Listed| it.published_at,
        /// When it is to appear by itself, if it is.
        publish_at: Option<Timestamp> =
            |it: &Listed| it.publish_at.filter(|_| it.status == Status::Scheduled),
    }
}

/// A deleted article in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct DeletedItem {
    #[serde(flatten)]
    article: AnyArticleItem,
    deleted_at: Timestamp,
}

impl From<(Listed, Timestamp)> for DeletedItem {
    fn from((listed, deleted_at): (Listed, Timestamp)) -> Self {
        Self { article: listed.into(), deleted_at }
    }
}
