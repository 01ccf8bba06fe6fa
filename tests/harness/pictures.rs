//! Pictures to be sent.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType, ImageFormat, RgbImage};

/// Pixels that nothing can be said about in fewer bytes; others for each seed.
#[must_use]
pub fn noise(width: u32, height: u32, seed: u32) -> RgbImage {
    let mut state = seed | 1;
    RgbImage::from_fn(width, height, |_, _| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let [red, green, blue, _] = state.to_le_bytes();
        [red, green, blue].into()
    })
}

/// As JPEG, of quality 90.
#[must_use]
pub fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 90).encode_image(image).unwrap();
    file
}

/// As PNG.
#[must_use]
pub fn png(image: &DynamicImage) -> Vec<u8> {
    let mut file = Vec::new();
    image.write_to(&mut Cursor::new(&mut file), ImageFormat::Png).unwrap();
    file
}

/// As WebP, without loss.
#[must_use]
pub fn webp(image: &RgbImage) -> Vec<u8> {
    let (mut file, (width, height)) = (Vec::new(), image.dimensions());
    let encoder = WebPEncoder::new_lossless(&mut file);
    encoder.encode(image, width, height, ExtendedColorType::Rgb8).unwrap();
    file
}

/// The processes that make pictures for the process with this id.
#[must_use]
pub fn processes(node: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{node}/task")).into_iter().flatten().flatten();
    let children =
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|text| {
            text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    let makes_one = |id: &u32| {
        let words = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == b"picture-worker")
    };
    children.into_iter().filter(makes_one).collect()
}
