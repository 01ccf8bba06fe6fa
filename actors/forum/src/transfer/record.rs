//! One line of a file.
//!
//! What refers to something else does so by the key that it has in the same file; it comes after it.

use panel_kernel::ids::Id;
use panel_kernel::role::Role;
use panel_kernel::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The release of the form of files.
pub const VERSION: u32 = 1;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Record {
    /// The first line.
    Forum(Forum),
    /// Somebody who has done something.
    Author(Author),
    /// A category; after the one it stands below.
    Category(Category),
    /// A thread; its posts come next.
    Thread(Thread),
    /// A post, in the order of its thread.
    Post(Post),
    /// The text a post had before an edit, in their order.
    Revision(Revision),
    /// How somebody reacted to a post.
    Reaction(Reaction),
    /// What a post refers to that comes after it.
    Reference(Reference),
    /// Where the posts of a thread went.
    Merged(Merged),
    /// The last line: so many came before it.
    End {
        /// How many.
        records: u64,
    },
}

/// What the file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forum {
    /// [`VERSION`].
    pub version: u32,
    /// From where: keys are those of this place, and the same ones the next time.
    pub source: String,
    /// When it was written.
    pub exported_at: Timestamp,
}

/// Somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Author {
    /// What others call it in the file.
    pub id: String,
    /// The name shown; empty: nobody has one any more.
    pub name: String,
    /// The name they sign in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The account that they have where the file is taken in, if it is known to be theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Id>,
}

/// A category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// What others call it in the file.
    pub id: String,
    /// The one it stands below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// Its name.
    pub name: String,
    /// For addresses, if it is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Ascending among its siblings.
    #[serde(default)]
    pub position: i64,
    /// The lowest rank that may read; everybody, where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_role: Option<Role>,
    /// The lowest rank that may post.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_role: Option<Role>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thread {
    /// What others call it in the file.
    pub id: String,
    /// The category.
    pub category_id: String,
    /// Who began it.
    pub author_id: String,
    /// Its title.
    pub title: String,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// Whether it stands before others.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pinned: bool,
    /// Whether only moderators write in it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub locked: bool,
    /// How often it was read.
    #[serde(default)]
    pub view_count: i64,
    /// When it was deleted, or hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Whether moderators are yet to decide about it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
}

/// A post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Post {
    /// What others call it in the file.
    pub id: String,
    /// The thread.
    pub thread_id: String,
    /// Who wrote it.
    pub author_id: String,
    /// Its text, in Markdown.
    pub body: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When its text was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// By whom, if not by its author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_by: Option<String>,
    /// The post it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The post it quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// When it was deleted, or hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Whether moderators are yet to decide about it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
}

/// The text a post had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// The post.
    pub post_id: String,
    /// From 1.
    pub number: i64,
    /// In Markdown; empty, where it was taken out.
    pub body: String,
    /// Who wrote it.
    pub editor_id: String,
    /// When.
    pub created_at: Timestamp,
    /// Whether a moderator took it out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
}

/// How somebody reacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reaction {
    /// To which post.
    pub post_id: String,
    /// Who.
    pub user_id: String,
    /// How: `like`.
    pub name: String,
    /// When.
    pub created_at: Timestamp,
}

/// What a post refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The post.
    pub post_id: String,
    /// The post it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// The post it quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// It is only the place of this one, which was moved to another thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_to: Option<String>,
}

/// Where the posts of a thread went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    /// The thread.
    pub thread_id: String,
    /// The one that has them.
    pub into: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks this way")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
