//! Files in PEM form (RFC 7468).

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

/// More than any of these files has: a certificate takes two or three KiB, and a chain has a few.
const MOST_BYTES: u64 = 256 * 1024;
/// How often files that do not belong together are read.
pub const ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_millis(50);

/// A file that is missing, may not be read, or does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {why}", .path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, as the rest of a sentence.
    pub why: String,
}

impl FileError {
    /// Of this file.
    pub fn new(path: &Path, why: impl Into<String>) -> Self {
        Self { path: path.to_owned(), why: why.into() }
    }

    fn unreadable(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::new(path, "is not there"),
            _ => Self::new(path, format!("can't be read: {error}")),
        }
    }
}

/// What a file holds.
///
/// # Errors
/// If it is not there, can't be read, or is longer than any of its kind.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = File::open(path).map_err(|error| FileError::unreadable(path, &error))?;
    read_open(path, &file)
}

/// What a file holds that nobody else may read.
///
/// # Errors
/// As [`read`], and if others can read it.
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let unreadable = |error: io::Error| FileError::unreadable(path, &error);
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let why = format!("can be read by others (mode {mode:04o}): change its mode to 0600");
        return Err(FileError::new(path, why));
    }
    read_open(path, &file)
}

fn read_open(path: &Path, file: &File) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = file.take(MOST_BYTES + 1).read_to_end(&mut bytes);
    let read = read.map_err(|error| FileError::unreadable(path, &error))?;
    if read as u64 > MOST_BYTES {
        return Err(FileError::new(path, format!("is longer than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Reads files that belong together, and again while one of them is just being replaced: who renews a certificate
/// moves one file after the other, and on a busy machine there may be a while between the two. `read` gives what
/// does not belong together as the inner error; after a second and a half of [`pause`]s that is the outcome.
///
/// # Errors
/// What `read` says: at once where it is the outer error, else at the end.
pub fn settled<T, E>(
    mut read: impl FnMut() -> Result<Result<T, E>, E>,
    mut pause: impl FnMut(),
) -> Result<T, E> {
    for _ in 1..ATTEMPTS {
        if let Ok(whole) = read()? {
            return Ok(whole);
        }
        pause();
    }
    read()?
}

/// Waits between two attempts of [`settled`]. Blocks.
pub fn pause() {
    std::thread::sleep(PAUSE);
}

/// The certificates in what `path` holds: at least one.
///
/// # Errors
/// If there is none, or it is not in PEM form.
pub fn chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(FileError::new(path, "holds no certificate in PEM form")),
        Err(_) => Err(FileError::new(path, "is not in PEM form")),
    }
}
