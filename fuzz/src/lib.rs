//! What the targets share: how inputs are read. Most are texts of several lines, so that people can
//! read what was found, and write seeds.

use std::str::FromStr;

/// The first lines of an input, and as the last of these all the rest. Those that are missing are empty.
#[must_use]
pub fn lines<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut lines = data.splitn(N, |byte| *byte == b'\n');
    std::array::from_fn(|_| lines.next().unwrap_or_default())
}

/// The same of a text that may end as files do.
#[must_use]
pub fn text_lines<const N: usize>(data: &[u8]) -> Option<[&str; N]> {
    let data = data.strip_suffix(b"\n").unwrap_or(data);
    let text = std::str::from_utf8(data).ok()?;
    let mut lines = text.splitn(N, '\n');
    Some(std::array::from_fn(|_| lines.next().unwrap_or_default()))
}

/// The number that a text is, or 0.
#[must_use]
pub fn number<T: FromStr + Default>(text: &str) -> T {
    text.trim().parse().unwrap_or_default()
}

/// A text in which something was changed. `edits` are words: `3=x` puts an `x` in the place of the
/// fourth character, `3+x` before it, `3-` takes it out, and `3/` all that follows as well.
#[must_use]
pub fn edited(text: &str, edits: &str) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for edit in edits.split(' ') {
        let digits = edit.bytes().take_while(u8::is_ascii_digit).count();
        let at = number::<usize>(&edit[..digits]) % (text.len() + 1);
        let mut rest = edit[digits..].chars();
        match (rest.next(), rest.next()) {
            (Some('+'), Some(new)) => text.insert(at, new),
            (Some('='), Some(new)) if at < text.len() => text[at] = new,
            (Some('-'), _) if at < text.len() => drop(text.remove(at)),
            (Some('/'), _) => text.truncate(at),
            _ => {}
        }
    }
    text.into_iter().collect()
}
