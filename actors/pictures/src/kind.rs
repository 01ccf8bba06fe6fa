//! What a file is, by what is in it.

use serde::{Deserialize, Serialize};

/// How much of a file's beginning is needed to know.
pub(crate) const BEGINNING: usize = 12;

/// What is said to who sends something else.
pub const TAKEN: &str = "pictures are taken as JPEG, PNG, GIF and WebP";

/// What a picture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// GIF, also one that moves.
    Gif,
    /// WebP.
    Webp,
}

impl Kind {
    /// All that are taken.
    pub const ALL: [Self; 4] = [Self::Jpeg, Self::Png, Self::Gif, Self::Webp];

    /// What a file with this beginning (12 bytes are enough) can be, whatever it is called and said to be.
    #[must_use]
    pub fn of(beginning: &[u8]) -> Option<Self> {
        match beginning.get(..BEGINNING)? {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Some(Self::Webp),
            _ => None,
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }

    /// How names of such files end, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }

    /// The kind whose names end so.
    #[must_use]
    pub fn by_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.extension() == extension)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_it_begins_with() {
        for (beginning, kind) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01"[..], Some(Kind::Jpeg)),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", Some(Kind::Png)),
            (b"GIF89a\x01\0\x01\0\x80\0\0", Some(Kind::Gif)),
            (b"GIF87a\x01\0\x01\0\x80\0\0", Some(Kind::Gif)),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some(Kind::Webp)),
            (b"RIFF\x24\0\0\0WAVEfmt ", None),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\">", None),
            (b"%PDF-1.7\n%....", None),
            (b"\xff\xd8\xff", None),
            (b"", None),
        ] {
            assert_eq!(Kind::of(beginning), kind, "{beginning:?}");
        }
    }
}
