//! Page cursors: the sort key of the last item shown, authenticated, so that a client can
//! neither read a meaning into them nor make one up.
//!
//! A cursor is bound to the list it came from (its `scope`: the route's name and the filters
//! that shape it); one carried over to another list is refused like a forged one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keys::{ClusterKey, SealingKey};

/// The text is not a cursor this cluster made for this list.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the cursor is not one this list gave")]
pub struct BadCursor;

/// Makes and reads cursors.
#[derive(Clone, Debug)]
pub struct Cursors(SealingKey);

impl Cursors {
    /// With the cluster's key, so that every node reads every node's cursors.
    #[must_use]
    pub fn new(key: &ClusterKey) -> Self {
        Self(key.derive("cursor"))
    }

    /// The cursor after the item with sort key `key`.
    #[must_use]
    pub fn encode(&self, scope: &str, key: &[i64]) -> String {
        let mut bytes: Vec<u8> = key.iter().flat_map(|part| part.to_be_bytes()).collect();
        let tag = self.0.tag(&[scope.as_bytes(), &bytes]);
        bytes.extend_from_slice(&tag);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The sort key in `text`, which must have exactly `N` parts.
    ///
    /// # Errors
    /// [`BadCursor`] for anything [`Cursors::encode`] did not make for the same scope.
    pub fn decode<const N: usize>(&self, scope: &str, text: &str) -> Result<[i64; N], BadCursor> {
        if text.len() > 256 {
            return Err(BadCursor);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadCursor)?;
        let (payload, tag) = bytes.split_at_checked(N * 8).ok_or(BadCursor)?;
        let expected = self.0.tag(&[scope.as_bytes(), payload]);
        if !crate::keys::constant_time_eq(&expected, tag) {
            return Err(BadCursor);
        }
        let mut key = [0_i64; N];
        for (part, chunk) in key.iter_mut().zip(payload.chunks_exact(8)) {
            *part = i64::from_be_bytes(chunk.try_into().map_err(|_| BadCursor)?);
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_list_reads_a_cursor() {
        let cursors = Cursors::new(&ClusterKey::from_bytes([1; 32]));
        let text = cursors.encode("threads", &[i64::MIN, i64::MAX]);
        assert_eq!(cursors.decode("threads", &text), Ok([i64::MIN, i64::MAX]));
        assert_eq!(cursors.decode::<2>("posts", &text), Err(BadCursor));
        assert_eq!(cursors.decode::<1>("threads", &text), Err(BadCursor));
        assert_eq!(cursors.decode::<3>("threads", &text), Err(BadCursor));
        for bad in ["", "!", "AAAA", &text[1..], &"A".repeat(10_000)] {
            assert_eq!(cursors.decode::<2>("threads", bad), Err(BadCursor));
        }
    }
}
