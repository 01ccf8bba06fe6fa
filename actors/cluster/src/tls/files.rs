//! The files: read with a bound, keys only if nobody else can; written so that nobody reads half.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use panel_kernel::keys::ClusterKey;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::{CLUSTER_KEY_FILE, TlsError};

/// More than any of these files has: a list of authorities takes about 800 bytes for each.
const MOST_BYTES: u64 = 256 * 1024;
/// The cluster key's length.
const CLUSTER_KEY_BYTES: usize = 32;
/// For what everybody may read.
pub(super) const PUBLIC: u32 = 0o644;
/// For keys.
pub(super) const PRIVATE: u32 = 0o600;

/// What a file holds.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let file = File::open(path).map_err(|error| TlsError::unreadable(path, &error))?;
    read_open(path, &file)
}

/// What a file holds that nobody else may read.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let unreadable = |error: io::Error| TlsError::unreadable(path, &error);
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let why = format!("can be read by others (mode {mode:04o}): change its mode to 0600");
        return Err(TlsError::file(path, why));
    }
    read_open(path, &file)
}

fn read_open(path: &Path, file: &File) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| TlsError::unreadable(path, &error))?;
    if read as u64 > MOST_BYTES {
        return Err(TlsError::file(path, "is too long to be a certificate or key"));
    }
    Ok(bytes)
}

/// The certificates in what `path` holds: at least one.
pub(super) fn certificates(
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(TlsError::file(path, "holds no certificate in PEM form")),
        Err(_) => Err(TlsError::file(path, "is not in PEM form")),
    }
}

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
