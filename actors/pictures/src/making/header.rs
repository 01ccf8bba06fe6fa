//! What the beginning of a picture says of it: before anything is decoded.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ImageDecoder, Limits as Allowed};

use super::{MOST_WEBP, WIDTHS, scaling};
use crate::kind::{Kind, TAKEN};
use crate::limits::{Limits, MOST_EDGE, MOVING};
use crate::protocol::{Probe, Refused, Why};

/// What a decoder may take beside its pixels, in bytes: tables, rows, profiles.
const ASIDE: u64 = 16 * 1024 * 1024;
/// Bytes that packing takes for each pixel of a lossy WebP: of one that can be seen through, that is packed without loss
/// beside the rest, with tables as large as noise needs them.
const PACKING: u64 = 8;
const PACKING_ALPHA: u64 = 44;

/// What a file is, and whether a picture may be made of it.
///
/// # Errors
/// [`Refused`] says why not.
pub fn probe(file: &[u8], limits: &Limits) -> Result<Probe, Refused> {
    let kind = Kind::of(file).ok_or_else(|| Refused::new(Why::Unsupported, TAKEN))?;
    let probe = match kind {
        Kind::Jpeg => jpeg(file),
        Kind::Png => png(file),
        Kind::Webp => webp(file),
        Kind::Gif => gif(file, limits),
    }?;
    check(&probe, limits)?;
    Ok(probe)
}

/// Whether what is said of a picture is no more than is taken.
pub(crate) fn check(probe: &Probe, limits: &Limits) -> Result<(), Refused> {
    let Probe { width, height, frames, memory, .. } = *probe;
    if width == 0 || height == 0 {
        return Err(Refused::damaged("it has no pixels"));
    }
    let pixels = u64::from(width) * u64::from(height);
    let large = |most: String| {
        let detail = format!("the picture has {width} times {height} pixels; {most}");
        Err(Refused::new(Why::TooManyPixels, detail))
    };
    if width > MOST_EDGE || height > MOST_EDGE {
        return large(format!("an edge has at most {MOST_EDGE}"));
    }
    if pixels > limits.pixels {
        return large(format!("at most {} are taken", limits.pixels));
    }
    if frames > limits.frames {
        let most = limits.frames;
        let detail = format!("the picture has more than {most} frames, which is the most");
        return Err(Refused::new(Why::TooManyFrames, detail));
    }
    if pixels.saturating_mul(u64::from(frames)) > limits.pixels.saturating_mul(MOVING) {
        return large(format!("in {frames} frames, which is too much"));
    }
    if memory > limits.memory {
        return large("one of its kind must be smaller".to_owned());
    }
    Ok(())
}

/// So many bytes for each pixel, and what packing the largest likeness takes. All of it was measured, with pixels of
/// noise.
fn memory((width, height): (u32, u32), each: u64, has_alpha: bool) -> u64 {
    let pixels = |(width, height): (u32, u32)| u64::from(width).saturating_mul(u64::from(height));
    let packing = if has_alpha { PACKING_ALPHA } else { PACKING };
    let most = WIDTHS.last().copied().unwrap_or_default();
    let likeness =
        if width > most { scaling::size((width, height), most) } else { (width, height) };
    let whole = pixels((width, height)).saturating_mul(each);
    let packed = pixels(likeness).min(MOST_WEBP).saturating_mul(packing);
    whole.saturating_add(packed).saturating_add(ASIDE)
}

