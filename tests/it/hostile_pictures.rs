//! Files that were made to break what reads them: pictures that are cut, changed, spliced and filled up, the
//! same ones each time. Whatever they are, the process of a picture ends as it is to, and says what is made.

use std::collections::BTreeMap;
use std::io::Cursor;

use futures::future::join_all;
use image::codecs::gif::{GifEncoder, Repeat};
use image::{DynamicImage, Frame};
use panel_harness::node::program;
use panel_harness::pictures::{jpeg, noise, png, webp};
use panel_pictures::{Ended, Kind, Limits, Next, Order, Process, Program};

/// Changed files of each kind.
const EACH: u32 = 250;
/// As many at a time as there may be processors.
const AT_ONCE: usize = 4;
/// What one is allowed here: a few times what the pictures need that these are made of.
const LIMITS: Limits =
    Limits { pixels: 200_000, frames: 20, memory: 96 * 1024 * 1024, seconds: 20 };

/// Numbers that are the same each time (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// One below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}

/// One that moves.
fn gif() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    encoder.set_repeat(Repeat::Infinite).unwrap();
    for seed in 0..3 {
        let frame = DynamicImage::from(noise(40, 30, seed)).into_rgba8();
        encoder.encode_frame(Frame::new(frame)).unwrap();
    }
    drop(encoder);
    file
}

/// One in sixteen bits, that can be seen through.
fn deep() -> Vec<u8> {
    png(&DynamicImage::from(noise(50, 40, 3)).into_rgba16().into())
}

/// Grey, and of as few bytes as there can be.
fn grey() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(noise(60, 20, 5))
        .into_luma8()
        .write_to(&mut file, image::ImageFormat::Jpeg)
        .unwrap();
    file.into_inner()
}

/// The file with something of it changed.
fn changed(file: &[u8], other: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut file = file.to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(file.len());
        let byte = numbers.next().to_le_bytes()[0];
        match numbers.below(8) {
            // A bit, a byte, a word that says how much there is of something.
            0 => file[at] ^= 1 << (byte & 7),
            1 => file[at] = byte,
            2 | 3 => {
                let lengths: [&[u8]; 6] = [
                    &[0xff; 4],
                    &[0; 4],
                    &[0x7f, 0xff, 0xff, 0xff],
                    &[0xff, 0xff, 0, 0],
                    &[0, 0, 0, 1],
                    &[0x80, 0, 0, 0],
                ];
                let with = lengths[numbers.below(lengths.len())];
                let end = (at + with.len()).min(file.len());
                file[at..end].copy_from_slice(&with[..end - at]);
            }
            // The beginning, where it says what it is, more often than the rest.
            4 => {
                let at = numbers.below(file.len().min(64));
                file[at] = byte;
            }
            5 => file.truncate(at.max(1)),
            6 => {
                let piece: Vec<u8> = file[at..(at + 200).min(file.len())].to_vec();
                let to = numbers.below(file.len());
                file.splice(to..to, piece);
            }
            _ => {
                let from = numbers.below(other.len());
                let piece = &other[from..(from + 400).min(other.len())];
                file.splice(at..at, piece.iter().copied());
            }
        }
    }
    file
}

/// What became of it; made files are what they say.
async fn outcome(file: &[u8]) -> Result<&'static str, Ended> {
    let order = Order { bytes: file.len() as u64, limits: LIMITS };
    let mut process = Process::start(&Program::at(&program()), &order).await?;
    process.feed(file).await?;
    let probe = process.probe().await?;
    assert!(u64::from(probe.width) * u64::from(probe.height) <= LIMITS.pixels, "{probe:?}");
    assert!(probe.memory <= LIMITS.memory, "{probe:?}");
    process.go(probe.memory).await?;
    loop {
        let Next::File(head) = process.next().await? else { return Ok("made") };
        let mut made = Vec::new();
        while let Some(piece) = process.piece().await? {
            made.extend(piece);
        }
        assert_eq!(Kind::of(&made), Some(head.kind), "{head:?}");
        let image = image::load_from_memory(&made).unwrap();
        assert_eq!((image.width(), image.height()), (head.width, head.height));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_file_is_its_process_ends_as_it_is_to() {
    let scene = noise(48, 36, 1);
    let whole = [jpeg(&scene), grey(), png(&scene.clone().into()), deep(), webp(&scene), gif()];
    let mut counts: BTreeMap<&'static str, u32> = BTreeMap::new();
    for (at, file) in whole.iter().enumerate() {
        assert_eq!(outcome(file).await.unwrap(), "made");
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ (at as u64 + 1));
        let other = &whole[(at + 1) % whole.len()];
        let files: Vec<Vec<u8>> = (0..EACH).map(|_| changed(file, other, &mut numbers)).collect();
        for (part, files) in files.chunks(AT_ONCE).enumerate() {
            let outcomes = join_all(files.iter().map(|file| outcome(file))).await;
            for (number, outcome) in outcomes.into_iter().enumerate() {
                let what = match outcome {
                    Ok(what) => what,
                    Err(Ended::Refused(_)) => "refused",
                    Err(Ended::Crashed(_)) => "crashed",
                    Err(other) => panic!("file {} of {at}: {other:?}", part * AT_ONCE + number),
                };
                *counts.entry(what).or_default() += 1;
            }
        }
    }
    // They were neither all as they had been, nor all nonsense; and no decoder fell over.
    let of = |what: &str| counts.get(what).copied().unwrap_or_default();
    assert!(of("made") > 60 && of("refused") > 300, "{counts:?}");
    assert_eq!(of("crashed"), 0, "{counts:?}");
}
