//! Where a text shows pictures of another site, and which files those are. Pure.

use std::ops::Range;

/// Another site, and where its files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::transfer) struct Site {
    /// Without `www.`; none if that is not known.
    host: Option<String>,
    marker: &'static str,
    sizes: Sizes,
}

/// How smaller likenesses are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sizes {
    /// `a-300x200.jpg`.
    WordPress,
    /// `size/w600/a.jpg`.
    Ghost,
}

/// An address in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it stands.
    pub(super) range: Range<usize>,
    pub(super) address: String,
    /// What the picture shows, if the text shows it, and does not only lead to it.
    pub(super) alt: Option<String>,
}

/// A cache of pictures in front of many sites of WordPress: behind its name comes the site's.
const PHOTON: [&str; 4] = ["i0.wp.com", "i1.wp.com", "i2.wp.com", "i3.wp.com"];

impl Site {
    /// Below which directories of a copy of WordPress files may be.
    pub(super) const UPLOADS: [&'static str; 2] = ["wp-content/uploads", "uploads"];
    /// The same of Ghost.
    pub(super) const IMAGES: [&'static str; 2] = ["content/images", "images"];

    /// One of WordPress.
    pub(super) fn wordpress(address: &str) -> Self {
        Self { host: host(address), marker: "/wp-content/uploads/", sizes: Sizes::WordPress }
    }

    /// One of Ghost.
    pub(super) fn ghost(address: &str) -> Self {
        Self { host: host(address), marker: "/content/images/", sizes: Sizes::Ghost }
    }

    /// Where a text in Markdown names files of this site: behind `](`.
    pub(super) fn places(&self, text: &str) -> Vec<Place> {
        let mut places = Vec::new();
        for (at, _) in text.match_indices("](") {
            let from = at + 2;
            let rest = &text[from..];
            let (from, rest, end) = match rest.strip_prefix('<') {
                Some(rest) => (from + 1, rest, end(rest, &['>', '\n'])),
                None => (from, rest, end(rest, &[')', ' ', '\n', '\t'])),
            };
            let Some(end) = end else { continue };
            let address = rest[..end].replace('\\', "");
            if self.names(&address).is_empty() {
                continue;
            }
            let alt = alt(&text[..at]);
            places.push(Place { range: from..from + end, address, alt });
        }
        places
    }

    /// The files that an address may mean, the best of them first: each as its directories and its name. None, if it is no
    /// file of this site.
    pub(super) fn names(&self, address: &str) -> Vec<Vec<String>> {
        let address = address.split(['?', '#']).next().unwrap_or_default();
        let Some((before, path)) = address.split_once(self.marker) else { return Vec::new() };
        if !self.is_own(before) {
            return Vec::new();
        }
        let parts: Option<Vec<String>> = path.split('/').map(decoded).collect();
        let Some(parts) = parts.filter(|parts| parts.iter().all(|part| !part.is_empty())) else {
            return Vec::new();
        };
        let mut all: Vec<Vec<String>> = match self.sizes {
            Sizes::WordPress => {
                let Some((name, folders)) = parts.split_last() else { return Vec::new() };
                let named = |name: String| [folders, &[name]].concat();
                originals(name).into_iter().map(named).collect()
            }
            Sizes::Ghost => vec![without_size(&parts)],
        };
        if !all.contains(&parts) {
            all.push(parts);
        }
        all
    }

    /// Whether what stands before the marker is this site.
    fn is_own(&self, before: &str) -> bool {
        if before.is_empty() || (before.starts_with('/') && !before.starts_with("//")) {
            return true;
        }
        let Some((_, rest)) = before.split_once("//") else { return false };
        let mut parts = rest.split('/');
        let mut first = parts.next().unwrap_or_default();
        if PHOTON.contains(&first) {
            first = parts.next().unwrap_or_default();
        }
        self.host.as_deref() == Some(plain(first).as_str())
    }
}

/// The host of an address.
fn host(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("//")?;
    let host = plain(rest.split('/').next().unwrap_or_default());
    (!host.is_empty()).then_some(host)
}

fn plain(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    host.strip_prefix("www.").unwrap_or(&host).to_owned()
}

/// Where the first of these is that is not escaped.
fn end(text: &str, of: &[char]) -> Option<usize> {
    let mut is_escaped = false;
    let end = text.char_indices().find(|(_, c)| {
        let is_end = !is_escaped && of.contains(c);
        is_escaped = !is_escaped && *c == '\\';
        is_end
    });
    end.map(|(at, _)| at)
}

/// What stands in the brackets that end here, if they are a picture's.
fn alt(before: &str) -> Option<String> {
    let begin = before.rfind("![")?;
    let alt = &before[begin + 2..];
    let is_one = !alt.contains(['[', ']', '\n']);
    is_one.then(|| alt.replace('\\', "").trim().to_owned())
}

/// The whole pictures of which a file of WordPress may be a smaller one.
fn originals(name: &str) -> Vec<String> {
    let Some((stem, extension)) = name.rsplit_once('.') else { return Vec::new() };
    let whole = stem.rsplit_once('-').filter(|(_, size)| is_size(size)).map(|(whole, _)| whole);
    let stem = whole.unwrap_or(stem);
    let bare = stem.strip_suffix("-scaled").unwrap_or(stem);
    vec![format!("{bare}.{extension}"), format!("{bare}-scaled.{extension}")]
}

/// `300x200`.
fn is_size(text: &str) -> bool {
    let is_number = |text: &str| {
        (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.split_once('x').is_some_and(|(width, height)| is_number(width) && is_number(height))
}

/// The whole picture of which a file of Ghost may be a smaller one, or one of another kind.
fn without_size(parts: &[String]) -> Vec<String> {
    let mut whole = parts;
    for folder in ["size", "format"] {
        if let [first, _, rest @ ..] = whole
            && first == folder
            && !rest.is_empty()
        {
            whole = rest;
        }
    }
    whole.to_vec()
}

/// A part of a path as it is called: `a%20b` is `a b`.
fn decoded(part: &str) -> Option<String> {
    let mut plain = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, more @ ..] = rest {
        if *first == b'%' {
            let digits = more.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
            plain.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &more[2..];
        } else {
            plain.push(*first);
            rest = more;
        }
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(names: &[Vec<String>]) -> Vec<String> {
        names.iter().map(|names| names.join("|")).collect()
    }

    #[test]
    fn files_are_found_by_addresses_of_their_site() {
        let site = Site::wordpress("https://www.Old.example/blog");
        let names = |address: &str| joined(&site.names(address));
        let one = ["2020|05|a.jpg", "2020|05|a-scaled.jpg", "2020|05|a-300x200.jpg"];
        for address in [
            "https://old.example/wp-content/uploads/2020/05/a-300x200.jpg",
            "http://www.old.example/blog/wp-content/uploads/2020/05/a-300x200.jpg?w=300#x",
            "//OLD.example/wp-content/uploads/2020/05/a-300x200.jpg",
            "/wp-content/uploads/2020/05/a-300x200.jpg",
            "https://i2.wp.com/old.example/wp-content/uploads/2020/05/a-300x200.jpg?resize=1",
        ] {
            assert_eq!(names(address), one, "{address}");
        }
        assert_eq!(names("/wp-content/uploads/a%20b-1x.jpg"), ["a b-1x.jpg", "a b-1x-scaled.jpg"]);
        assert_eq!(names("/wp-content/uploads/a-scaled.jpg"), ["a.jpg", "a-scaled.jpg"]);
        assert_eq!(names("/wp-content/uploads/file"), ["file"]);
        for address in [
            "https://other.example/wp-content/uploads/a.jpg",
            "https://i2.wp.com/other.example/wp-content/uploads/a.jpg",
            "https://old.example/uploads/a.jpg",
            "https://old.example/wp-content/uploads/",
            "https://old.example/wp-content/uploads/a//b.jpg",
            "/wp-content/uploads/a%zz.jpg",
            "/wp-content/uploads/a%ff.jpg",
            "data:/wp-content/uploads/a.jpg",
            "",
        ] {
            assert!(names(address).is_empty(), "{address}");
        }
        let nowhere = Site::ghost("");
        assert!(nowhere.names("https://a.example/content/images/a.jpg").is_empty());
        assert_eq!(
            joined(&nowhere.names("/content/images/size/w600/format/webp/2020/a.jpg")),
            ["2020|a.jpg", "size|w600|format|webp|2020|a.jpg"]
        );
        assert_eq!(joined(&nowhere.names("/content/images/2020/a.jpg")), ["2020|a.jpg"]);
        assert_eq!(joined(&nowhere.names("/content/images/size/w600")), ["size|w600"]);
    }

    #[test]
    fn places_are_those_of_pictures_and_links() {
        let site = Site::wordpress("https://old.example");
        let text = "a ![one \\[x](/wp-content/uploads/a.jpg) b [two](</wp-content/uploads/b c.jpg> \"t\")\n\
                    [![](/wp-content/uploads/c\\_d-1x1.png)](https://old.example/wp-content/uploads/c\\_d.png)\n\
                    ![ä](https://other.example/wp-content/uploads/e.jpg) `/wp-content/uploads/f.jpg` ](/wp-content/uploads/g";
        let found: Vec<_> = site
            .places(text)
            .into_iter()
            .map(|place| (text[place.range].to_owned(), place.address, place.alt))
            .collect();
        let place = |shown: &str, address: &str, alt: Option<&str>| {
            (shown.to_owned(), address.to_owned(), alt.map(str::to_owned))
        };
        assert_eq!(
            found,
            [
                place("/wp-content/uploads/a.jpg", "/wp-content/uploads/a.jpg", None),
                place("/wp-content/uploads/b c.jpg", "/wp-content/uploads/b c.jpg", None),
                place(
                    "/wp-content/uploads/c\\_d-1x1.png",
                    "/wp-content/uploads/c_d-1x1.png",
                    Some("")
                ),
                place(
                    "https://old.example/wp-content/uploads/c\\_d.png",
                    "https://old.example/wp-content/uploads/c_d.png",
                    None
                ),
            ]
        );
        let shown = &site.places("![](/wp-content/uploads/a\\(1\\).jpg?x=\\(2\\)) b");
        assert_eq!(shown[0].address, "/wp-content/uploads/a(1).jpg?x=(2)");
        assert_eq!(
            site.places("![A cat](/wp-content/uploads/a.jpg)")[0].alt.as_deref(),
            Some("A cat")
        );
    }
}
