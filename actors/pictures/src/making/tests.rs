use std::io::Cursor;

use gif::{Encoder, Frame, Repeat};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat, RgbImage, RgbaImage};
use moxcms::ColorProfile;
use proptest::prelude::*;

use super::*;
use crate::limits::Limits;
use crate::protocol::Why;

/// What should never be seen in what is made.
const SECRET: &[u8] = b"52.5163 N 13.3777 E";

/// Red on the left, blue on the right, darker to the bottom.
fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let light = u8::try_from(255 - 100 * y / height).unwrap();
        if x < width / 2 { [light, 20, 20] } else { [20, 20, light] }.into()
    })
}

fn jpeg(scene: &RgbImage, profile: Option<Vec<u8>>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 95);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).unwrap();
    }
    encoder.encode_image(scene).unwrap();
    file
}

fn png(scene: &DynamicImage) -> Vec<u8> {
    let mut file = Vec::new();
    scene.write_to(&mut Cursor::new(&mut file), ImageFormat::Png).unwrap();
    file
}

/// A JPEG as a camera writes it that lies on its side, and knows where it is.
fn turned(scene: &RgbImage, orientation: u8) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
    let secret = u8::try_from(SECRET.len()).unwrap();
    tiff.extend([0x0e, 0x01, 2, 0, secret, 0, 0, 0, 38, 0, 0, 0]);
    tiff.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0, 0, 0, 0, 0]);
    tiff.extend(SECRET);
    let length = u16::try_from(tiff.len() + 8).unwrap().to_be_bytes();
    let file = jpeg(scene, None);
    [&file[..2], &[0xff, 0xe1], &length, b"Exif\0\0", &tiff, &file[2..]].concat()
}

fn moving(frames: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 40, 30, &[250, 0, 0, 0, 0, 250]).unwrap();
    encoder.set_repeat(Repeat::Infinite).unwrap();
    for number in 0..frames {
        let pixels = vec![u8::from(number % 2 == 1); 20 * 30];
        let frame = Frame {
            width: 20,
            height: 30,
            left: 10,
            delay: 7 + number,
            buffer: pixels.into(),
            ..Frame::default()
        };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    file
}

type Made = (Probe, Looks, Vec<(FileHead, Vec<u8>)>);

fn made(file: &[u8]) -> Made {
    let probed = probe(file, &Limits::default()).unwrap();
    let mut files = Vec::new();
    let looks = make(file, &probed, &mut |head, bytes| {
        files.push((head, bytes.to_vec()));
        Ok(())
    });
    (probed, looks.unwrap(), files)
}

fn refused(file: &[u8], limits: &Limits) -> Why {
    let probed = match probe(file, limits) {
        Err(refused) => return refused.why,
        Ok(probed) => probed,
    };
    match make(file, &probed, &mut |_, _| Ok(())) {
        Err(Stopped::Refused(refused)) => refused.why,
        other => panic!("{other:?}"),
    }
}

fn names(files: &[(FileHead, Vec<u8>)]) -> Vec<(u32, Kind)> {
    files.iter().map(|(head, _)| (head.size, head.kind)).collect()
}

/// It is what it says, and tells nothing else.
fn checked((head, file): &(FileHead, Vec<u8>)) -> RgbaImage {
    assert_eq!(Kind::of(file), Some(head.kind));
    assert_eq!(head.bytes, file.len() as u64);
    assert!(!file.windows(SECRET.len()).any(|part| part == SECRET));
    for mark in [&b"Exif"[..], b"ICC_PROFILE", b"iCCP", b"EXIF", b"XMP"] {
        assert!(!file.windows(mark.len()).any(|part| part == mark), "{mark:?}");
    }
    let image = image::load_from_memory(file).unwrap().into_rgba8();
    assert_eq!((head.width, head.height), image.dimensions());
    image
}

fn near(pixel: image::Rgba<u8>, wanted: [u8; 3]) {
    let far = pixel.0.iter().zip(wanted).map(|(is, wanted)| is.abs_diff(wanted)).max();
    assert!(far.unwrap() <= 24, "{pixel:?} and not {wanted:?}");
}

#[test]
fn a_photograph_has_likenesses_of_both_kinds() {
    let (probed, looks, files) = made(&jpeg(&scene(1_500, 1_000), None));
    assert_eq!((probed.width, probed.height, probed.frames), (1_500, 1_000, 1));
    let (webp, jpeg) = (Kind::Webp, Kind::Jpeg);
    let expected = [
        (0, jpeg),
        (1_280, webp),
        (1_280, jpeg),
        (640, webp),
        (640, jpeg),
        (320, webp),
        (320, jpeg),
    ];
    assert_eq!(names(&files), expected);
    for file in &files {
        let image = checked(file);
        near(*image.get_pixel(2, 2), [255, 20, 20]);
        near(*image.get_pixel(image.width() - 3, image.height() - 3), [20, 20, 155]);
    }
    assert_eq!(files[6].0.height, 213);
    assert!(looks.color[0] > 150 || looks.color[2] > 150, "{looks:?}");
}

