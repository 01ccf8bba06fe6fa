//! The lines of a file. Everything in it is named by texts that mean something within the file alone.

use panel_kernel::time::Timestamp;
pub use panel_pictures::Kind as PictureKind;
use serde::{Deserialize, Serialize};

use crate::rules::{Kind, Status};
use crate::store::terms::TermKind;

/// The form that this writes, and the last that it reads.
pub const VERSION: u32 = 2;

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// The first.
    Site(Site),
    /// A category or a tag.
    Term(Term),
    /// A picture in somebody's library, or of nobody and shown by an article.
    Picture(Box<Picture>),
    /// A post or a page.
    Article(Box<Article>),
    /// A text that an article had.
    Revision(Revision),
    /// What says the same as another in another language.
    Translation(Translation),
    /// A menu.
    Menu(Menu),
    /// An address that leads elsewhere.
    Redirect(Redirect),
    /// The last.
    End {
        /// How many came before it.
        records: u64,
    },
}

impl Record {
    /// Of a line; else what is wrong with it.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|error| {
            let reason = error.to_string();
            // Where in the line is of no use without it.
            reason.split(" at line ").next().unwrap_or_default().to_owned()
        })
    }
}

/// Which site it is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// [`VERSION`].
    pub version: u32,
    /// The same whenever something is taken from there.
    pub source: String,
    /// When.
    pub exported_at: Option<Timestamp>,
}

/// Somebody who wrote something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// What they are called in the file.
    pub id: String,
    /// What they are called where people read.
    pub name: String,
    /// Their mail address, where the file has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// A category or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Which of the two.
    pub kind: TermKind,
    /// By which articles name it.
    pub slug: String,
    /// What it is called.
    pub name: String,
    /// What is said of it.
    #[serde(default)]
    pub description: String,
    /// Ascending among the others.
    #[serde(default)]
    pub position: i64,
}

/// A post or a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// What it is called in the file.
    pub id: String,
    /// Which kind.
    #[serde(default)]
    pub kind: Kind,
    /// Its place in addresses; follows from the title where there is none.
    #[serde(default)]
    pub slug: Option<String>,
    /// Places that it had.
    #[serde(default)]
    pub former_slugs: Vec<String>,
    /// Paths at which it was on another site; from now on they lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_paths: Vec<String>,
    /// At most 200 characters.
    pub title: String,
    /// A few lines; the beginning of the text where there are none.
    #[serde(default)]
    pub excerpt: Option<String>,
    /// Markdown.
    #[serde(default)]
    pub body: String,
    /// Where it is on its way.
    #[serde(default)]
    pub status: Status,
    /// Who wrote it.
    pub author: Person,
    /// Who wrote it with its author.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub co_authors: Vec<Person>,
    /// In which language it is (BCP 47), if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Who wrote the text as it is, and when, if that is known.
    #[serde(default)]
    pub edited_by: Option<Person>,
    #[allow(missing_docs, reason = "see above")]
    #[serde(default)]
    pub edited_at: Option<Timestamp>,
    /// The slug of a category.
    #[serde(default)]
    pub category: Option<String>,
    /// Names of tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The address of a picture.
    #[serde(default)]
    pub cover: Option<String>,
    /// How it is told of where it is not read.
    #[serde(default)]
    pub seo: Seo,
    /// Whether people can comment on it.
    #[serde(default)]
    pub comments: bool,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was published first.
    #[serde(default)]
    pub published_at: Option<Timestamp>,
    /// When it is to appear.
    #[serde(default)]
    pub publish_at: Option<Timestamp>,
    /// When something of it was changed last.
    #[serde(default)]
    pub updated_at: Option<Timestamp>,
    /// When it was deleted.
    #[serde(default)]
    pub deleted_at: Option<Timestamp>,
}

/// How an article is told of where it is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seo {
    /// Instead of its title.
    pub title: Option<String>,
    /// Instead of its excerpt.
    pub description: Option<String>,
    /// Where it was first.
    pub canonical: Option<String>,
    /// Whether search engines are to leave it out.
    pub noindex: bool,
}

/// A picture. Its files lie in a directory beside, under the names that they have in addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Of the whole picture, in hexadecimal digits: what articles name it by.
    pub sha256: String,
    /// What it is.
    pub kind: PictureKind,
    /// In pixels.
    pub width: u32,
    #[allow(missing_docs, reason = "see above")]
    pub height: u32,
    /// More than one: it moves.
    pub frames: u32,
    /// `#` and six hexadecimal digits.
    pub color: String,
    /// The whole picture first.
    pub files: Vec<PictureFile>,
    /// In whose library it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<LibraryItem>,
}

/// A file of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureFile {
    /// 0: the whole picture; else the width by which it is found.
    pub size: u32,
    /// What it is.
    pub kind: PictureKind,
    /// In pixels.
    pub width: u32,
    #[allow(missing_docs, reason = "see above")]
    pub height: u32,
    /// How long it is.
    pub bytes: u64,
    /// In hexadecimal digits.
    pub sha256: String,
}

/// A picture as it is in somebody's library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryItem {
    /// What it is called in the file.
    pub id: String,
    /// Whose it is.
    pub owner: Person,
    /// What its sender called it.
    pub name: String,
    /// What it shows; none if nobody has said.
    #[serde(default)]
    pub alt: Option<String>,
    /// When it came there.
    pub created_at: Timestamp,
}

/// A text that an article had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Of which article.
    pub article_id: String,
    /// From 1.
    pub number: i64,
    /// The title.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// Who wrote it.
    pub editor: Person,
    /// When.
    pub created_at: Timestamp,
}

/// An article that says the same as another in another language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Translation {
    /// Which.
    pub article_id: String,
    /// Of which: of all that say the same, the one that was there first.
    pub of: String,
}

/// A menu, with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Menu {
    /// What it is called.
    pub name: String,
    /// In their order.
    pub items: Vec<MenuItem>,
}

/// An item of a menu, which leads to an address or to an article.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MenuItem {
    /// What it is called.
    pub label: String,
    /// A path on the site, or an address elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the article is called in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub article_id: Option<String>,
    /// It is below the last one that is not.
    #[serde(default)]
    pub is_below: bool,
}

/// An address that leads elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// A path of the site, where nothing else is.
    pub from: String,
    /// A path on this site, or an address elsewhere.
    pub to: String,
}
