//! What WordPress writes ("Tools → Export"): WXR, which is RSS with names of its own.
//!
//! It is read twice, an element at a time: first who wrote, and which files there are, then the articles. What is in memory
//! is one article, and a line for each person and file.

mod content;
mod elements;
mod menus;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Seek as _;
use std::path::Path;

use panel_kernel::time::Timestamp;

use super::record::{Article, Person, Record, Seo, Site, Term, VERSION};
use super::{Kind, Remarks, Status, TermKind, TransferError, html};
use elements::{Item, Items};
use menus::Menus;

/// The most people, and files, that are remembered.
const MOST_KNOWN: usize = 1_000_000;
/// The category of what has none.
const NONE: &str = "uncategorized";
/// What an entry of a menu is called as a kind of article.
const MENU_ENTRY: &str = "nav_menu_item";

/// A file of WordPress.
#[derive(Debug)]
pub struct WordPress {
    items: Items,
    source: String,
    /// Who wrote, by their names to sign in with.
    people: Vec<Person>,
    names: HashMap<String, String>,
    /// Addresses of files by their ids.
    attachments: HashMap<String, String>,
    menus: Menus,
    waiting: std::vec::IntoIter<Record>,
    terms: HashSet<(TermKind, String)>,
    remarks: Remarks,
    records: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Begins,
    Reads,
    Ended,
}

impl WordPress {
    /// Reads what is in a file, but for its articles.
    ///
    /// # Errors
    /// [`TransferError`] if it can't be read, or is none of WordPress.
    pub fn open(path: &Path) -> Result<Self, TransferError> {
        let mut file = File::open(path)?;
        let mut items = Items::open(file.try_clone()?);
        let (mut people, mut attachments) = (Vec::new(), HashMap::new());
        let (mut source, mut version) = (String::new(), String::new());
        let mut menus = Menus::default();
        while let Some(item) = items.next()? {
            match item.name.as_str() {
                "wp:wxr_version" => item.text.trim().clone_into(&mut version),
                "wp:base_blog_url" => item.text.trim().clone_into(&mut source),
                "link" if source.is_empty() => item.text.trim().clone_into(&mut source),
                "wp:category" => {
                    menus.category(item.get("wp:term_id"), item.get("wp:category_nicename"));
                }
                "item" if item.get("wp:post_type") == MENU_ENTRY => menus.entry(&item, &source),
                "wp:author" if people.len() < MOST_KNOWN => people.push(person(&item)),
                "item"
                    if item.get("wp:post_type") == "attachment"
                        && attachments.len() < MOST_KNOWN =>
                {
                    let url = item.get("wp:attachment_url").to_owned();
                    attachments.insert(item.get("wp:post_id").to_owned(), url);
                }
                _ => {}
            }
        }
        if version.is_empty() {
            return Err(TransferError::File("it is no file of WordPress (WXR)".to_owned()));
        }
        file.rewind()?;
        let names = people.iter().map(|person| (person.id.clone(), person.name.clone())).collect();
        Ok(Self {
            items: Items::open(file),
            source,
            people,
            names,
            attachments,
            menus,
            waiting: Vec::new().into_iter(),
            terms: HashSet::new(),
            remarks: Remarks::default(),
            records: 0,
            state: State::Begins,
        })
    }

