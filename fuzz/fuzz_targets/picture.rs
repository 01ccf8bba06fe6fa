//! A file that somebody sends as a picture. Not a text: the file as it is.
//!
//! Whatever it is, it is refused, or becomes files that are what they say, no larger than was allowed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use panel_pictures::{Kind, Limits, MAIN, Stopped, WIDTHS, make, probe};

const LIMITS: Limits = Limits { pixels: 40_000, frames: 8, memory: 64 * 1024 * 1024, seconds: 10 };

fuzz_target!(|data: &[u8]| {
    let Ok(probe) = probe(data, &LIMITS) else { return };
    let (width, height) = (u64::from(probe.width), u64::from(probe.height));
    assert!(width * height <= LIMITS.pixels, "{probe:?} is too large");
    assert!(probe.frames <= LIMITS.frames, "{probe:?} moves too long");
    assert!(probe.memory <= LIMITS.memory, "{probe:?} needs too much");
    assert_eq!(Kind::of(data), Some(probe.kind), "it is of another kind");

    let mut mains = 0;
    let made = make(data, &probe, &mut |head, bytes| {
        assert_eq!(Kind::of(bytes), Some(head.kind), "{head:?} is not what it says");
        let is_main = head.size == MAIN;
        mains += u32::from(is_main);
        assert!(is_main || WIDTHS.contains(&head.size) || head.size == probe.width);
        assert!(head.width > 0 && head.height > 0, "{head:?} is nothing");
        Ok(())
    });
    match made {
        Ok(_) => assert_eq!(mains, 1, "the whole of it is made once"),
        Err(Stopped::Refused(_)) => {}
        Err(Stopped::Io(error)) => panic!("{error}"),
    }
});
