//! A picture, decoded: upright, in sRGB, eight bits for each of its colours.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{ColorType, DynamicImage, ImageDecoder, Limits as Allowed};

use super::color;
use crate::kind::Kind;
use crate::protocol::{Probe, Refused};

/// What each pixel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    /// Red, green, blue.
    Rgb,
    /// And how much of it is to be seen.
    Rgba,
}

impl Channels {
    /// Bytes for each pixel.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// The pixels of a picture, row for row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) channels: Channels,
    pub(super) bytes: Vec<u8>,
}

impl Pixels {
    /// Decodes what was probed; the first frame of what moves.
    pub(super) fn read(file: &[u8], probe: &Probe) -> Result<Self, Refused> {
        let file = Cursor::new(file);
        match probe.kind {
            Kind::Jpeg => Self::decoded(JpegDecoder::new(file), probe),
            Kind::Png => Self::decoded(PngDecoder::new(file), probe),
            Kind::Webp => Self::decoded(WebPDecoder::new(file), probe),
            Kind::Gif => Self::decoded(GifDecoder::new(file), probe),
        }
    }

    fn decoded(
        decoder: image::ImageResult<impl ImageDecoder>,
        probe: &Probe,
    ) -> Result<Self, Refused> {
        let mut decoder = decoder.map_err(Refused::damaged)?;
        let mut allowed = Allowed::no_limits();
        allowed.max_alloc = Some(probe.memory);
        decoder.set_limits(allowed).map_err(Refused::damaged)?;
        let orientation = decoder.orientation().map_err(Refused::damaged)?;
        // A profile that can't be read is no reason not to show a picture.
        let profile = decoder.icc_profile().ok().flatten();
        let mut image = DynamicImage::from_decoder(decoder).map_err(Refused::damaged)?;
        image.apply_orientation(orientation);
        let mut pixels = Self::plain(image);
        if (pixels.width, pixels.height) != (probe.width, probe.height) {
            return Err(Refused::damaged("it is not as large as it says"));
        }
        if let Some(profile) = profile {
            color::to_srgb(&mut pixels, &profile);
        }
        Ok(pixels)
    }

    fn plain(image: DynamicImage) -> Self {
        let (width, height) = (image.width(), image.height());
        let has_alpha = matches!(
            image.color(),
            ColorType::La8 | ColorType::Rgba8 | ColorType::La16 | ColorType::Rgba16
        );
        let (channels, bytes) = if has_alpha {
            (Channels::Rgba, image.into_rgba8().into_raw())
        } else {
            (Channels::Rgb, image.into_rgb8().into_raw())
        };
        Self { width, height, channels, bytes }.without_idle_alpha()
    }

    /// One byte for each pixel, where all of them are grey.
    pub(super) fn grey(&self) -> Option<Vec<u8>> {
        let is_grey = self.channels == Channels::Rgb
            && self.bytes.chunks_exact(3).all(|it| it[0] == it[1] && it[1] == it[2]);
        is_grey.then(|| self.bytes.iter().step_by(3).copied().collect())
    }

    /// What is to be seen everywhere need not say so.
    fn without_idle_alpha(mut self) -> Self {
        let is_idle = self.channels == Channels::Rgba
            && self.bytes.chunks_exact(4).all(|pixel| pixel[3] == u8::MAX);
        if is_idle {
            let pixels = self.bytes.len() / 4;
            for pixel in 0..pixels {
                self.bytes.copy_within(pixel * 4..pixel * 4 + 3, pixel * 3);
            }
            self.bytes.truncate(pixels * 3);
            self.channels = Channels::Rgb;
        }
        self
    }
}
