//! What changed from one text to another, word by word.

use std::time::Duration;

use panel_kernel::http::json_bytes;
use serde::Serialize;
use similar::{Algorithm, ChangeTag, TextDiff};
use utoipa::ToSchema;

/// After so long the rest counts as changed as a whole.
const PATIENCE: Duration = Duration::from_millis(100);

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// It is in both.
    Equal,
    /// It is in the later one only.
    Insert,
    /// It is in the earlier one only.
    Delete,
}

/// A piece of text, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Change {
    /// What became of it.
    pub op: Op,
    /// As it is in one of them, or both.
    pub text: String,
}

/// The pieces in order: those that are equal or deleted make the earlier text, those that are equal or
/// inserted the later one.
#[must_use]
pub fn changes(earlier: &str, later: &str) -> Vec<Change> {
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Myers)
        .timeout(PATIENCE)
        .diff_unicode_words(earlier, later);
    let mut changes: Vec<Change> = Vec::new();
    for change in diff.iter_all_changes() {
        let op = match change.tag() {
            ChangeTag::Equal => Op::Equal,
            ChangeTag::Insert => Op::Insert,
            ChangeTag::Delete => Op::Delete,
        };
        match changes.last_mut() {
            Some(last) if last.op == op => last.text.push_str(change.value()),
            _ => changes.push(Change { op, text: change.value().to_owned() }),
        }
    }
    changes
}

/// The same, if it takes no more bytes than that as JSON; else all of the earlier text deleted, and all of the later one
/// inserted.
#[must_use]
pub fn changes_within(earlier: &str, later: &str, most: usize) -> Vec<Change> {
    let changes = changes(earlier, later);
    let bytes = |change: &Change| json_bytes(&change.text) + AROUND;
    if changes.iter().map(bytes).sum::<usize>() <= most {
        return changes;
    }
    let whole = |op, text: &str| Change { op, text: text.to_owned() };
    vec![whole(Op::Delete, earlier), whole(Op::Insert, later)]
}

/// What is around the text of a piece in JSON, in bytes.
const AROUND: usize = 28;

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    fn side(changes: &[Change], left_out: Op) -> String {
        changes.iter().filter(|it| it.op != left_out).map(|it| it.text.as_str()).collect()
    }

    #[test]
    fn words_are_told_apart() {
        let pieces: Vec<(Op, &str)> = vec![
            (Op::Equal, "the "),
            (Op::Delete, "quick"),
            (Op::Insert, "slow"),
            (Op::Equal, " fox\n"),
        ];
        let found = changes("the quick fox\n", "the slow fox\n");
        let found: Vec<(Op, &str)> = found.iter().map(|it| (it.op, it.text.as_str())).collect();
        assert_eq!(found, pieces);
        assert_eq!(changes("", ""), []);
    }

    #[test]
    fn long_texts_that_have_nothing_in_common_are_compared_in_bounded_time() {
        let text = |seed: u64| {
            let mut state = seed;
            let mut word = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((state >> 33) % 1_000).to_string()
            };
            (0..8_000).map(|_| word()).collect::<Vec<String>>().join(" ")
        };
        let (earlier, later) = (text(1), text(2));
        let begun = Instant::now();
        let found = changes(&earlier, &later);
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
        assert_eq!((side(&found, Op::Insert), side(&found, Op::Delete)), (earlier, later));
    }

    #[test]
    fn what_would_be_too_long_is_told_as_a_whole() {
        let (earlier, later) = ("a b ".repeat(100), "a c ".repeat(100));
        assert!(changes_within(&earlier, &later, 100_000).len() > 100);
        let whole = changes_within(&earlier, &later, 1_000);
        assert_eq!(whole.len(), 2);
        assert_eq!((side(&whole, Op::Insert), side(&whole, Op::Delete)), (earlier, later));
    }

    proptest! {
        #[test]
        fn both_texts_are_in_what_is_told(earlier in "[ab \n漢]{0,60}", later in "[ab \n漢]{0,60}") {
            let found = changes(&earlier, &later);
            prop_assert_eq!(side(&found, Op::Insert), earlier);
            prop_assert_eq!(side(&found, Op::Delete), later);
        }
    }
}
