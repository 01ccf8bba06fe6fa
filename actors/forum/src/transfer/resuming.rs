//! What there is of a file whose writing was cut off.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;

use panel_kernel::ids::Id;
use serde::Deserialize;

use super::TransferError;

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Resumed {
    /// Lines that are kept.
    pub(super) lines: u64,
    /// Of them, posts.
    pub(super) posts: u64,
    /// Whether what comes before threads is there.
    pub(super) has_head: bool,
    /// The last thread that is there with all its posts; 0: none.
    pub(super) thread: i64,
    /// People who were named.
    pub(super) people: HashSet<Id>,
}

/// What is looked at of a line.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    id: Option<Id>,
}

impl Resumed {
    /// Reads what there is, and cuts it off before the last thread that was begun: of that, it is not known
    /// whether it is whole.
    pub(super) fn read(partial: &Path) -> Result<Self, TransferError> {
        let file = match OpenOptions::new().read(true).write(true).open(partial) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let mut reader = BufReader::new(file);
        let (mut all, mut kept) = (Self::default(), Self::default());
        let (mut read, mut keep, mut begun, mut line) = (0_u64, 0_u64, 0_i64, Vec::new());
        loop {
            line.clear();
            let length = reader.read_until(b'\n', &mut line)?;
            // One that was cut off has no end.
            if length == 0 || !line.ends_with(b"\n") {
                break;
            }
            let Ok(seen) = serde_json::from_slice::<Line>(&line) else { break };
            match (seen.kind.as_str(), seen.id) {
                ("thread", Some(id)) => {
                    // Everything before it is whole, people included that it names.
                    (all.has_head, all.thread, keep) = (true, begun, read);
                    begun = id.raw();
                    (kept.lines, kept.posts) = (all.lines, all.posts);
                    (kept.has_head, kept.thread) = (all.has_head, all.thread);
                    kept.people.extend(all.people.drain());
                }
                ("author", Some(id)) => drop(all.people.insert(id)),
                ("post", _) => all.posts += 1,
                // After threads comes what is quickly written again.
                ("reference" | "merged" | "end", _) if begun != 0 => {
                    (kept.has_head, kept.thread) = (true, begun);
                    (kept.lines, kept.posts) = (all.lines, all.posts);
                    kept.people.extend(all.people.drain());
                    keep = read;
                    break;
                }
                _ => {}
            }
            all.lines += 1;
            read += u64::try_from(length).unwrap_or(u64::MAX);
        }
        reader.into_inner().set_len(keep)?;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of a file: lines, the last thread, and how many people.
    fn kept(text: &str) -> (u64, i64, usize, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f.partial");
        std::fs::write(&file, text).unwrap();
        let resumed = Resumed::read(&file).unwrap();
        assert_eq!(resumed.has_head, resumed.lines > 0);
        let left = std::fs::read_to_string(&file).unwrap();
        assert_eq!(u64::try_from(left.lines().count()).unwrap(), resumed.lines);
        (resumed.lines, resumed.thread, resumed.people.len(), left)
    }

    #[test]
    fn it_goes_on_after_the_last_thread_that_is_whole() {
        let line = |kind: &str, id: i64| {
            format!("{{\"type\":\"{kind}\",\"id\":\"{}\"}}\n", Id::from_raw(id))
        };
        assert_eq!(kept("").0, 0);
        let head = format!("{{\"type\":\"forum\"}}\n{}", line("category", 1));
        assert_eq!(kept(&head).0, 0, "categories may be missing");
        let first = format!("{head}{}{}", line("author", 7), line("thread", 2));
        assert_eq!(kept(&first), (3, 0, 1, format!("{head}{}", line("author", 7))));
        let second =
            format!("{first}{}{}{}", line("post", 3), line("author", 8), line("thread", 4));
        let (lines, thread, people, _) = kept(&format!("{second}{}", line("author", 9)));
        assert_eq!((lines, thread, people), (6, 2, 2), "nine is named again with what names it");
        let cut = format!("{second}{}", &line("post", 5)[..9]);
        assert_eq!(kept(&cut).1, 2);
        let last = format!("{second}{{\"type\":\"merged\"}}\n{{\"type\":\"end\"");
        assert_eq!((kept(&last).0, kept(&last).1), (7, 4));
        let (folder, post) = (tempfile::tempdir().unwrap(), line("post", 5));
        let file = folder.path().join("f.partial");
        std::fs::write(&file, format!("{second}{post}{}{post}", line("thread", 6))).unwrap();
        assert_eq!(Resumed::read(&file).unwrap().posts, 2, "of threads that are whole");
    }
}
