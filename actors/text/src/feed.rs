//! Feeds (Atom, RFC 4287).

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::header;
use panel_kernel::http::MAX_PAGE_BYTES;
use panel_kernel::problem::Problem;

/// When nothing was ever written.
const NEVER: &str = "1970-01-01T00:00:00Z";

/// What a feed is of.
#[derive(Clone, Debug)]
pub struct Of {
    /// The address of the feed itself.
    pub address: String,
    /// The page of what it is the feed of.
    pub page: String,
    /// What that is called.
    pub title: String,
}

/// A feed.
#[derive(Debug, Template)]
#[template(path = "feed.xml")]
pub struct Feed {
    address: String,
    page: String,
    title: String,
    updated: String,
    entries: Vec<Entry>,
}

/// Something in a feed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// An address that never changes.
    pub id: String,
    /// The page at which people read it.
    pub page: String,
    /// What it is called.
    pub title: String,
    /// In which language it is (BCP 47), if that is known.
    pub language: Option<String>,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// When (RFC 3339).
    pub published: String,
    /// When it was changed last.
    pub updated: String,
    /// What it is about.
    pub tags: Vec<String>,
    /// A few lines of it.
    pub summary: Option<String>,
    /// All of it.
    pub html: Option<String>,
}

impl Feed {
    /// With the HTML of as many entries as have room in one answer.
    #[must_use]
    pub fn new(of: Of, mut entries: Vec<Entry>) -> Self {
        let mut left = MAX_PAGE_BYTES;
        for entry in &mut entries {
            for text in [&mut entry.title].into_iter().chain(&mut entry.authors) {
                *text = sound(std::mem::take(text));
            }
            entry.summary = entry.summary.take().map(sound);
            // What has a meaning in XML becomes five bytes.
            let special = |b: &u8| matches!(b, b'&' | b'<' | b'>' | b'"' | b'\'');
            let bytes = |html: &String| {
                html.len() + 4 * html.as_bytes().iter().filter(|b| special(b)).count()
            };
            entry.html = entry.html.take().map(sound).filter(|html| bytes(html) <= left);
            left -= entry.html.as_ref().map_or(0, bytes);
        }
        let updated = entries.iter().map(|entry| entry.updated.clone()).max();
        let updated = updated.unwrap_or_else(|| NEVER.to_owned());
        let Of { address, page, title } = of;
        Self { address, page, title: sound(title), updated, entries }
    }

    /// The answer to who asks for it.
    ///
    /// # Errors
    /// 500 if it can't be written.
    pub fn answer(&self) -> Result<Response, Problem> {
        let xml = self.render().map_err(|_| Problem::internal())?;
        let kind = [(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")];
        Ok((kind, xml).into_response())
    }
}

/// Without what XML can't hold (XML 1.0, 2.2).
fn sound(text: String) -> String {
    let is_sound = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    if text.chars().all(is_sound) { text } else { text.chars().filter(|c| is_sound(*c)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_left_out_and_what_xml_can_not_hold_as_well() {
        let entry = |html: String| Entry {
            id: "https://e.org/1".to_owned(),
            page: "https://e.org/1".to_owned(),
            title: "a\u{0}<b>".to_owned(),
            language: Some("en".to_owned()),
            authors: vec!["ann".to_owned()],
            published: "2026-01-01T00:00:00Z".to_owned(),
            updated: "2026-01-02T00:00:00Z".to_owned(),
            tags: vec!["c++".to_owned()],
            summary: Some("s".to_owned()),
            html: Some(html),
        };
        let of = || Of { address: String::new(), page: String::new(), title: "T".to_owned() };
        let feed =
            Feed::new(of(), vec![entry("'".repeat(MAX_PAGE_BYTES)), entry("<p>".to_owned())]);
        assert!(feed.entries[0].html.is_none() && feed.entries[1].html.is_some());
        let xml = feed.render().unwrap();
        assert!(xml.contains("<title>a&#60;b&#62;</title>") && !xml.contains('\u{0}'), "{xml}");
        assert!(
            xml.contains("<updated>2026-01-02T00:00:00Z</updated>\n<link rel=\"self\""),
            "{xml}"
        );
        assert_eq!(Feed::new(of(), Vec::new()).updated, NEVER);
    }
}
