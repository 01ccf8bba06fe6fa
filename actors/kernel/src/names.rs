//! By what names are looked up.

use unicode_normalization::UnicodeNormalization as _;

/// Under which a name or an address is unique and found: without case, compatibility variants
/// folded, so that look-alikes of one spelling are one.
#[must_use]
pub fn lookup_key(text: &str) -> String {
    text.trim().nfkc().flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_have_one_key() {
        for name in ["Ann", " ann ", "ANN", "Ａｎｎ"] {
            assert_eq!(lookup_key(name), "ann", "{name:?}");
        }
        assert_ne!(lookup_key("ann"), lookup_key("anne"));
    }
}