#[test]
fn what_is_small_has_itself_as_webp() {
    let (_, _, files) = made(&jpeg(&scene(500, 400), None));
    let (webp, jpeg) = (Kind::Webp, Kind::Jpeg);
    assert_eq!(names(&files), [(0, jpeg), (500, webp), (320, webp), (320, jpeg)]);
    let (_, _, files) = made(&png(&scene(320, 1).into()));
    assert_eq!(names(&files), [(0, Kind::Png), (320, webp)]);
    let (_, _, files) = made(&png(&scene(1, 1).into()));
    assert_eq!(names(&files), [(0, Kind::Png), (1, webp)]);
}

#[test]
fn what_lay_on_its_side_stands_and_says_nothing_of_where_it_was() {
    for (orientation, corner) in [(1, (2, 2)), (3, (97, 57)), (6, (57, 2)), (8, (2, 97))] {
        let (probed, _, files) = made(&turned(&scene(100, 60), orientation));
        let is_turned = orientation > 4;
        assert_eq!((probed.width, probed.height), if is_turned { (60, 100) } else { (100, 60) });
        for file in &files {
            near(*checked(file).get_pixel(corner.0, corner.1), [252, 20, 20]);
        }
    }
}

#[test]
fn colours_of_a_profile_are_shown_as_they_are_without() {
    let wide = ColorProfile::new_display_p3().encode().unwrap();
    let plain = RgbImage::from_pixel(64, 64, [200, 100, 100].into());
    let (_, _, files) = made(&jpeg(&plain, Some(wide)));
    for file in &files {
        // The same light in sRGB is a stronger red.
        near(*checked(file).get_pixel(32, 32), [213, 94, 97]);
        assert!(checked(file).get_pixel(32, 32).0[0] > 205);
    }
    // What says that it is sRGB is what it is, and what can't be read is nothing.
    for profile in [ColorProfile::new_srgb().encode().unwrap(), b"no profile at all".to_vec()] {
        let (_, looks, files) = made(&jpeg(&plain, Some(profile)));
        near(*checked(&files[0]).get_pixel(32, 32), [200, 100, 100]);
        assert!(looks.color[0].abs_diff(200) < 8, "{looks:?}");
    }
}

#[test]
fn what_can_be_seen_through_still_can() {
    let mut glass: RgbaImage = DynamicImage::from(scene(400, 100)).into_rgba8();
    for (x, _, pixel) in glass.enumerate_pixels_mut() {
        pixel.0[3] = if x < 200 { 0 } else { 255 };
    }
    let (_, looks, files) = made(&png(&glass.clone().into()));
    assert_eq!(
        names(&files),
        [(0, Kind::Png), (400, Kind::Webp), (320, Kind::Webp), (320, Kind::Png)]
    );
    for file in &files {
        let image = checked(file);
        assert!(image.get_pixel(10, 10).0[3] < 8);
        assert!(image.get_pixel(image.width() - 10, 10).0[3] > 247);
    }
    // Only what is seen has a colour.
    assert!(looks.color[2] > 120 && looks.color[0] < 60, "{looks:?}");
    let nothing = RgbaImage::from_pixel(8, 8, [1, 2, 3, 0].into());
    assert_eq!(made(&png(&nothing.into())).1.color, [255; 3]);
}

#[test]
fn all_that_a_png_can_be_becomes_eight_bits() {
    let scene = DynamicImage::from(scene(50, 50));
    for image in [
        DynamicImage::from(scene.to_luma8()),
        scene.to_luma_alpha8().into(),
        scene.to_rgb16().into(),
        scene.to_rgba16().into(),
        scene.to_luma16().into(),
    ] {
        let (_, _, files) = made(&png(&image));
        let seen = checked(&files[0]);
        assert_eq!(seen.get_pixel(3, 3), image.to_rgba8().get_pixel(3, 3));
    }
}

#[test]
fn what_has_lost_nothing_loses_nothing() {
    let scene = scene(700, 20);
    let mut lossless = Vec::new();
    WebPEncoder::new_lossless(&mut lossless)
        .encode(&scene, 700, 20, ExtendedColorType::Rgb8)
        .unwrap();
    let (_, _, files) = made(&lossless);
    assert_eq!(
        names(&files),
        [(0, Kind::Webp), (700, Kind::Webp), (640, Kind::Webp), (320, Kind::Webp)]
    );
    assert_eq!(checked(&files[0]), DynamicImage::from(scene).to_rgba8());
    // And what has is not blown up.
    let lossy = &files[1].1;
    assert!(header::is_lossless_webp(&files[0].1) && !header::is_lossless_webp(lossy));
    let (_, _, again) = made(lossy);
    assert!(!header::is_lossless_webp(&again[0].1));
}

