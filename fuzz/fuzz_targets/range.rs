//! `Range` and `If-Range`. Lines: how many bytes the file has, its entity tag, `If-Range`, `Range`.
//!
//! Whatever is asked for is inside the file, and it is what was asked for.

#![no_main]

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use panel_fuzz::{lines, number};
use panel_gateway::fuzzing::{Asked, asked};

fuzz_target!(|data: &[u8]| {
    let [bytes, tag, condition, range] = lines(data);
    let bytes: u64 = number(std::str::from_utf8(bytes).unwrap_or_default());
    let field = |line: &[u8]| HeaderValue::from_bytes(line).ok().filter(|_| !line.is_empty());
    let (mut request, mut answer) = (HeaderMap::new(), HeaderMap::new());
    if let Some(tag) = field(tag) {
        answer.insert(header::ETAG, tag);
    }
    if let Some(condition) = field(condition) {
        request.insert(header::IF_RANGE, condition);
    }
    if let Some(range) = field(range.strip_suffix(b"\n").unwrap_or(range)) {
        request.insert(header::RANGE, range);
    }

    let got = asked(&request, &answer, bytes);

    let is_same = match request.get(header::IF_RANGE) {
        Some(condition) => answer.get(header::ETAG) == Some(condition),
        None => true,
    };
    let range = request.get(header::RANGE).and_then(|range| range.to_str().ok());
    let meant = range.filter(|_| is_same).and_then(|range| meant(range, bytes.into()));
    match (&got, meant) {
        (Asked::Part(part), Some(meant)) => {
            assert!(part.start < part.end && part.end <= bytes, "{part:?} is not in the file");
            assert_eq!((part.start.into(), part.end.into()), meant, "not what was asked for");
        }
        (Asked::Nothing, Some((start, end))) => assert!(start >= end, "{start} to {end} is there"),
        (Asked::Whole, Some((start, end))) => assert!(start >= end, "it was ignored"),
        (Asked::Whole, None) => {}
        (_, None) => panic!("{got:?} was not asked for"),
    }
});

/// What a range means for a file of so many bytes: from there, and to before there (RFC 9110, 14.1.2).
fn meant(range: &str, bytes: u128) -> Option<(u128, u128)> {
    let range = range.strip_prefix("bytes=")?.trim();
    let number = |text: &str| {
        let digits = text.bytes().map(|byte| byte.is_ascii_digit().then(|| byte - b'0'));
        digits.collect::<Option<Vec<u8>>>().filter(|digits| !digits.is_empty()).map(|digits| {
            let add = |sum: u128, digit: u8| sum.saturating_mul(10).saturating_add(digit.into());
            digits.into_iter().fold(0, add)
        })
    };
    let (first, last) = range.split_once('-')?;
    match (first, last) {
        ("", last) => number(last).map(|last| (bytes - last.min(bytes), bytes)),
        (first, "") => number(first).map(|first| (first, bytes)),
        (first, last) => {
            let end = number(last)?.saturating_add(1);
            number(first).map(|first| (first, end.min(bytes)))
        }
    }
}
