//! What Ghost writes ("Settings → Migration tools → Export"): one document of JSON.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use panel_kernel::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::record::{Article, Person, Record, Seo, Site, Term, VERSION};
use super::wordpress::time;
use super::{Kind, Remarks, Status, TermKind, TransferError, html};
use crate::rules::fields::MAX_AUTHORS;

/// The longest file: it is read as a whole.
const MOST_BYTES: u64 = 1024 * 1024 * 1024;
/// What stands in texts for the address of the site.
const SITE: &str = "__GHOST_URL__";

#[derive(Debug, Deserialize)]
struct Document {
    db: Vec<Database>,
}

#[derive(Debug, Deserialize)]
struct Database {
    data: Data,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data {
    posts: Vec<Post>,
    posts_meta: Vec<Meta>,
    posts_authors: Vec<Link>,
    posts_tags: Vec<Link>,
    tags: Vec<Tag>,
    users: Vec<User>,
    settings: Vec<Setting>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Post {
    #[serde(deserialize_with = "text")]
    id: String,
    title: Option<String>,
    slug: Option<String>,
    html: Option<String>,
    plaintext: Option<String>,
    feature_image: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Of earlier releases.
    #[serde(deserialize_with = "flag")]
    page: bool,
    status: Option<String>,
    visibility: Option<String>,
    custom_excerpt: Option<String>,
    canonical_url: Option<String>,
    meta_title: Option<String>,
    meta_description: Option<String>,
    author_id: Option<Value>,
    created_at: Option<Value>,
    updated_at: Option<Value>,
    published_at: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    #[serde(deserialize_with = "text")]
    post_id: String,
    #[serde(rename = "meta_title")]
    title: Option<String>,
    #[serde(rename = "meta_description")]
    description: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Link {
    #[serde(deserialize_with = "text")]
    post_id: String,
    #[serde(deserialize_with = "text")]
    author_id: String,
    #[serde(deserialize_with = "text")]
    tag_id: String,
    sort_order: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tag {
    #[serde(deserialize_with = "text")]
    id: String,
    name: Option<String>,
    description: Option<String>,
    visibility: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    #[serde(deserialize_with = "text")]
    id: String,
    name: Option<String>,
    email: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Setting {
    key: String,
    value: Option<Value>,
}

/// Ids are numbers in old files, and texts in newer ones.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(said(&Value::deserialize(deserializer)?))
}

fn said(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(matches!(said(&Value::deserialize(deserializer)?).as_str(), "true" | "1"))
}

/// What a file of Ghost has in it: who wrote, the records, and what has no place here. `address` is where the site was, if
/// the file does not say it.
///
/// # Errors
/// [`TransferError`] if it can't be read, or is none of Ghost.
pub fn ghost(
    path: &Path,
    address: Option<&str>,
) -> Result<(Vec<Person>, Vec<Record>, Remarks), TransferError> {
    let file = File::open(path)?;
    if file.metadata()?.len() > MOST_BYTES {
        return Err(TransferError::File(format!("it is longer than {MOST_BYTES} bytes")));
    }
    let document: Document = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| TransferError::File(format!("it is no file of Ghost: {error}")))?;
    let Some(Database { data }) = document.db.into_iter().next() else {
        return Err(TransferError::File("it is no file of Ghost: it has no database".to_owned()));
    };
    let setting = |key: &str| {
        let found = data.settings.iter().find(|setting| setting.key == key);
        found.and_then(|setting| setting.value.as_ref()).map(said).filter(|text| !text.is_empty())
    };
    let title = setting("title");
    let source = address.map(str::to_owned).or(title).unwrap_or_else(|| "ghost".to_owned());
    Ok(Reading::new(&data, address).all(&data, &source))
}

struct Reading<'d> {
    people: HashMap<&'d str, &'d User>,
    tags: HashMap<&'d str, &'d Tag>,
    meta: HashMap<&'d str, &'d Meta>,
    authors_of: HashMap<&'d str, Vec<&'d Link>>,
    tags_of: HashMap<&'d str, Vec<&'d Link>>,
    address: &'d str,
    remarks: Remarks,
}

impl<'d> Reading<'d> {
    fn new(data: &'d Data, address: Option<&'d str>) -> Self {
        let grouped = |links: &'d [Link]| {
            let mut of: HashMap<&'d str, Vec<&'d Link>> = HashMap::new();
            for link in links {
                of.entry(&link.post_id).or_default().push(link);
            }
            for links in of.values_mut() {
                links.sort_by_key(|link| link.sort_order);
            }
            of
        };
        Self {
            people: data.users.iter().map(|user| (user.id.as_str(), user)).collect(),
            tags: data.tags.iter().map(|tag| (tag.id.as_str(), tag)).collect(),
            meta: data.posts_meta.iter().map(|meta| (meta.post_id.as_str(), meta)).collect(),
            authors_of: grouped(&data.posts_authors),
            tags_of: grouped(&data.posts_tags),
            address: address.unwrap_or_default().trim_end_matches('/'),
            remarks: Remarks::default(),
        }
    }

    fn all(mut self, data: &'d Data, source: &str) -> (Vec<Person>, Vec<Record>, Remarks) {
        let source = source.chars().take(100).collect();
        let mut records = vec![Record::Site(Site { version: VERSION, source, exported_at: None })];
        records.extend(data.tags.iter().filter_map(term));
        for post in &data.posts {
            records.push(Record::Article(Box::new(self.article(post))));
        }
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        records.push(Record::End { records: count });
        let people = data.users.iter().map(|user| Person {
            id: user.id.clone(),
            name: user.name.clone().unwrap_or_default(),
            email: user.email.clone().filter(|email| !email.is_empty()),
        });
        (people.collect(), records, self.remarks)
    }

    fn article(&mut self, post: &Post) -> Article {
        let kind = match post.kind.as_deref() {
            Some("page") => Kind::Page,
            None if post.page => Kind::Page,
            _ => Kind::Post,
        };
        let at = |value: &Option<Value>| value.as_ref().and_then(moment);
        let published = at(&post.published_at);
        let created_at = at(&post.created_at).or(published).unwrap_or(Timestamp::from_micros(0));
        let status = self.status(post);
        let links = self.authors_of.get(post.id.as_str());
        let mut authors = links.into_iter().flatten().map(|link| link.author_id.clone());
        let author = authors.next();
        let co_authors = authors.take(MAX_AUTHORS - 1).map(|id| self.person(id)).collect();
        let author = author.or_else(|| post.author_id.as_ref().map(said)).unwrap_or_default();
        let tags = self.tags_of.get(post.id.as_str()).into_iter().flatten();
        let tags = tags.filter_map(|link| self.tags.get(link.tag_id.as_str()));
        let tags = tags.filter(|tag| is_public(tag)).filter_map(|tag| tag.name.clone());
        let meta = self.meta.get(post.id.as_str());
        let short = |text: Option<&String>, most: usize| {
            let text = text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
            text.filter(|text| !text.is_empty()).map(|text| text.chars().take(most).collect())
        };
        let seo_title = meta.and_then(|meta| meta.title.as_ref()).or(post.meta_title.as_ref());
        let seo_text =
            meta.and_then(|meta| meta.description.as_ref()).or(post.meta_description.as_ref());
        let body = match &post.html {
            Some(html) => html::markdown(&self.placed(html)),
            None => {
                post.plaintext.as_deref().map(panel_text::markdown::literal).unwrap_or_default()
            }
        };
        let title = short(post.title.as_ref(), 200).or_else(|| post.slug.clone());
        Article {
            id: post.id.clone(),
            kind,
            slug: post.slug.clone().filter(|slug| !slug.is_empty()),
            former_paths: self.path(post, status).into_iter().collect(),
            title: title.filter(|title| !title.is_empty()).unwrap_or_else(|| "Untitled".to_owned()),
            excerpt: short(post.custom_excerpt.as_ref(), 500),
            body,
            status,
            author: self.person(author),
            co_authors,
            tags: tags.take(20).collect(),
            cover: post.feature_image.as_deref().and_then(|url| html::address(&self.placed(url))),
            seo: Seo {
                title: short(seo_title, 120),
                description: short(seo_text, 320),
                canonical: post
                    .canonical_url
                    .as_deref()
                    .and_then(|url| html::address(&self.placed(url))),
                noindex: false,
            },
            created_at,
            published_at: published.filter(|_| status != Status::Scheduled),
            publish_at: published.filter(|_| status == Status::Scheduled),
            updated_at: at(&post.updated_at).filter(|at| *at >= created_at),
            ..Article::default()
        }
    }

    /// Where it is read there, unless its routes say otherwise: what is sent only is nowhere else.
    fn path(&self, post: &Post, status: Status) -> Option<String> {
        let slug = post.slug.as_deref().filter(|slug| !slug.is_empty())?;
        let site = self.address.split_once("://").map_or("", |(_, rest)| rest);
        let below = site.find('/').map_or("", |at| &site[at..]);
        (status == Status::Published).then(|| format!("{below}/{slug}/"))
    }

    /// Who has this id there.
    fn person(&self, id: String) -> Person {
        let name = self.people.get(id.as_str()).and_then(|user| user.name.clone());
        let id = if id.is_empty() { "nobody".to_owned() } else { id };
        Person { id, name: name.unwrap_or_default(), email: None }
    }

    /// What it says of its own site, where that was.
    fn placed(&self, text: &str) -> String {
        text.replace(SITE, self.address)
    }

    fn status(&mut self, post: &Post) -> Status {
        let is_public = matches!(post.visibility.as_deref(), None | Some("public"));
        match post.status.as_deref() {
            Some("published" | "sent") if !is_public => {
                self.remarks.add("ones for members alone, which are archived", 1);
                Status::Archived
            }
            Some("sent") => {
                self.remarks.add("ones that were only mailed, which are archived", 1);
                Status::Archived
            }
            Some("published") => Status::Published,
            Some("scheduled") if post.published_at.is_some() && is_public => Status::Scheduled,
            _ => Status::Draft,
        }
    }
}

/// Tags for the program alone begin with `#`.
fn is_public(tag: &Tag) -> bool {
    let is_inside = tag.name.as_deref().is_none_or(|name| name.starts_with('#'));
    !is_inside && tag.visibility.as_deref() != Some("internal")
}

fn term(tag: &Tag) -> Option<Record> {
    let name = tag.name.clone().filter(|_| is_public(tag))?;
    let description: String =
        tag.description.iter().flat_map(|text| text.chars()).take(1_000).collect();
    let shown = name.chars().take(80).collect();
    Some(Record::Term(Term {
        kind: TermKind::Tag,
        slug: name,
        name: shown,
        description,
        position: 0,
    }))
}

/// A moment as a text, or in milliseconds.
fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(millis) => millis.as_i64()?.checked_mul(1_000).map(Timestamp::from_micros),
        Value::String(text) => time(text),
        _ => None,
    }
}
