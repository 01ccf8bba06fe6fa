//! Videos of other sites in an article: a paragraph that is nothing but the address of one, where the site is on
//! the list. What is shown is a frame of the player that tells its host least; it loads when it is come to.

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Node};
use serde::{Deserialize, Serialize};
use url::Url;

/// A site whose videos can be in an article.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Embed {
    /// By youtube-nocookie.com.
    Youtube,
    /// By player.vimeo.com, which is asked not to track.
    Vimeo,
}

impl Embed {
    /// The origin of its player, as a content security policy names it.
    #[must_use]
    pub const fn origin(self) -> &'static str {
        match self {
            Self::Youtube => "https://www.youtube-nocookie.com",
            Self::Vimeo => "https://player.vimeo.com",
        }
    }

    /// Where the player of the video at this address is, if that is one.
    fn player(self, url: &Url) -> Option<String> {
        if !matches!(url.scheme(), "http" | "https") {
            return None;
        }
        let host = url.host_str()?.trim_start_matches("www.").trim_start_matches("m.");
        let mut path = url.path_segments()?;
        match (self, host) {
            (Self::Youtube, "youtu.be") => youtube(path.next()?),
            (Self::Youtube, "youtube.com" | "youtube-nocookie.com") => match path.next()? {
                "watch" => youtube(&url.query_pairs().find(|(name, _)| name == "v")?.1),
                "shorts" | "embed" | "live" => youtube(path.next()?),
                _ => None,
            },
            (Self::Vimeo, "vimeo.com") => vimeo(path.next()?),
            (Self::Vimeo, "player.vimeo.com") if path.next()? == "video" => vimeo(path.next()?),
            _ => None,
        }
    }
}

fn youtube(id: &str) -> Option<String> {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_one = id.len() == 11 && id.bytes().all(is_id);
    is_one.then(|| format!("{}/embed/{id}", Embed::Youtube.origin()))
}

fn vimeo(id: &str) -> Option<String> {
    let is_one = (1..=12).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    is_one.then(|| format!("{}/video/{id}?dnt=1", Embed::Vimeo.origin()))
}

/// Whether a frame may be of this: of a player, and nothing else.
pub(super) fn is_player(src: &str) -> bool {
    [Embed::Youtube, Embed::Vimeo].iter().any(|embed| {
        let rest = src.strip_prefix(embed.origin());
        rest.is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Puts players in the places of paragraphs that are addresses of videos.
pub(super) fn place<'a>(arena: &'a Arena<'a>, root: Node<'a>, embeds: &[Embed]) {
    let paragraphs: Vec<Node<'a>> = root
        .children()
        .filter(|node| matches!(node.data.borrow().value, NodeValue::Paragraph))
        .collect();
    for paragraph in paragraphs {
        let Some(player) = only_address(paragraph)
            .and_then(|url| embeds.iter().find_map(|embed| embed.player(&url)))
        else {
            continue;
        };
        // Letters, digits and a few signs, none of which HTML gives a meaning to.
        let html = format!("<p class=\"embed\"><iframe src=\"{player}\"></iframe></p>\n");
        paragraph.insert_before(arena.alloc(AstNode::from(NodeValue::Raw(html))));
        paragraph.detach();
    }
}

/// The address that a paragraph is, if it is nothing else.
fn only_address(paragraph: Node<'_>) -> Option<Url> {
    let link = paragraph.first_child()?;
    if link.next_sibling().is_some() {
        return None;
    }
    let NodeValue::Link(given) = &link.data.borrow().value else { return None };
    let text = link.first_child()?;
    let NodeValue::Text(shown) = &text.data.borrow().value else { return None };
    // Not a link that has words of its own.
    (**shown == *given.url && text.next_sibling().is_none()).then(|| Url::parse(&given.url).ok())?
}