    /// Who wrote.
    #[must_use]
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// Where the site was.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.source
    }

    /// What was in it so far that has no place here.
    #[must_use]
    pub const fn remarks(&self) -> &Remarks {
        &self.remarks
    }

    /// How far it is read, in bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.items.position()
    }

    /// The next record, and where it is.
    ///
    /// # Errors
    /// [`TransferError`] if the file can't be read further.
    pub fn read(&mut self) -> Result<Option<(Record, String)>, TransferError> {
        loop {
            let place = format!("byte {}", self.position());
            if let Some(record) = self.waiting.next() {
                self.records += 1;
                let place = match &record {
                    Record::Article(article) => format!("post {}", article.id),
                    _ => place,
                };
                return Ok(Some((record, place)));
            }
            let records: Vec<Record> = match self.state {
                State::Begins => {
                    self.state = State::Reads;
                    let source = self.source.chars().take(100).collect();
                    vec![Record::Site(Site { version: VERSION, source, exported_at: None })]
                }
                State::Reads => match self.items.next()? {
                    Some(item) => self.records_of(&item),
                    None => {
                        self.state = State::Ended;
                        self.last()
                    }
                },
                State::Ended => return Ok(None),
            };
            self.waiting = records.into_iter();
        }
    }

    /// What comes after all articles.
    fn last(&mut self) -> Vec<Record> {
        let menus = self.menus.done();
        self.remarks.add("entries of menus", self.menus.lost);
        let records = self.records + u64::try_from(menus.len()).unwrap_or(0);
        menus.into_iter().map(Record::Menu).chain([Record::End { records }]).collect()
    }

    fn records_of(&mut self, item: &Item) -> Vec<Record> {
        match item.name.as_str() {
            "wp:category" => {
                let names = ["wp:category_nicename", "wp:cat_name", "wp:category_description"];
                self.term(TermKind::Category, names.map(|name| item.get(name)))
                    .into_iter()
                    .collect()
            }
            "wp:tag" => {
                let names = ["wp:tag_slug", "wp:tag_name", "wp:tag_description"];
                self.term(TermKind::Tag, names.map(|name| item.get(name))).into_iter().collect()
            }
            "item" => self.article(item),
            _ => Vec::new(),
        }
    }

    /// A category or a tag, the first time that it is named. Tags are named here by what they are called.
    fn term(&mut self, kind: TermKind, [slug, name, description]: [&str; 3]) -> Option<Record> {
        let slug = decoded(slug);
        if name.is_empty() || slug == NONE {
            return None;
        }
        let slug = match kind {
            TermKind::Category if slug.is_empty() => name.to_owned(),
            TermKind::Category => slug,
            TermKind::Tag => name.to_owned(),
        };
        let is_new = self.terms.len() < MOST_KNOWN && self.terms.insert((kind, slug.clone()));
        let name: String = name.chars().take(80).collect();
        let description: String = description.chars().take(1_000).collect();
        is_new.then_some(Record::Term(Term { kind, slug, name, description, position: 0 }))
    }

    fn article(&mut self, item: &Item) -> Vec<Record> {
        self.remarks.add("comments", item.comments);
        let kind = match item.get("wp:post_type") {
            "post" => Kind::Post,
            "page" => Kind::Page,
            "attachment" => {
                self.remarks.add("files (of those that articles show, --media makes pictures)", 1);
                return Vec::new();
            }
            // They are known.
            MENU_ENTRY => return Vec::new(),
            _ => {
                self.remarks.add("things of plugins and themes", 1);
                return Vec::new();
            }
        };
        let Some(status) = self.status(item) else { return Vec::new() };
        let mut records = Vec::new();
        let (mut category, mut tags) = (None, Vec::new());
        for (domain, slug, name) in &item.terms {
            let (slug, name) = (decoded(slug), name.trim().to_owned());
            match domain.as_str() {
                "category" if slug == NONE => {}
                "category" if category.is_none() => {
                    let term = self.term(TermKind::Category, [&slug, &name, ""]);
                    records.extend(term);
                    category = Some(slug);
                }
                // An article has one here; the others say what it is about as well.
                "category" | "post_tag" if tags.len() < 20 && !tags.contains(&name) => {
                    tags.push(name);
                }
                _ => {}
            }
        }
        let at = |name: &str| time(item.get(name));
        let created = at("wp:post_date_gmt").or_else(|| at("wp:post_date"));
        let created_at = created.unwrap_or(Timestamp::from_micros(0));
        let login = item.get("dc:creator").to_owned();
        let thumbnail = item.meta.get("_thumbnail_id").map(|id| id.trim());
        let cover = thumbnail.and_then(|id| html::address(self.attachments.get(id)?));
        let meta = |name: &str| item.meta.get(name).filter(|text| !text.is_empty()).cloned();
        let content = content::html(item.get("content:encoded"), &self.attachments);
        let excerpt = html::markdown(item.get("excerpt:encoded"));
        let title = titled(item.get("title"), item.get("wp:post_name"));
        self.menus.article(item.get("wp:post_id"), &title);
        records.push(Record::Article(Box::new(Article {
            id: item.get("wp:post_id").to_owned(),
            kind,
            slug: Some(decoded(item.get("wp:post_name"))).filter(|slug| !slug.is_empty()),
            former_slugs: meta("_wp_old_slug").into_iter().collect(),
            former_paths: path(item.get("link"))
                .filter(|_| status == Status::Published)
                .into_iter()
                .collect(),
            title,
            excerpt: Some(excerpt.chars().take(500).collect())
                .filter(|text: &String| !text.is_empty()),
            body: html::markdown(&content),
            status,
            author: Person {
                name: self.names.get(&login).cloned().unwrap_or_else(|| login.clone()),
                id: if login.is_empty() { "nobody".to_owned() } else { login },
                email: None,
            },
            category,
            tags,
            cover,
            seo: Seo {
                title: meta("_yoast_wpseo_title")
                    .filter(|text| !text.contains("%%"))
                    .map(|text| short(&text, 120)),
                description: meta("_yoast_wpseo_metadesc").map(|text| short(&text, 320)),
                ..Seo::default()
            },
            comments: kind == Kind::Post && item.get("wp:comment_status") == "open",
            created_at,
            published_at: (status == Status::Published).then_some(created_at),
            publish_at: (status == Status::Scheduled).then_some(created_at),
            updated_at: at("wp:post_modified_gmt").filter(|at| *at >= created_at),
            ..Article::default()
        })));
        records
    }

    /// Where it is on its way; nothing if it is left out.
    fn status(&mut self, item: &Item) -> Option<Status> {
        let status = match item.get("wp:status") {
            "publish" => Status::Published,
            "future" => Status::Scheduled,
            "pending" => Status::InReview,
            "private" => {
                self.remarks.add("private ones, which are archived", 1);
                Status::Archived
            }
            "trash" | "auto-draft" | "inherit" => {
                self.remarks.add("deleted and empty ones", 1);
                return None;
            }
            _ => Status::Draft,
        };
        if item.get("wp:post_password").is_empty() {
            return Some(status);
        }
        self.remarks.add("ones with a password, which are archived", 1);
        Some(Status::Archived)
    }
}