#[test]
fn what_moves_stays_as_it_is_frame_for_frame() {
    let file = moving(5);
    let trailing = [&file[..], b"<script>alert(1)</script>"].concat();
    let (probed, looks, files) = made(&trailing);
    assert_eq!((probed.width, probed.height, probed.frames), (40, 30, 5));
    assert_eq!(names(&files), [(0, Kind::Gif)]);
    checked(&files[0]);
    assert!(looks.color[0] > 200, "{looks:?}");
    let read = |file: &[u8]| {
        let mut decoder = gif::DecodeOptions::new().read_info(Cursor::new(file.to_vec())).unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            let place = (frame.left, frame.top, frame.width, frame.height);
            frames.push((frame.delay, place, frame.buffer.to_vec()));
        }
        (decoder.repeat(), decoder.global_palette().map(<[u8]>::to_vec), frames)
    };
    assert_eq!(read(&files[0].1), read(&file));
    assert!(!files[0].1.windows(8).any(|part| part == b"<script>"));
    // One that stands still has likenesses as others have.
    assert_eq!(names(&made(&moving(1)).2), [(0, Kind::Gif), (40, Kind::Webp)]);
}

#[test]
fn what_is_too_much_is_refused_before_it_is_decoded() {
    let small = Limits { pixels: 10_000, frames: 3, ..Limits::default() };
    assert_eq!(refused(&jpeg(&scene(101, 100), None), &small), Why::TooManyPixels);
    assert_eq!(refused(&moving(4), &small), Why::TooManyFrames);
    assert!(probe(&moving(3), &small).is_ok());
    let tight = Limits { pixels: 3_000, ..Limits::default() };
    assert_eq!(refused(&moving(11), &tight), Why::TooManyPixels);
    let poor = Limits { memory: 17 * 1024 * 1024, ..Limits::default() };
    assert_eq!(refused(&png(&scene(300, 300).into()), &poor), Why::TooManyPixels);
    // A few bytes that say they are a picture of four thousand million pixels.
    let mut bomb = png(&scene(4, 4).into());
    bomb[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let checksum = crc(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&checksum);
    assert_eq!(refused(&bomb, &Limits::default()), Why::TooManyPixels);
}

/// As PNG wants it.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

#[test]
fn what_is_no_picture_or_half_of_one_is_refused() {
    let limits = Limits::default();
    assert_eq!(refused(b"", &limits), Why::Unsupported);
    assert_eq!(refused(b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", &limits), Why::Unsupported);
    let mut webp = Vec::new();
    WebPEncoder::new_lossless(&mut webp)
        .encode(&scene(90, 90), 90, 90, ExtendedColorType::Rgb8)
        .unwrap();
    for whole in [jpeg(&scene(90, 90), None), png(&scene(90, 90).into()), webp, moving(2)] {
        for part in [12, 20, 40, whole.len() / 2, whole.len() - 20] {
            assert_eq!(
                refused(&whole[..part], &limits),
                Why::Damaged,
                "{part} of {:?}",
                &whole[..12]
            );
        }
    }
    // Others would show the first of its frames, and it would stand still.
    let mut animated = Vec::new();
    let mut encoder = PngEncoder::new(&mut animated);
    drop(encoder.set_exif_metadata(SECRET.to_vec()));
    encoder.write_image(&scene(9, 9), 9, 9, ExtendedColorType::Rgb8).unwrap();
    let control = [&b"acTL"[..], &[0, 0, 0, 2, 0, 0, 0, 0]].concat();
    let chunk = [&[0, 0, 0, 8], &control[..], &crc(&control).to_be_bytes()].concat();
    animated.splice(33..33, chunk);
    assert_eq!(refused(&animated, &limits), Why::Unsupported);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is broken in it, it is made or refused; and what is made is as large as was said.
    #[test]
    fn what_is_damaged_somewhere_is_made_or_refused(
        which in 0..4_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut webp = Vec::new();
        let scene = scene(33, 21);
        WebPEncoder::new_lossless(&mut webp).encode(&scene, 33, 21, ExtendedColorType::Rgb8).unwrap();
        let files = [jpeg(&scene, None), png(&scene.into()), webp, moving(3)];
        let mut file = files[which].clone();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let limits = Limits { pixels: 1_000_000, ..Limits::default() };
        if let Ok(probed) = probe(&file, &limits) {
            let made = make(&file, &probed, &mut |head, _| {
                assert!(u64::from(head.width) * u64::from(head.height) <= limits.pixels);
                Ok(())
            });
            assert!(!matches!(made, Err(Stopped::Io(_))));
        }
    }
}
