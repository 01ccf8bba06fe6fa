//! Pixels, packed: nothing but them is in a file.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use webp::{PixelLayout, WebPConfig};

use super::pixels::{Channels, Pixels};
use crate::kind::Kind;
use crate::protocol::{Refused, Why};

/// How well a picture is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quality {
    /// As it is.
    Lossless,
    /// So well, of 100, where its kind loses anything.
    Losing(u8),
}

/// A file of this kind.
pub(super) fn encode(
    pixels: &Pixels,
    (kind, quality): (Kind, Quality),
) -> Result<Vec<u8>, Refused> {
    match (kind, quality) {
        (Kind::Jpeg, Quality::Losing(quality)) => jpeg(pixels, quality),
        (Kind::Jpeg, Quality::Lossless) => jpeg(pixels, 100),
        (Kind::Webp, Quality::Losing(quality)) => webp(pixels, quality),
        (Kind::Webp, Quality::Lossless) => lossless_webp(pixels),
        (Kind::Png | Kind::Gif, _) => png(pixels),
    }
}

fn jpeg(pixels: &Pixels, quality: u8) -> Result<Vec<u8>, Refused> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let edge = |pixels: u32| u16::try_from(pixels).map_err(Refused::damaged);
    let kind = match pixels.channels {
        Channels::Rgb => ColorType::Rgb,
        Channels::Rgba => ColorType::Rgba,
    };
    let (width, height) = (edge(pixels.width)?, edge(pixels.height)?);
    encoder.encode(&pixels.bytes, width, height, kind).map_err(Refused::damaged)?;
    Ok(file)
}

fn png(pixels: &Pixels) -> Result<Vec<u8>, Refused> {
    let mut file = Vec::new();
    let (compression, filter) = (CompressionType::Default, FilterType::Adaptive);
    let encoder = PngEncoder::new_with_quality(&mut file, compression, filter);
    let (width, height) = (pixels.width, pixels.height);
    let written = match pixels.grey() {
        Some(grey) => encoder.write_image(&grey, width, height, ExtendedColorType::L8),
        None => encoder.write_image(&pixels.bytes, width, height, color(pixels.channels)),
    };
    written.map_err(Refused::damaged)?;
    Ok(file)
}

fn lossless_webp(pixels: &Pixels) -> Result<Vec<u8>, Refused> {
    let mut file = Vec::new();
    let encoder = WebPEncoder::new_lossless(&mut file);
    encoder
        .encode(&pixels.bytes, pixels.width, pixels.height, color(pixels.channels))
        .map_err(Refused::damaged)?;
    Ok(file)
}

const fn color(channels: Channels) -> ExtendedColorType {
    match channels {
        Channels::Rgb => ExtendedColorType::Rgb8,
        Channels::Rgba => ExtendedColorType::Rgba8,
    }
}

fn webp(pixels: &Pixels, quality: u8) -> Result<Vec<u8>, Refused> {
    let layout = match pixels.channels {
        Channels::Rgb => PixelLayout::Rgb,
        Channels::Rgba => PixelLayout::Rgba,
    };
    let mut config = WebPConfig::new().map_err(|()| Refused::damaged("WebP can't be written"))?;
    config.quality = f32::from(quality);
    let encoder = webp::Encoder::new(&pixels.bytes, layout, pixels.width, pixels.height);
    let file = encoder.encode_advanced(&config);
    let file = file.map_err(|error| {
        let error = format!("{error:?}");
        // It says so, and does not end.
        if error.contains("OUT_OF_MEMORY") {
            Refused::new(Why::TooManyPixels, "the picture takes more memory than it should")
        } else {
            Refused::damaged(error)
        }
    })?;
    Ok(file.to_vec())
}
