//! What a picture takes from the request to the answer, against the libraries alone; and what one takes that is too much.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _, RgbImage};
use panel_harness::pictures::{jpeg, processes, webp};
use panel_harness::{Backend, Node, Session};
use panel_pictures::{Limits, make, probe};

use crate::report::median;

const GOAL: f64 = 1.2;
const ROUTE: &str = "/api/v2/cms/media";

/// Something like a photograph: large soft shapes, and the noise of a sensor.
fn photograph(width: u32, height: u32) -> RgbImage {
    let mut state = 9_u32;
    RgbImage::from_fn(width, height, |x, y| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = f64::from(state % 13) - 6.0;
        let (x, y) = (f64::from(x), f64::from(y));
        let channel = |value: f64| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
            let byte = (value + noise).clamp(0.0, 255.0) as u8;
            byte
        };
        let red = channel(((x / 300.0).sin() + (y / 200.0).cos()).mul_add(60.0, 120.0));
        let green = channel((x / 150.0 + y / 400.0).cos().mul_add(60.0, 110.0));
        let blue = channel(((x + y) / 500.0).sin().mul_add(80.0, 120.0));
        [red, green, blue].into()
    })
}

/// Packed as fast as can be: the largest have many pixels.
fn png(image: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = PngEncoder::new_with_quality(
        Cursor::new(&mut file),
        CompressionType::Fast,
        FilterType::Adaptive,
    );
    encoder.write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8).unwrap();
    file
}

/// The same JPEG in another file, of which nobody knows yet that it is the same.
fn anew(file: &[u8], number: u32) -> Vec<u8> {
    let comment = [&[0xff, 0xfe, 0, 6][..], &number.to_be_bytes()].concat();
    [&file[..2], &comment, &file[2..]].concat()
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// Measures, and prints two tables.
pub(crate) async fn run(rounds: usize) {
    println!(
        "\n### pictures\n\n| from the request to the answer, one at a time | libraries alone ms | node ms | ratio | goal |\n\
         |---|---|---|---|---|"
    );
    let photograph = jpeg(&photograph(4_000, 3_000));
    let mut costly = None;
    for (name, backend) in [("SQLite", Backend::Sqlite), ("PostgreSQL", Backend::Postgres)] {
        let database = backend.database().await;
        let node = Node::builder().database(&database).env("PANEL_LIMITS__ENABLED", "false");
        let node = node.start().await;
        let root = node.admin("root").await;
        rated(name, &root, &photograph, rounds.min(15)).await;
        if backend == Backend::Sqlite {
            costly = Some(bombs(&node, &root).await);
        }
    }
    let Some((lines, grown)) = costly else { return };
    println!(
        "\n| what is sent | bytes | answer | ms | its process, at most, MiB (program included) |\n|---|---|---|---|---|"
    );
    for line in &lines {
        println!("{line}");
    }
    println!(
        "\nMemory for pixels is `cms.media.memory_bytes`, 512 MiB here. The node itself has grown by {grown} MiB over all of them."
    );
}

/// A photograph of 12 megapixels, to all of its sizes.
async fn rated(name: &str, root: &Session, photograph: &[u8], rounds: usize) {
    let (mut alone, mut through) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let file = anew(photograph, u32::try_from(round).unwrap());
        let begun = Instant::now();
        let probed = probe(&file, &Limits::default()).unwrap();
        make(&file, &probed, &mut |_, _| Ok(())).unwrap();
        let (library, begun) = (milliseconds(begun), Instant::now());
        let answer = root.post(ROUTE).body("image/jpeg", file).await;
        assert!(answer.status.is_success(), "{answer:?}");
        // The first of each warms up.
        if round > 0 {
            alone.push(library);
            through.push(milliseconds(begun));
        }
    }
    let ratio = median(through.iter().zip(&alone).map(|(one, other)| one / other).collect());
    let verdict = if ratio <= GOAL { "reached" } else { "**short**" };
    println!(
        "| JPEG of 12 megapixels, {} MB, to seven files, {name} | {:.0} | {:.0} | **{ratio:.2}** | ≤ {GOAL} {verdict} |",
        photograph.len() / 1_000_000,
        median(alone),
        median(through),
    );
}

/// Files that are made to cost as much as they can: a line for each, and by how many MiB the node has grown.
async fn bombs(node: &Node, root: &Session) -> (Vec<String>, u64) {
    let flat = |edge: u32| RgbImage::from_pixel(edge, edge, [40, 90, 160].into());
    let half = jpeg(&photograph(3_000, 2_000));
    let mut said = png(&flat(64));
    said[16..24].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&said[12..29]);
    said[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    let files: [(&str, Vec<u8>); 7] = [
        ("PNG that says it has four thousand million pixels", said),
        ("PNG of 144 megapixels, one colour", png(&flat(12_000))),
        ("PNG of 49 megapixels, one colour", png(&flat(7_000))),
        ("JPEG of 49 megapixels, one colour", jpeg(&flat(7_000))),
        ("WebP of 25 megapixels, without loss", webp(&flat(5_000))),
        ("JPEG of 6 megapixels, cut in half", half[..half.len() / 2].to_vec()),
        ("25 MB of nothing", vec![0; 25_000_000]),
    ];
    let mut lines = Vec::new();
    let before = node.resident_bytes();
    for (name, file) in files {
        let bytes = file.len();
        let watch = Watch::begin(node.pid());
        let begun = Instant::now();
        let answer = root.post(ROUTE).body("image/png", file).await;
        let taken = milliseconds(begun);
        let peak = watch.ended();
        let code = if answer.status.is_success() {
            String::new()
        } else {
            let problem = answer.problem();
            problem.errors.first().map_or_else(String::new, |error| format!(" {}", error.code))
        };
        lines.push(format!(
            "| {name} | {} | {}{code} | {taken:.0} | {} |",
            bytes,
            answer.status.as_u16(),
            peak / (1024 * 1024),
        ));
    }
    let grown = node.resident_bytes().saturating_sub(before) / (1024 * 1024);
    (lines, grown)
}

/// Looks for the processes of pictures of a node, and what they have at most.
struct Watch {
    ends: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn begin(node: u32) -> Self {
        let (ends, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ending, highest) = (Arc::clone(&ends), Arc::clone(&peak));
        let thread = std::thread::spawn(move || {
            while !ending.load(Ordering::Relaxed) {
                highest.fetch_max(largest_child(node), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { ends, peak, thread }
    }

    fn ended(self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.peak.load(Ordering::Relaxed)
    }
}

/// The most memory that any process of a picture of this node has had, in bytes.
fn largest_child(process: u32) -> u64 {
    let resident = |child: u32| {
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|size| size * 1_024)
    };
    processes(process).into_iter().filter_map(resident).max().unwrap_or(0)
}
