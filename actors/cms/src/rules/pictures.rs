//! Pictures in what is written: where they are, which ones a text shows, and how a page shows them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use panel_kernel::ids::Id;
use panel_pictures::{Kind, MAIN};
use serde::{Deserialize, Serialize};

/// Below which address pictures are.
pub(crate) const BELOW: &str = "/media/";
/// The same, as an attribute begins.
const ATTRIBUTE: &str = "=\"/media/";
/// How many pictures an article shows at most.
pub(crate) const MOST: usize = 100;
/// Digits of a SHA-256.
const DIGITS: usize = 64;
/// How wide a page shows a picture at most: as wide as its text.
const SIZES: &str = "(max-width: 44rem) 100vw, 44rem";

/// A file that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// 0: the whole picture; else the width by which it is found.
    pub(crate) size: u32,
    pub(crate) kind: Kind,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) bytes: u64,
    /// In hexadecimal digits.
    pub(crate) sha256: String,
}

/// What was made of a picture: the whole picture, and its likenesses, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asset {
    pub(crate) id: Id,
    /// Of the whole picture: what it is known by.
    pub(crate) sha256: String,
    pub(crate) kind: Kind,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frames: u32,
    /// `#` and six hexadecimal digits.
    pub(crate) color: String,
    pub(crate) files: Vec<Made>,
}

impl Asset {
    /// How long all files are together.
    pub(crate) fn bytes(&self) -> i64 {
        i64::try_from(self.files.iter().map(|file| file.bytes).sum::<u64>()).unwrap_or(i64::MAX)
    }
}

/// Where a file is.
pub(crate) fn path(sha256: &str, size: u32, kind: Kind) -> String {
    format!("{BELOW}{}", file_name(sha256, size, kind))
}

/// What a file is called there.
pub(crate) fn file_name(sha256: &str, size: u32, kind: Kind) -> String {
    let extension = kind.extension();
    if size == MAIN {
        format!("{sha256}.{extension}")
    } else {
        format!("{sha256}-{size}.{extension}")
    }
}

/// Which file is meant by the last part of an address.
pub(crate) fn named(name: &str) -> Option<(&str, u32, Kind)> {
    let (sha256, rest) = name.split_at_checked(DIGITS)?;
    if !is_sha256(sha256) {
        return None;
    }
    let (size, extension) = rest.split_once('.')?;
    let size = match size.strip_prefix('-') {
        // As it is written, and no other way.
        Some(digits) if !digits.starts_with(['0', '+']) => digits.parse().ok()?,
        None if size.is_empty() => MAIN,
        _ => return None,
    };
    Some((sha256, size, Kind::by_extension(extension)?))
}

