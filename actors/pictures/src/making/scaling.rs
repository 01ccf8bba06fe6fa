//! Smaller likenesses.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::pixels::{Channels, Pixels};
use crate::protocol::Refused;

/// The picture, so large.
pub(super) fn scaled(pixels: &Pixels, (width, height): (u32, u32)) -> Result<Pixels, Refused> {
    let kind = match pixels.channels {
        Channels::Rgb => PixelType::U8x3,
        Channels::Rgba => PixelType::U8x4,
    };
    let from = ImageRef::new(pixels.width, pixels.height, &pixels.bytes, kind);
    let from = from.map_err(Refused::damaged)?;
    let mut into = Image::new(width, height, kind);
    let filter = ResizeAlg::Convolution(FilterType::Lanczos3);
    let options = ResizeOptions::new().resize_alg(filter).use_alpha(true);
    Resizer::new().resize(&from, &mut into, &options).map_err(Refused::damaged)?;
    Ok(Pixels { width, height, channels: pixels.channels, bytes: into.into_vec() })
}

/// How large a picture of this size is when it is so wide: not lower than one row.
pub(super) fn size((wide, high): (u32, u32), width: u32) -> (u32, u32) {
    let (of, by) = (u64::from(high) * u64::from(width), u64::from(wide.max(1)));
    (width, u32::try_from((of + by / 2) / by).unwrap_or(u32::MAX).max(1))
}
