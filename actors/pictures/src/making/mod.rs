//! The pictures themselves. No I/O but what is made, and no memory but what was asked for in the probe.

mod animation;
mod color;
mod encoding;
mod header;
mod pixels;
mod scaling;

use std::io;

use crate::kind::Kind;
use crate::protocol::{FileHead, Looks, Probe, Refused};
use pixels::Pixels;

pub(crate) use header::check;
pub use header::probe;

/// The size by which the whole picture is found.
pub const MAIN: u32 = 0;
/// The widths at which a picture can be had that is wider.
pub const WIDTHS: [u32; 3] = [320, 640, 1_280];

/// The largest likeness as WebP, in pixels: packing what can be seen through takes a lot for each.
const MOST_WEBP: u64 = 4_000_000;

/// How good the whole picture is, of those that lose something, of 100; and its smaller likenesses.
const WHOLE: u8 = 90;
const LIKENESS: u8 = 80;

/// Why making a picture ended.
#[derive(Debug)]
pub enum Stopped {
    /// There is no picture to be made of it.
    Refused(Refused),
    /// Nobody takes what is made.
    Io(io::Error),
}

impl From<Refused> for Stopped {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Where files go.
pub type Sink<'a> = dyn FnMut(FileHead, &[u8]) -> io::Result<()> + 'a;

/// Makes the whole picture, and its likenesses, of what was probed: each is handed on before the next is made.
///
/// A picture that moves stays as it is, frame for frame, and has no likenesses.
///
/// # Errors
/// [`Stopped`].
pub fn make(file: &[u8], probe: &Probe, sink: &mut Sink<'_>) -> Result<Looks, Stopped> {
    if probe.kind == Kind::Gif {
        let gif = animation::copied(file, probe)?;
        put(sink, (MAIN, Kind::Gif), (probe.width, probe.height), &gif)?;
    }
    let mut pixels = Pixels::read(file, probe)?;
    let whole_size = (pixels.width, pixels.height);
    if probe.kind != Kind::Gif {
        let whole = encoding::encode(&pixels, whole(file, probe.kind))?;
        put(sink, (MAIN, probe.kind), whole_size, &whole)?;
    }
    if probe.frames > 1 {
        return Ok(Looks { color: color::dominant(&pixels)? });
    }
    // From large to small, each from the one before: of a large picture only the first takes long.
    let (width, _) = whole_size;
    if WIDTHS.iter().any(|most| *most >= width) {
        likeness(sink, &pixels, (width, Kind::Webp))?;
    }
    for size in WIDTHS.into_iter().rev().filter(|size| *size < width) {
        pixels = scaling::scaled(&pixels, scaling::size(whole_size, size))?;
        likeness(sink, &pixels, (size, Kind::Webp))?;
        if matches!(probe.kind, Kind::Jpeg | Kind::Png) {
            likeness(sink, &pixels, (size, probe.kind))?;
        }
    }
    Ok(Looks { color: color::dominant(&pixels)? })
}

fn likeness(
    sink: &mut Sink<'_>,
    pixels: &Pixels,
    (size, kind): (u32, Kind),
) -> Result<(), Stopped> {
    let many = u64::from(pixels.width) * u64::from(pixels.height) > MOST_WEBP;
    if many && kind == Kind::Webp {
        return Ok(());
    }
    let quality = encoding::Quality::Losing(LIKENESS);
    let file = encoding::encode(pixels, (kind, quality))?;
    put(sink, (size, kind), (pixels.width, pixels.height), &file)
}

fn put(
    sink: &mut Sink<'_>,
    (size, kind): (u32, Kind),
    (width, height): (u32, u32),
    file: &[u8],
) -> Result<(), Stopped> {
    let head = FileHead { size, kind, width, height, bytes: file.len() as u64 };
    sink(head, file).map_err(Stopped::Io)
}

/// As what, and how well, the whole picture is kept: what has lost nothing yet loses nothing.
fn whole(file: &[u8], kind: Kind) -> (Kind, encoding::Quality) {
    let is_lossless = kind == Kind::Webp && header::is_lossless_webp(file);
    let quality =
        if is_lossless { encoding::Quality::Lossless } else { encoding::Quality::Losing(WHOLE) };
    (kind, quality)
}

#[cfg(test)]
mod tests;
