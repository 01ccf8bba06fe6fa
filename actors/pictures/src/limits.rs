//! What is taken.

use serde::{Deserialize, Serialize};

/// The longest edge of a picture, in pixels: what WebP has room for.
pub(crate) const MOST_EDGE: u32 = 16_383;
/// Of pictures that move, so many times the pixels of one that does not, in all frames.
pub(crate) const MOVING: u64 = 4;

/// What is taken of a picture, and what its process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Pixels of one picture, width times height.
    pub pixels: u64,
    /// Frames of one that moves.
    pub frames: u32,
    /// Memory for pixels, in bytes, beyond the program itself and the file.
    pub memory: u64,
    /// Seconds of a processor's time.
    pub seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pixels: 50_000_000, frames: 500, memory: 512 * 1024 * 1024, seconds: 30 }
    }
}