fn is_sha256(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Which pictures of this site HTML shows, or leads to: what begins an attribute, and not what somebody only writes of.
pub(crate) fn shown_in(html: &str) -> BTreeSet<String> {
    let found = html.split(ATTRIBUTE).skip(1).filter_map(of_address);
    found.map(str::to_owned).collect()
}

/// Which picture of this site is meant by an address without what is before it.
pub(crate) fn of_address(rest: &str) -> Option<&str> {
    rest.get(..DIGITS).filter(|name| is_sha256(name))
}

/// HTML in which the pictures of this site come in the size that fits, and keep their room while they come. What it has
/// of others stays as it is.
pub(crate) fn responsive(html: &str, pictures: &BTreeMap<String, Asset>) -> String {
    let mut shown = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find("<img ") {
        let (before, tag) = rest.split_at(at);
        shown.push_str(before);
        let end = end_of(tag);
        let (tag, after) = tag.split_at(end);
        match asset_of(tag, pictures) {
            Some(asset) => fitting(&mut shown, tag, asset),
            None => shown.push_str(tag),
        }
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Behind the end of the tag with which a text begins.
fn end_of(tag: &str) -> usize {
    let mut is_quoted = false;
    let end = tag.bytes().position(|byte| {
        is_quoted ^= byte == b'"';
        byte == b'>' && !is_quoted
    });
    end.map_or(tag.len(), |end| end + 1)
}

fn asset_of<'a>(tag: &str, pictures: &'a BTreeMap<String, Asset>) -> Option<&'a Asset> {
    let (_, source) = tag.split_once(" src=\"")?;
    let (source, _) = source.split_once('"')?;
    let (sha256, size, kind) = named(source.strip_prefix(BELOW)?)?;
    let asset = pictures.get(sha256)?;
    (size == MAIN && kind == asset.kind).then_some(asset)
}

/// The tag with all that is known of its picture, in a choice of sizes.
fn fitting(shown: &mut String, tag: &str, asset: &Asset) {
    let of = |webp: bool| {
        let files = asset.files.iter().skip(1);
        files.filter(move |file| (file.kind == Kind::Webp) == webp).collect::<Vec<_>>()
    };
    let (webp, same) = (of(true), of(false));
    let is_webp = asset.kind == Kind::Webp;
    if !webp.is_empty() && !is_webp {
        let set = set(asset, webp.iter().copied());
        let _ = write!(
            shown,
            "<picture><source type=\"image/webp\" srcset=\"{set}\" sizes=\"{SIZES}\">"
        );
    }
    let smaller = if is_webp { webp.iter() } else { same.iter() };
    let smaller: Vec<&Made> = smaller.copied().filter(|file| file.width < asset.width).collect();
    shown.push_str(tag.trim_end_matches('>').trim_end_matches('/').trim_end());
    if !smaller.is_empty() {
        let set = set(asset, smaller.into_iter().chain(asset.files.first()));
        let _ = write!(shown, " srcset=\"{set}\" sizes=\"{SIZES}\"");
    }
    let (width, height) = (asset.width, asset.height);
    let _ = write!(shown, " width=\"{width}\" height=\"{height}\" decoding=\"async\">");
    if !webp.is_empty() && !is_webp {
        shown.push_str("</picture>");
    }
}

/// Files to choose from, the smallest first.
fn set<'a>(asset: &Asset, files: impl Iterator<Item = &'a Made>) -> String {
    let mut files: Vec<&Made> = files.collect();
    files.sort_by_key(|file| file.width);
    let places = files.iter().map(|file| {
        let width = file.width;
        format!("{} {width}w", path(&asset.sha256, file.size, file.kind))
    });
    places.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sha(digit: char) -> String {
        std::iter::repeat_n(digit, DIGITS).collect()
    }

    fn asset(kind: Kind, files: &[(u32, Kind, u32)]) -> Asset {
        let made = |(size, kind, width): &(u32, Kind, u32)| Made {
            size: *size,
            kind: *kind,
            width: *width,
            height: width / 2,
            bytes: 1,
            sha256: sha('b'),
        };
        Asset {
            id: Id::from_raw(1),
            sha256: sha('a'),
            kind,
            width: files[0].2,
            height: files[0].2 / 2,
            frames: 1,
            color: "#000000".to_owned(),
            files: files.iter().map(made).collect(),
        }
    }

    fn html(asset: &Asset, html: &str) -> String {
        let pictures = BTreeMap::from([(asset.sha256.clone(), asset.clone())]);
        responsive(html, &pictures).replace(&sha('a'), "A")
    }

    #[test]
    fn a_file_has_one_name() {
        let sha = sha('a');
        for (name, size, kind) in
            [(format!("{sha}.jpg"), 0, Kind::Jpeg), (format!("{sha}-640.webp"), 640, Kind::Webp)]
        {
            assert_eq!(named(&name), Some((sha.as_str(), size, kind)));
            assert_eq!(path(&sha, size, kind), format!("{BELOW}{name}"));
        }
        for odd in [
            "",
            "a.jpg",
            &sha,
            &format!("{sha}.svg"),
            &format!("{sha}-0.webp"),
            &format!("{sha}-+1.webp"),
            &format!("{sha}-064.webp"),
            &format!("{sha}640.webp"),
            &format!("{sha}-99999999999.webp"),
            &format!("{}.jpg", sha.to_uppercase()),
            &format!("{}.jpg", "ä".repeat(32)),
        ] {
            assert_eq!(named(odd), None, "{odd}");
        }
    }

    #[test]
    fn pictures_are_found_where_they_are_shown() {
        let (a, b) = (sha('a'), sha('b'));
        let html = format!(
            "<img src=\"/media/{a}.jpg\"> <a href=\"/media/{b}-320.webp\">/media/{}</a> \
             <code>/media/{}</code> <img src=\"https://other/media/{}.jpg\"> <img src=\"/media/ä\">",
            sha('c'),
            sha('d'),
            sha('e')
        );
        assert_eq!(shown_in(&html), BTreeSet::from([a, b]));
        assert!(shown_in(&format!("<img src=\"/media/{}\">", sha('g'))).is_empty());
    }

    #[test]
    fn a_picture_comes_in_the_size_that_fits() {
        let photo = asset(
            Kind::Jpeg,
            &[
                (0, Kind::Jpeg, 1_000),
                (1_000, Kind::Webp, 1_000),
                (640, Kind::Webp, 640),
                (640, Kind::Jpeg, 640),
                (320, Kind::Webp, 320),
                (320, Kind::Jpeg, 320),
            ],
        );
        let tag = format!("<p><img src=\"/media/{}.jpg\" alt=\"a > b\"> and</p>", sha('a'));
        let shown = html(&photo, &tag);
        assert_eq!(
            shown,
            format!(
                "<p><picture><source type=\"image/webp\" srcset=\"/media/A-320.webp 320w, \
                 /media/A-640.webp 640w, /media/A-1000.webp 1000w\" sizes=\"{SIZES}\">\
                 <img src=\"/media/A.jpg\" alt=\"a > b\" srcset=\"/media/A-320.jpg 320w, \
                 /media/A-640.jpg 640w, /media/A.jpg 1000w\" sizes=\"{SIZES}\" width=\"1000\" \
                 height=\"500\" decoding=\"async\"></picture> and</p>"
            )
        );
    }

    #[test]
    fn what_has_no_smaller_likeness_keeps_its_room_all_the_same() {
        let moving = asset(Kind::Gif, &[(0, Kind::Gif, 40)]);
        let tag = format!("<img src=\"/media/{}.gif\" alt=\"\" />", sha('a'));
        let expected =
            "<img src=\"/media/A.gif\" alt=\"\" width=\"40\" height=\"20\" decoding=\"async\">";
        assert_eq!(html(&moving, &tag), expected);
        let webp = asset(
            Kind::Webp,
            &[(0, Kind::Webp, 700), (700, Kind::Webp, 700), (320, Kind::Webp, 320)],
        );
        let tag = format!("<img src=\"/media/{}.webp\">", sha('a'));
        assert_eq!(
            html(&webp, &tag),
            format!(
                "<img src=\"/media/A.webp\" srcset=\"/media/A-320.webp 320w, /media/A.webp 700w\" \
                     sizes=\"{SIZES}\" width=\"700\" height=\"350\" decoding=\"async\">"
            )
        );
    }

    proptest! {
        /// What is of others, or is no picture, stays as it is to the letter.
        #[test]
        fn what_is_of_others_stays(html in "(<img (src=\"[a-z/]{0,9}\"|alt=\"[>ä]\"|>)|[a-zä<>\"]){0,20}") {
            let own = asset(Kind::Gif, &[(0, Kind::Gif, 40)]);
            let known = BTreeMap::from([(own.sha256.clone(), own)]);
            prop_assert_eq!(responsive(&html, &known), html);
        }
    }
}
