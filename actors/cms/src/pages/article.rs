//! The page of an article, and what search engines and others are told of it.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use panel_kernel::data::{Conn, DbError};
use panel_kernel::http::{CacheFor, Caller, RouteError, Segments, page as shown_page};
use panel_pictures::MAIN;
use panel_text::html::escape;
use serde_json::{Value, json};

use super::comments::Section;
use super::menus::Menus;
use super::redirects::or_redirect;
use super::{LANGUAGE, Place, Shown, day, kept};
use crate::api::{Cms, Found, Shared, find, unkept};
use crate::comments::Discussion;
use crate::rules::pictures::{self, Asset};
use crate::rules::{Kind, Status, Viewer, path};
use crate::store::articles::Article;
use crate::store::media::{assets, items};
use crate::store::people::Person;
use crate::store::terms::{self, Term, TermKind};
use crate::store::translations::{self, Translation};
use crate::tags;

/// Below which address previews are.
pub(crate) const PREVIEW: &str = "/blog/preview";

/// What it is called, and what is said of it, where it is not read.
struct Told {
    title: String,
    description: String,
}

/// The same in a language.
struct Alternate {
    /// A tag of BCP 47, or `x-default`: for those whose language is none of them.
    language: String,
    /// Its whole address.
    url: String,
    path: String,
    title: String,
    /// It is another page than this, and leads there.
    is_other: bool,
}

/// The picture above an article.
struct Cover {
    /// Its whole address.
    url: String,
    /// As the page shows it.
    html: String,
    /// What it shows; empty if nobody has said.
    alt: String,
    /// In pixels, of pictures of this site.
    size: Option<(u32, u32)>,
}

#[derive(Template)]
#[template(path = "article.html")]
struct ArticlePage {
    nonce: String,
    menus: Menus,
    title: String,
    told: Told,
    canonical: String,
    /// In which language it is; the one of the site where that is not known.
    language: String,
    /// In which others it can be read, its own first; nothing if in none.
    alternates: Vec<Alternate>,
    noindex: bool,
    cover: Option<Cover>,
    is_post: bool,
    authors: Vec<Place>,
    category: Option<Place>,
    tags: Vec<Place>,
    published: Option<String>,
    shown: String,
    modified: String,
    /// Why nobody else sees it.
    unpublished: Option<&'static str>,
    html: String,
    /// What is said about it, if it wants that.
    discussed: Option<Section>,
    /// What it is, for programs (schema.org).
    structured: Vec<String>,
}

/// `GET /blog/{slug}`
pub(super) async fn post(
    state: State<Shared>,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
    Segments(slug): Segments<String>,
) -> Shown {
    article(&state, &caller, (Kind::Post, slug), uri.path()).await
}

/// `GET /pages/{slug}`
pub(super) async fn page(
    state: State<Shared>,
    OriginalUri(uri): OriginalUri,
    caller: Caller,
    Segments(slug): Segments<String>,
) -> Shown {
    article(&state, &caller, (Kind::Page, slug), uri.path()).await
}

