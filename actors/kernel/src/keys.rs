//! The cluster key: 32 random bytes that all nodes share and nobody else has. It seals what
//! the database must not show (signing keys), and authenticates what clients carry for us
//! (cursors).
//!
//! Each purpose has its own key, derived with HKDF-SHA-256 (RFC 5869), so that a text sealed
//! for one purpose can't be passed off as another. Sealing is AES-256-GCM with a random
//! 96-bit nonce in front.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hkdf, hmac};
use zeroize::Zeroizing;

use crate::ids::random_bytes;

const KEY_BYTES: usize = 32;

/// What was sealed can't be opened: another key, another purpose, or changed bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("sealed data can't be opened with this key")]
pub struct CantOpen;

/// The key all nodes of a cluster share. Cheap to clone.
#[derive(Clone)]
pub struct ClusterKey(Arc<Zeroizing<[u8; KEY_BYTES]>>);

impl std::fmt::Debug for ClusterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterKey")
    }
}

impl ClusterKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        Self::from_bytes(random_bytes())
    }

    /// The key made of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// Reads the key from `path`, or makes one there (mode 0600) if the file does not exist.
    /// A file that is being made by another process at the same moment is waited out: the
    /// first to create it wins.
    ///
    /// # Errors
    /// If the file can't be read or made, or does not hold exactly 32 bytes.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        match std::fs::read(path) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                let key: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| {
                    io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("{} does not hold a 32-byte key", path.display()),
                    )
                })?;
                Ok(Self::from_bytes(key))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(error),
        }
    }

    /// Writes beside the target and links it into place, so that nobody ever reads half a key.
    fn create(path: &Path) -> io::Result<Self> {
        let key = Self::generate();
        let staged = path.with_extension(format!("new-{}", std::process::id()));
        write_private(&staged, key.0.as_slice())?;
        let linked = std::fs::hard_link(&staged, path);
        std::fs::remove_file(&staged)?;
        match linked {
            Ok(()) => Ok(key),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Self::load_or_create(path)
            }
            Err(error) => Err(error),
        }
    }

    /// A key for one purpose.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> SealingKey {
        SealingKey::derive(self.0.as_slice(), purpose)
    }
}

/// Writes a file that only its owner may read (mode 0600), synced to disk.
///
/// # Errors
/// What the file system answers.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A key for one purpose: seals, opens and authenticates.
#[derive(Clone)]
pub struct SealingKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    mac: hmac::Key,
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey")
    }
}

struct KeyLength;

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl SealingKey {
    /// Derives a key for `purpose` from any secret with enough randomness in it.
    #[must_use]
    pub fn derive(secret: &[u8], purpose: &str) -> Self {
        let mut bytes = Zeroizing::new([0_u8; KEY_BYTES]);
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"panel").extract(secret);
        let info = [purpose.as_bytes()];
        let filled = prk.expand(&info, KeyLength).and_then(|okm| okm.fill(bytes.as_mut_slice()));
        debug_assert!(filled.is_ok(), "HKDF gives up to 8,160 bytes");
        let mac = hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice());
        Self { bytes, mac }
    }

    fn cipher(&self) -> Result<RandomizedNonceKey, CantOpen> {
        RandomizedNonceKey::new(&AES_256_GCM, self.bytes.as_slice()).map_err(|_| CantOpen)
    }

    /// Encrypts and authenticates `plain`, bound to `context` (which must be given again to
    /// open it).
    ///
    /// # Errors
    /// Only if the message is beyond AES-GCM's limit of 64 GiB.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, CantOpen> {
        let mut body = plain.to_vec();
        let nonce = self
            .cipher()?
            .seal_in_place_append_tag(Aad::from(context), &mut body)
            .map_err(|_| CantOpen)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Opens what [`SealingKey::seal`] made with the same key and context.
    ///
    /// # Errors
    /// [`CantOpen`] for anything else.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CantOpen> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(CantOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CantOpen)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .cipher()?
            .open_in_place(nonce, Aad::from(context), &mut body)
            .map_err(|_| CantOpen)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// A 128-bit authentication tag over `parts` (HMAC-SHA-256, truncated). Each part is
    /// preceded by its length, so that no two lists of parts give the same bytes.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.mac);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut tag = [0_u8; 16];
        tag.copy_from_slice(&context.sign().as_ref()[..16]);
        tag
    }
}

/// SHA-256 over `parts`, each preceded by its length.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut sum = [0_u8; 32];
    sum.copy_from_slice(context.finish().as_ref());
    sum
}

/// HMAC-SHA-256 of a message under a key that others know, too (RFC 2104).
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    let mut sum = [0_u8; 32];
    sum.copy_from_slice(tag.as_ref());
    sum
}

/// Whether two byte strings are equal, in time that does not tell where they differ.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_purpose_context_and_bytes() {
        let key = ClusterKey::from_bytes([7; 32]);
        let sealed = key.derive("a").seal(b"row 1", b"secret").unwrap();
        assert_eq!(key.derive("a").open(b"row 1", &sealed).unwrap().as_slice(), b"secret");
        assert_eq!(key.derive("b").open(b"row 1", &sealed), Err(CantOpen));
        assert_eq!(key.derive("a").open(b"row 2", &sealed), Err(CantOpen));
        assert_eq!(ClusterKey::generate().derive("a").open(b"row 1", &sealed), Err(CantOpen));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.derive("a").open(b"row 1", &changed), Err(CantOpen));
        }
        assert_eq!(key.derive("a").open(b"", b"short"), Err(CantOpen));
    }

    #[test]
    fn tags_tell_parts_apart() {
        let key = ClusterKey::from_bytes([7; 32]).derive("t");
        assert_ne!(key.tag(&[b"ab", b"c"]), key.tag(&[b"a", b"bc"]));
        assert_ne!(sha256(&[b"ab", b"c"]), sha256(&[b"a", b"bc"]));
    }

    #[test]
    fn the_key_file_is_private_and_stays() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = std::env::temp_dir().join(format!("panel-key-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("cluster.key");
        let first = ClusterKey::load_or_create(&path).unwrap();
        let again = ClusterKey::load_or_create(&path).unwrap();
        assert_eq!(first.0, again.0);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, b"too short").unwrap();
        assert!(ClusterKey::load_or_create(&path).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