/// How it lies when it is upright.
fn upright((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

fn jpeg(file: &[u8]) -> Result<Probe, Refused> {
    let progressive = jpeg_frame(file)?;
    let mut decoder = JpegDecoder::new(Cursor::new(file)).map_err(Refused::damaged)?;
    let size = decoder.dimensions();
    let (width, height) = upright(size, decoder.orientation().map_err(Refused::damaged)?);
    // Pixels, and once more to turn them; of progressive ones first the coefficients of all.
    // The decoder has the file a second time.
    let memory = memory((width, height), if progressive { 11 } else { 8 }, false);
    let memory = memory.saturating_add(file.len() as u64);
    Ok(Probe { kind: Kind::Jpeg, width, height, frames: 1, memory })
}

/// Whether the frame is a progressive one. The whole picture must be there: decoders paint what is missing grey.
fn jpeg_frame(file: &[u8]) -> Result<bool, Refused> {
    let cut = || Refused::damaged("it ends too early");
    let (mut at, mut progressive) = (2, false);
    loop {
        let rest = file.get(at..).ok_or_else(cut)?;
        let [0xff, marker, ..] = *rest else {
            return Err(Refused::damaged("what should be a segment is none"));
        };
        match marker {
            // Padding, and what has no length.
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xd9 => return Err(cut()),
            0xda => break,
            _ => {
                progressive |= marker == 0xc2;
                let [high, low] = *rest.get(2..4).ok_or_else(cut)? else { return Err(cut()) };
                at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
            }
        }
    }
    // In what is coded there is no end but the end.
    let coded = file.get(at..).unwrap_or_default();
    let ends = coded.windows(2).any(|pair| pair == [0xff, 0xd9]);
    if ends { Ok(progressive) } else { Err(cut()) }
}

fn png(file: &[u8]) -> Result<Probe, Refused> {
    let mut allowed = Allowed::no_limits();
    allowed.max_alloc = Some(ASIDE);
    let decoder = PngDecoder::with_limits(Cursor::new(file), allowed);
    let mut decoder = decoder.map_err(Refused::damaged)?;
    if decoder.is_apng().map_err(Refused::damaged)? {
        return Err(moves("a PNG"));
    }
    let size = decoder.dimensions();
    let has_alpha = decoder.color_type().has_alpha();
    let (width, height) = upright(size, decoder.orientation().map_err(Refused::damaged)?);
    // As it is, in eight bits, turned; then filtered and packed.
    let memory = memory((width, height), if has_alpha { 20 } else { 15 }, has_alpha);
    Ok(Probe { kind: Kind::Png, width, height, frames: 1, memory })
}

fn webp(file: &[u8]) -> Result<Probe, Refused> {
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(Refused::damaged)?;
    if decoder.has_animation() {
        return Err(moves("a WebP"));
    }
    let size = decoder.dimensions();
    let (width, height) = upright(size, decoder.orientation().map_err(Refused::damaged)?);
    let has_alpha = decoder.color_type().has_alpha();
    let each = match (is_lossless_webp(file), has_alpha) {
        (true, _) => 18,
        (false, false) => 16,
        (false, true) => 4 + PACKING_ALPHA,
    };
    let memory = memory((width, height), each, has_alpha);
    Ok(Probe { kind: Kind::Webp, width, height, frames: 1, memory })
}

/// Whether it has lost nothing: the first chunk that has pixels says so.
pub(super) fn is_lossless_webp(file: &[u8]) -> bool {
    let mut rest = file.get(12..).unwrap_or_default();
    while let [a, b, c, d, size @ ..] = rest {
        match &[*a, *b, *c, *d] {
            b"VP8L" => return true,
            b"VP8 " => return false,
            _ => {}
        }
        let Some((size, content)) = size.split_first_chunk::<4>() else { return false };
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        rest = content.get(size.saturating_add(size % 2)..).unwrap_or_default();
    }
    false
}

fn moves(what: &str) -> Refused {
    let detail = format!("{what} that moves is not taken; send it as a GIF");
    Refused::new(Why::Unsupported, detail)
}

/// Counts the frames, without decoding any.
fn gif(file: &[u8], limits: &Limits) -> Result<Probe, Refused> {
    let mut options = gif::DecodeOptions::new();
    options.skip_frame_decoding(true);
    options.check_frame_consistency(true);
    let mut decoder = options.read_info(file).map_err(Refused::damaged)?;
    let size = (u32::from(decoder.width()), u32::from(decoder.height()));
    let mut frames = 0;
    while frames <= limits.frames && decoder.next_frame_info().map_err(Refused::damaged)?.is_some()
    {
        frames += 1;
    }
    if frames == 0 {
        return Err(Refused::damaged("there is no frame in it"));
    }
    // A frame, the first one in colours, and what is packed: never more than twice what it was, or what it shows.
    let memory = memory(size, 20, true).saturating_add(2 * file.len() as u64);
    Ok(Probe { kind: Kind::Gif, width: size.0, height: size.1, frames, memory })
}
