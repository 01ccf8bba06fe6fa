//! The process of a picture: what it makes, what it may take, and how it ends.

use std::path::Path;

use image::DynamicImage;
use panel_harness::node::program;
use panel_harness::pictures::{jpeg, noise, png, webp};
use panel_pictures::{Ended, FileHead, Limits, Looks, Next, Order, Probe, Process, Program, Why};
use rustix::process::{Pid, Signal, kill_process};

async fn begun(file: &[u8], limits: Limits) -> Result<(Process, Probe), Ended> {
    let order = Order { bytes: file.len() as u64, limits };
    let mut process = Process::start(&Program::at(&program()), &order).await?;
    process.feed(file).await?;
    let probe = process.probe().await?;
    Ok((process, probe))
}

type Made = (Looks, Vec<(FileHead, Vec<u8>)>);

async fn ended(process: &mut Process) -> Result<Made, Ended> {
    let mut files = Vec::new();
    loop {
        match process.next().await? {
            Next::Made(looks) => return Ok((looks, files)),
            Next::File(head) => {
                let mut file = Vec::new();
                while let Some(piece) = process.piece().await? {
                    file.extend(piece);
                }
                files.push((head, file));
            }
        }
    }
}

/// What is called enough is enough, for pixels of the worst kind: nothing else is given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_picture_is_said_to_need_is_enough() {
    let scene = noise(1_000, 750, 7);
    let deep = DynamicImage::from(scene.clone()).into_rgba16();
    for file in [
        jpeg(&scene),
        turned(&jpeg(&scene)),
        png(&scene.clone().into()),
        png(&deep.into()),
        webp(&scene),
    ] {
        let (mut process, probe) = begun(&file, Limits::default()).await.unwrap();
        process.go(probe.memory).await.unwrap();
        let (_, files) = ended(&mut process).await.unwrap();
        assert!(files.len() >= 4, "{probe:?}");
        for (head, file) in &files {
            let image = image::load_from_memory(file).unwrap();
            assert_eq!((head.width, head.height), (image.width(), image.height()));
        }
    }
}

/// A JPEG that lies on its side.
fn turned(file: &[u8]) -> Vec<u8> {
    let exif =
        b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    [&file[..2], exif, &file[2..]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_needs_more_than_it_may_ends_and_nothing_else_does() {
    let file = png(&noise(1_500, 1_500, 1).into());
    let (mut process, probe) = begun(&file, Limits::default()).await.unwrap();
    assert!(probe.memory > 15 * 1_500 * 1_500);
    process.go(0).await.unwrap();
    let refused = ended(&mut process).await.unwrap_err();
    assert!(matches!(&refused, Ended::Refused(it) if it.why == Why::TooManyPixels), "{refused:?}");
    // Of time: noise that can be seen through, and as WebP takes seconds to be packed.
    let mut glass = DynamicImage::from(noise(1_280, 3_000, 1)).into_rgba8();
    let mut alpha = 1_u8;
    for pixel in glass.pixels_mut() {
        alpha = alpha.wrapping_mul(5).wrapping_add(pixel.0[0] | 1);
        pixel.0[3] = alpha;
    }
    let limits = Limits { seconds: 1, ..Limits::default() };
    let (mut process, probe) = begun(&png(&glass.into()), limits).await.unwrap();
    process.go(probe.memory).await.unwrap();
    let refused = ended(&mut process).await.unwrap_err();
    assert!(matches!(&refused, Ended::Refused(it) if it.why == Why::TooSlow), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_has_given_up_what_it_does_not_need() {
    let file = jpeg(&noise(300, 300, 1));
    let (process, probe) = begun(&file, Limits::default()).await.unwrap();
    assert_eq!((probe.width, probe.height), (300, 300));
    let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
    if modules.split(',').any(|module| module == "landlock") {
        assert!(process.is_confined());
    }
    let about = Path::new("/proc").join(process.id().unwrap().to_string());
    let limits = std::fs::read_to_string(about.join("limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    // Nothing can be opened, also where something is closed: no number is left for it.
    assert_eq!(limit("Max open files"), "0");
    assert_eq!(limit("Max processes"), "0");
    assert_eq!(limit("Max file size"), "0");
    assert_eq!(limit("Max core file size"), "0");
    assert_eq!(limit("Max cpu time"), "30");
    assert!(limit("Max address space").parse::<u64>().unwrap() < 2 << 30, "{limits}");
    let status = std::fs::read_to_string(about.join("status")).unwrap();
    assert!(status.lines().any(|line| line == "NoNewPrivs:\t1"), "{status}");
    assert_eq!(std::fs::read(about.join("environ")).unwrap(), b"");
    // What is open is what it talks through, and perhaps what a tool that runs tests has open for its own.
    for open in std::fs::read_dir(about.join("fd")).unwrap() {
        let what = std::fs::read_link(open.unwrap().path()).unwrap();
        let what = what.to_string_lossy().into_owned();
        assert!(what.starts_with("pipe:") || what.starts_with("/dev/"), "{what}");
    }
    // And goes with whoever started it.
    drop(process);
    panel_harness::eventually("it is gone", std::time::Duration::from_secs(10), async || {
        let state = std::fs::read_to_string(about.join("stat")).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") { Ok(()) } else { Err(state) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn how_a_process_ended_is_known() {
    let file = jpeg(&noise(300, 300, 1));
    let (mut process, probe) = begun(&file, Limits::default()).await.unwrap();
    signal(process.id().unwrap(), Signal::KILL);
    drop(process.go(probe.memory).await);
    assert!(matches!(ended(&mut process).await, Err(Ended::Killed)));
    // What can't be made says so before anything is decoded.
    let small = Limits { pixels: 100, ..Limits::default() };
    let refused = begun(&file, small).await.unwrap_err();
    assert!(matches!(&refused, Ended::Refused(it) if it.why == Why::TooManyPixels), "{refused:?}");
    // A file that is shorter than it was said to be, and then nothing.
    let order = Order { bytes: 1_000_000, limits: Limits::default() };
    let nobody = Program::at(Path::new("/bin/true"));
    let probed = async {
        let mut process = Process::start(&nobody, &order).await?;
        process.probe().await
    };
    assert!(matches!(probed.await, Err(Ended::Crashed(_) | Ended::Killed)));
    let none = Program::at(Path::new("/nowhere/panel-node"));
    assert!(matches!(Process::start(&none, &order).await, Err(Ended::Io(_))));
}

/// Sends a signal to a process.
pub(crate) fn signal(process: u32, signal: Signal) {
    let process = Pid::from_raw(process.cast_signed()).unwrap();
    kill_process(process, signal).unwrap();
}