async fn article(cms: &Shared, caller: &Caller, (kind, slug): (Kind, String), at: &str) -> Shown {
    let viewer = Viewer::of(&caller.principal);
    let asked = slug.clone();
    let found: Result<_, RouteError> = cms
        .db
        .look(move |conn| {
            Box::pin(async move {
                let found = find(conn, kind, asked, viewer).await?;
                let (Found::Here(article) | Found::There(article)) = found;
                let category = match &article.category {
                    Some(slug) => terms::find(conn, TermKind::Category, slug).await?,
                    None => None,
                };
                let picture = picture(conn, &article).await?;
                let translations = match article.group() {
                    Some(group) if article.is_public() => translations::of(conn, group).await?,
                    _ => Vec::new(),
                };
                let menus = Menus::on(conn, &path(kind, &article.slug)).await?;
                Ok((article, Around { menus, category, picture, translations }))
            })
        })
        .await;
    let (article, around) = match found {
        Ok(found) => found,
        Err(refusal) => return or_redirect(cms, caller, at, refusal).await,
    };
    if article.slug != slug {
        // By its id, or by a name that it had.
        let cache = CacheFor::everybody(&caller.principal).tagged([tags::article(article.id)]);
        let there = [(header::LOCATION, path(kind, &article.slug))];
        return Ok((StatusCode::MOVED_PERMANENTLY, cache, there).into_response());
    }
    let (discussed, told) = if article.comments && article.is_public() {
        let (section, tags) = Section::of(cms, caller, article.id).await;
        (Some(section), tags)
    } else {
        (None, Vec::new())
    };
    let picture_tag = around.picture.as_ref().map(|(asset, _)| tags::picture(&asset.sha256));
    let group = article.group().map(tags::translations);
    let tags = [tags::article(article.id), tags::TERMS.to_owned(), tags::MENUS.to_owned()];
    let tags = tags.into_iter().chain(picture_tag).chain(group);
    let is_whole = discussed.as_ref().is_none_or(|section| section.is_known);
    let cache = kept(caller, is_whole).tagged(tags.chain(told));
    let shown = shown_page(&cms.allowed, |nonce| {
        ArticlePage::new(cms, nonce, (*article, around), discussed).render()
    })?;
    Ok((cache, shown).into_response())
}

/// `GET /blog/preview/{token}`
pub(super) async fn preview(State(cms): State<Shared>, Segments(token): Segments<String>) -> Shown {
    let article = cms.previewed(&token).await?;
    let mut conn = cms.db.reader().await?;
    let picture = picture(&mut conn, &article).await?;
    let menus = Menus::on(&mut conn, "").await?;
    drop(conn);
    let rendered = shown_page(&cms.allowed, |nonce| {
        let around = Around { menus, category: None, picture, translations: Vec::new() };
        let mut shown = ArticlePage::new(&cms, nonce, (article, around), None);
        shown.noindex = true;
        shown.render()
    })?;
    Ok::<Response, _>((unkept(), rendered).into_response())
}

/// What a page shows beside its article.
struct Around {
    menus: Menus,
    category: Option<Term>,
    picture: Option<Picture>,
    /// All that say the same, itself among them.
    translations: Vec<Translation>,
}

/// What is made of a picture of this site, and what it shows.
type Picture = (Asset, String);

/// The cover, if it is a picture of this site; and what its author has said that it shows.
async fn picture(conn: &mut Conn, article: &Article) -> Result<Option<Picture>, DbError> {
    let name = article.cover.as_deref().and_then(|cover| cover.strip_prefix(pictures::BELOW));
    let Some((sha256, MAIN, _)) = name.and_then(pictures::named) else { return Ok(None) };
    let Some(asset) = assets::by_content(conn, sha256).await? else { return Ok(None) };
    let item = items::of(conn, article.author.0, asset.id).await?;
    let alt = item.and_then(|item| item.alt).unwrap_or_default();
    Ok(Some((asset, alt)))
}

impl Cover {
    /// At this address, here or elsewhere.
    fn new(address: &str, url: String, picture: Option<Picture>) -> Self {
        let (asset, alt) = picture.unzip();
        let alt = alt.unwrap_or_default();
        let mut tag = "<img src=\"".to_owned();
        escape(&mut tag, address);
        tag.push_str("\" alt=\"");
        escape(&mut tag, &alt);
        tag.push_str("\">");
        let size = asset.as_ref().map(|asset| (asset.width, asset.height));
        let known = asset.map(|asset| (asset.sha256.clone(), asset)).into_iter().collect();
        Self { url, html: pictures::responsive(&tag, &known), alt, size }
    }
}

