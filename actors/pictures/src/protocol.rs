//! What a node and the process of a picture say to each other: lines of JSON, and after some of them so many bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::limits::Limits;

/// The longest line, in bytes.
pub(crate) const LINE: usize = 4_096;

/// What the node wants. After it comes the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// How long the file is.
    pub bytes: u64,
    /// What is taken.
    pub limits: Limits,
}

/// That the process may decode, and use so much memory, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Go {
    pub(crate) memory: u64,
}

/// What the beginning of a picture says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What it is.
    pub kind: Kind,
    /// How wide it is, upright, in pixels.
    pub width: u32,
    /// How high it is.
    pub height: u32,
    /// How many pictures it is: more than one if it moves.
    pub frames: u32,
    /// What making it will take at most, in bytes.
    pub memory: u64,
}

/// A file that was made. After it come its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHead {
    /// 0 for the whole picture, else the width by which it is found.
    pub size: u32,
    /// What it is.
    pub kind: Kind,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// How long it is.
    pub bytes: u64,
}

/// What a picture looks like on the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// The colour that most of it has: red, green and blue.
    pub color: [u8; 3],
}

/// Why a picture is not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Refused {
    /// For programs.
    pub why: Why,
    /// For people.
    pub detail: String,
}

/// Why a picture is not made, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is of no kind that is taken.
    Unsupported,
    /// It is damaged, or ends too early.
    Damaged,
    /// It has too many pixels, or needs too much memory.
    TooManyPixels,
    /// It has too many frames.
    TooManyFrames,
    /// It takes too long.
    TooSlow,
}

impl Why {
    /// As programs read it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unsupported => "unsupported",
            Self::Damaged => "damaged",
            Self::TooManyPixels => "too_many_pixels",
            Self::TooManyFrames => "too_many_frames",
            Self::TooSlow => "too_slow",
        }
    }
}

impl Refused {
    pub(crate) fn new(why: Why, detail: impl Into<String>) -> Self {
        Self { why, detail: detail.into() }
    }

    /// What a decoder says of a file that it can't read.
    pub(crate) fn damaged(error: impl fmt::Display) -> Self {
        let mut said: String = error.to_string().chars().take(200).collect();
        said.retain(|c| !c.is_control());
        Self::new(Why::Damaged, format!("the picture can't be read: {said}"))
    }
}

/// What the process says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// It could be made; and whether the kernel keeps the process from everything else (Landlock).
    Probe(Probe, bool),
    /// A file follows.
    File(FileHead),
    /// That was all.
    Made(Looks),
    /// There is no picture to be made of it.
    Refused(Refused),
}
