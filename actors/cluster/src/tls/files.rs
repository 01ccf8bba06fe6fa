//! The files: written so that nobody reads half.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use panel_kernel::certificates::read_private;
use panel_kernel::keys::ClusterKey;
use zeroize::Zeroizing;

use super::{CLUSTER_KEY_FILE, TlsError};

/// The cluster key's length.
const CLUSTER_KEY_BYTES: usize = 32;
/// For what everybody may read.
pub(super) const PUBLIC: u32 = 0o644;
/// For keys.
pub(super) const PRIVATE: u32 = 0o600;

/// The cluster key's bytes.
pub(super) fn cluster_key_bytes(
    path: &Path,
) -> Result<Zeroizing<[u8; CLUSTER_KEY_BYTES]>, TlsError> {
    let bytes = read_private(path)?;
    let key = <[u8; CLUSTER_KEY_BYTES]>::try_from(bytes.as_slice());
    key.map(Zeroizing::new).map_err(|_| TlsError::file(path, "does not hold a 32-byte key"))
}

/// The cluster key that `certs issue` put beside a node's certificate. It is never made here: a
/// node with a key of its own could open nothing of what the others have sealed.
///
/// # Errors
/// If the file is not there, others can read it, or it holds no key.
pub fn cluster_key(dir: &Path) -> Result<ClusterKey, TlsError> {
    cluster_key_bytes(&dir.join(CLUSTER_KEY_FILE)).map(|bytes| ClusterKey::from_bytes(*bytes))
}

/// Makes a directory that only its owner may look into, unless it is there.
pub(super) fn make_private_dir(path: &Path) -> Result<(), TlsError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| TlsError::file(path, format!("can't be made: {error}")))
}

/// A file to be written anew.
pub(super) struct Replacement<'a> {
    pub(super) path: PathBuf,
    pub(super) bytes: &'a [u8],
    pub(super) mode: u32,
}

/// Writes files anew: all of them beside their places first, then one after the other into them.
/// A reader finds an old file or a new one, and files that belong together are apart for no longer
/// than it takes to rename them.
pub(super) fn replace(files: &[Replacement<'_>]) -> Result<(), TlsError> {
    let staged: Vec<PathBuf> = files.iter().map(|file| beside(&file.path)).collect();
    let pairs = || files.iter().zip(&staged);
    let unwritable = |file: &Replacement<'_>, error| TlsError::unwritable(&file.path, &error);
    let replaced = pairs()
        .try_for_each(|(file, staged)| {
            write_new(staged, file.bytes, file.mode).map_err(|error| unwritable(file, error))
        })
        .and_then(|()| {
            pairs().try_for_each(|(file, staged)| {
                std::fs::rename(staged, &file.path).map_err(|error| unwritable(file, error))
            })
        });
    if replaced.is_err() {
        for staged in &staged {
            drop(std::fs::remove_file(staged));
        }
    }
    replaced
}

/// Where something is put together that is to be moved to `path`.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut staged = path.as_os_str().to_owned();
    staged.push(format!(".new-{}", std::process::id()));
    PathBuf::from(staged)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // Left over from a process of the same number that was killed.
    drop(std::fs::remove_file(path));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // Whatever the umask took away; it can't have added anything.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}
