//! What is said about an article, on its page.

use panel_kernel::http::Caller;
use panel_kernel::ids::Id;
use panel_kernel::problem::Problem;
use panel_kernel::service::Told;

use super::day;
use crate::api::Cms;
use crate::comments::{Comment, Discussed, Discussion};

/// The most comments on the page.
const MOST: u32 = 50;
/// The most bytes of them, and of one: what is longer is read in the forum.
const MOST_BYTES: usize = 128 * 1024;
const LONG: usize = 16 * 1024;

/// What is shown of what is said about an article.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// Whether the forum has told.
    pub(super) is_known: bool,
    /// Whether there are more than these.
    pub(super) has_more: bool,
    /// Where they all are; nothing as long as nobody can comment.
    pub(super) thread: Option<Discussion>,
    pub(super) comments: Vec<Shape>,
}

/// A comment as it is shown.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) number: i64,
    pub(super) author: String,
    pub(super) at: String,
    pub(super) shown: String,
    pub(super) edited: bool,
    pub(super) deleted: bool,
    /// Nothing if it is too long.
    pub(super) html: Option<String>,
}

impl From<Comment> for Shape {
    fn from(comment: Comment) -> Self {
        Self {
            number: comment.number,
            author: comment.author.name,
            at: comment.created_at.to_string(),
            shown: day(comment.created_at),
            edited: comment.edited_at.is_some(),
            deleted: comment.deleted,
            html: Some(comment.body_html).filter(|html| html.len() <= LONG),
        }
    }
}

impl Section {
    /// Of this article, as the caller may see it; and by which tags of the forum it is made old.
    pub(super) async fn of(cms: &Cms, caller: &Caller, article: Id) -> (Self, Vec<String>) {
        match cms.comments.first(caller, article, MOST).await {
            Ok(Told { value, tags }) => (Self::new(value), tags),
            Err(Problem { kind, detail, .. }) => {
                tracing::debug!(%article, ?kind, detail, "an article is shown without comments");
                (Self::default(), Vec::new())
            }
        }
    }

    fn new(Discussed { thread, posts, more_after }: Discussed) -> Self {
        let (count, mut bytes) = (posts.len(), 0);
        let fit = posts.into_iter().map(Shape::from).take_while(|comment| {
            bytes += comment.html.as_ref().map_or(0, String::len);
            bytes <= MOST_BYTES
        });
        let comments: Vec<Shape> = fit.collect();
        let has_more = more_after.is_some() || comments.len() < count;
        Self { is_known: true, has_more, thread, comments }
    }
}