fn person(item: &Item) -> Person {
    let [login, name, email] = ["wp:author_login", "wp:author_display_name", "wp:author_email"]
        .map(|name| item.get(name).to_owned());
    let name = if name.is_empty() { login.clone() } else { name };
    Person { id: login, name, email: Some(email).filter(|email| !email.is_empty()) }
}

/// A title that is none is what it is called in addresses.
fn titled(title: &str, slug: &str) -> String {
    let title = html::text(title);
    let title = if title.is_empty() { decoded(slug) } else { title };
    let title = if title.is_empty() { "Untitled".to_owned() } else { title };
    short(&title, 200)
}

fn short(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(most).collect()
}

/// The path of an address, if it says which page is meant: `?p=7` does not.
fn path(link: &str) -> Option<String> {
    let (_, rest) = link.split_once("://")?;
    let path = &rest[rest.find('/')?..];
    let is_one = !path.contains(['?', '#']) && !path.trim_matches('/').is_empty();
    is_one.then(|| path.to_owned())
}

/// A slug as people read it: WordPress has other letters than ASCII's as they stand in addresses.
fn decoded(slug: &str) -> String {
    let bytes = slug.as_bytes();
    let (mut plain, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = slug.get(at + 1..at + 3).filter(|_| *byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                plain.push(code);
                at += 3;
            }
            None => {
                plain.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| slug.to_owned())
}

/// `2026-05-01 09:00:00`, in UTC.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.starts_with("0000") {
        return None;
    }
    let text = text.replacen(' ', "T", 1);
    let text = if text.ends_with('Z') || text.contains('+') { text } else { format!("{text}Z") };
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_micros(at.as_microsecond()))
}
