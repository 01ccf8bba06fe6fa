//! Colours: those of the profile that a picture came with, as everybody shows them; and the one that most of it has.

use moxcms::{ColorProfile, Layout, TransformOptions};

use super::pixels::{Channels, Pixels};
use super::scaling;
use crate::protocol::Refused;

/// Colours of a profile that are so near to those without one are the same.
const SAME: u8 = 2;
/// As wide is the likeness that is looked at for what most of it is.
const GLANCE: u32 = 32;

/// Turns the colours of a profile into sRGB, and leaves them where that can't be done: a profile of other channels is
/// of no use to anybody who shows the picture.
pub(super) fn to_srgb(pixels: &mut Pixels, profile: &[u8]) {
    let Ok(profile) = ColorProfile::new_from_slice(profile) else { return };
    let layout = match pixels.channels {
        Channels::Rgb => Layout::Rgb,
        Channels::Rgba => Layout::Rgba,
    };
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let Ok(transform) = profile.create_transform_8bit(layout, &srgb, layout, options) else {
        return;
    };
    let each = pixels.channels.bytes();
    let (samples, mut seen) = (samples(each), vec![0; 27 * each]);
    if transform.transform(&samples, &mut seen).is_err() {
        return;
    }
    if samples.iter().zip(&seen).all(|(before, after)| before.abs_diff(*after) <= SAME) {
        return;
    }
    let row = usize::try_from(pixels.width).unwrap_or_default() * each;
    let mut before = vec![0; row];
    for after in pixels.bytes.chunks_exact_mut(row.max(1)) {
        before.copy_from_slice(after);
        if transform.transform(&before, after).is_err() {
            return;
        }
    }
}

/// Colours all over the room that there is for them.
fn samples(each: usize) -> Vec<u8> {
    const LEVELS: [u8; 3] = [0, 128, u8::MAX];
    let mut samples = Vec::with_capacity(27 * each);
    for red in LEVELS {
        for green in LEVELS {
            for blue in LEVELS {
                samples.extend([red, green, blue, u8::MAX].into_iter().take(each));
            }
        }
    }
    samples
}

/// The colour that most of it has: of sixteen steps in each channel the fullest, and in it the middle.
pub(super) fn dominant(pixels: &Pixels) -> Result<[u8; 3], Refused> {
    let size = (pixels.width.min(GLANCE), pixels.height.min(GLANCE));
    let glance = scaling::scaled(pixels, size)?;
    let mut steps = std::collections::BTreeMap::<[u8; 3], (u32, [u32; 3])>::new();
    for pixel in glance.bytes.chunks_exact(glance.channels.bytes()) {
        let [red, green, blue] = [pixel[0], pixel[1], pixel[2]];
        // What is not to be seen has no colour.
        if pixel.get(3).is_some_and(|alpha| *alpha < 128) {
            continue;
        }
        let (count, sums) = steps.entry([red >> 4, green >> 4, blue >> 4]).or_default();
        *count += 1;
        for (sum, channel) in sums.iter_mut().zip([red, green, blue]) {
            *sum += u32::from(channel);
        }
    }
    let fullest = steps.values().max_by_key(|(count, _)| *count);
    let middle = |(count, sums): &(u32, [u32; 3])| {
        sums.map(|sum| u8::try_from(sum / count.max(&1)).unwrap_or(u8::MAX))
    };
    // White, where there is nothing to be seen.
    Ok(fullest.map_or([u8::MAX; 3], middle))
}