impl ArticlePage {
    fn new(
        cms: &Cms,
        nonce: String,
        (article, around): (Article, Around),
        discussed: Option<Section>,
    ) -> Self {
        let Around { menus, category, picture, translations } = around;
        let alternates = alternates(cms, &article, translations);
        let here = format!("{}{}", cms.public_url, path(article.kind, &article.slug));
        let unpublished = (article.status != Status::Published)
            .then_some("This is not published. Nobody else sees it but who has a link to it.");
        let absolute = |address: String| {
            let is_here = address.starts_with('/');
            if is_here { format!("{}{address}", cms.public_url) } else { address }
        };
        let cover = article.cover.as_ref();
        let cover = cover.map(|address| Cover::new(address, absolute(address.clone()), picture));
        let structured = if article.is_public() {
            let thread = discussed.as_ref().and_then(|section| section.thread.as_ref());
            let cover = cover.as_ref().map(|cover| cover.url.as_str());
            structured(cms, &article, (&here, cover), thread)
        } else {
            Vec::new()
        };
        let authors = article.authors().map(Place::of_author).collect();
        let seo = article.seo;
        Self {
            nonce,
            menus,
            told: Told {
                title: seo.title.unwrap_or_else(|| article.title.clone()),
                description: seo.description.unwrap_or(article.excerpt),
            },
            title: article.title,
            canonical: seo.canonical.map_or(here, absolute),
            noindex: seo.noindex || unpublished.is_some(),
            cover,
            is_post: article.kind == Kind::Post,
            authors,
            language: article.language.unwrap_or_else(|| LANGUAGE.to_owned()),
            alternates,
            category: category.map(|term| Place {
                path: format!("/blog/category/{}", term.slug),
                name: term.name,
            }),
            tags: article.tags.iter().map(|tag| Place::of_tag(tag)).collect(),
            shown: article.published_at.map(day).unwrap_or_default(),
            published: article.published_at.map(|at| at.to_string()),
            modified: article.updated_at.to_string(),
            unpublished,
            html: article.body_html,
            discussed,
            structured,
        }
    }
}

/// In which languages it can be read, if in several: its own first, and last the one for whoever reads none of them,
/// which is the one that was there first.
fn alternates(cms: &Cms, article: &Article, all: Vec<Translation>) -> Vec<Alternate> {
    let mut seen = BTreeSet::new();
    let mut public: Vec<Translation> = all
        .into_iter()
        .filter(|it| it.status == Status::Published && seen.insert(it.language.clone()))
        .collect();
    if public.len() < 2 {
        return Vec::new();
    }
    public.sort_by_key(|it| it.id != article.id);
    let first = public.iter().find(|it| Some(it.id) == article.group()).cloned();
    let default = first.map(|it| Translation { language: "x-default".to_owned(), ..it });
    let alternate = |it: Translation| {
        let path = path(article.kind, &it.slug);
        Alternate {
            url: format!("{}{path}", cms.public_url),
            path,
            title: it.title,
            is_other: it.id != article.id && it.language != "x-default",
            language: it.language,
        }
    };
    public.into_iter().chain(default).map(alternate).collect()
}

/// What it is, and where: for a script element, which nothing in it ends.
fn structured(
    cms: &Cms,
    article: &Article,
    (here, cover): (&str, Option<&str>),
    thread: Option<&Discussion>,
) -> Vec<String> {
    let url = &cms.public_url;
    let text = |value: &Value| value.to_string().replace('<', "\\u003c");
    let crumb = |position: u32, name: &str, item: &str| json!({"@type": "ListItem", "position": position, "name": name, "item": item});
    if article.kind == Kind::Page {
        return Vec::new();
    }
    let author = |(id, name): &Person| json!({"@type": "Person", "name": name, "url": format!("{url}/blog/author/{id}")});
    let mut posting = json!({
        "@context": "https://schema.org",
        "@type": "BlogPosting",
        "headline": article.title,
        "description": article.excerpt,
        "datePublished": article.published_at,
        "dateModified": article.updated_at,
        "author": article.authors().map(author).collect::<Vec<_>>(),
        "image": cover.into_iter().collect::<Vec<_>>(),
        "keywords": article.tags,
        "mainEntityOfPage": here,
    });
    if let Some(language) = &article.language {
        posting["inLanguage"] = json!(language);
    }
    if let Some(thread) = thread {
        posting["commentCount"] = json!(thread.reply_count);
        posting["discussionUrl"] = json!(format!("{url}{}", thread.path()));
    }
    let crumbs = json!({
        "@context": "https://schema.org",
        "@type": "BreadcrumbList",
        "itemListElement": [crumb(1, "Blog", &format!("{url}/blog")), crumb(2, &article.title, here)],
    });
    vec![text(&posting), text(&crumbs)]
}
