//! A file on this machine that a command was told of: what is in it, known before anything is done with it.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::blobs::PIECE;

/// What is kept of its beginning, in bytes.
const BEGINNING: usize = 512;

/// One that was read once, from beginning to end.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    /// How long it is.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// Its beginning, up to 512 bytes.
    pub beginning: Vec<u8>,
}

impl LocalFile {
    /// Reads it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] and [`ErrorKind::PermissionDenied`] as the file system has it, [`ErrorKind::FileTooLarge`]
    /// for one of more than `most` bytes, [`ErrorKind::InvalidInput`] for what is no file.
    pub async fn open(path: &Path, most: u64) -> Result<Self> {
        let meta = tokio::fs::metadata(path).await?;
        if !meta.is_file() {
            return Err(Error::new(ErrorKind::InvalidInput, "it is no file"));
        }
        if meta.len() > most {
            let long = format!("it is longer than {most} bytes");
            return Err(Error::new(ErrorKind::FileTooLarge, long));
        }
        let mut opened = Self {
            file: File::open(path).await?,
            bytes: 0,
            sha256: [0; 32],
            beginning: Vec::new(),
        };
        let mut hash = Context::new(&SHA256);
        while let Some(piece) = opened.piece().await? {
            opened.bytes += piece.len() as u64;
            // It may grow while it is read.
            if opened.bytes > most {
                let long = format!("it is longer than {most} bytes");
                return Err(Error::new(ErrorKind::FileTooLarge, long));
            }
            let wanted = BEGINNING.saturating_sub(opened.beginning.len()).min(piece.len());
            opened.beginning.extend_from_slice(&piece[..wanted]);
            hash.update(&piece);
        }
        opened.sha256.copy_from_slice(hash.finish().as_ref());
        opened.rewind().await?;
        Ok(opened)
    }

    /// The next piece of it; none at its end.
    ///
    /// # Errors
    /// Whatever comes of reading it.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        let mut piece = vec![0; PIECE];
        let read = self.file.read(&mut piece).await?;
        piece.truncate(read);
        Ok((read > 0).then_some(piece))
    }

    /// Reads it from its beginning again.
    ///
    /// # Errors
    /// Whatever comes of that.
    pub async fn rewind(&mut self) -> Result<()> {
        self.file.rewind().await.map(drop)
    }
}

/// A directory in which files are looked for by names of others: whatever those say, nothing outside is found.
#[derive(Clone, Debug)]
pub struct LocalFolder(PathBuf);

impl LocalFolder {
    /// One that there is.
    ///
    /// # Errors
    /// Whatever the file system has against it.
    pub fn open(path: &Path) -> Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() {
            return Ok(Self(path));
        }
        Err(Error::new(ErrorKind::NotADirectory, "it is no directory"))
    }

    /// Where the file with this name is; none if there is none inside, also not by a link.
    #[must_use]
    pub fn find(&self, names: &[&str]) -> Option<PathBuf> {
        let is_name =
            |name: &&str| !matches!(*name, "" | "." | "..") && !name.contains(['/', '\\', '\0']);
        if names.is_empty() || !names.iter().all(is_name) {
            return None;
        }
        let path = names.iter().fold(self.0.clone(), |path, name| path.join(name));
        let found = path.canonicalize().ok()?;
        (found.starts_with(&self.0) && found.is_file()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn a_file_is_known_before_it_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let content = vec![7_u8; PIECE + 9];
        std::fs::write(&path, &content).unwrap();
        let mut file = LocalFile::open(&path, 1 << 20).await.unwrap();
        assert_eq!(file.bytes, content.len() as u64);
        assert_eq!(file.beginning, content[..BEGINNING]);
        let digest = aws_lc_rs::digest::digest(&SHA256, &content);
        assert_eq!(file.sha256, digest.as_ref());
        for _ in 0..2 {
            let mut read = Vec::new();
            while let Some(piece) = file.piece().await.unwrap() {
                read.extend(piece);
            }
            assert_eq!(read, content);
            file.rewind().await.unwrap();
        }
        let kind = |opened: Result<LocalFile>| opened.unwrap_err().kind();
        let most = PIECE as u64;
        assert_eq!(kind(LocalFile::open(&path, most).await), ErrorKind::FileTooLarge);
        assert_eq!(kind(LocalFile::open(folder.path(), 9).await), ErrorKind::InvalidInput);
        assert_eq!(kind(LocalFile::open(&path.join("b"), 9).await), ErrorKind::NotADirectory);
    }

    #[test]
    fn nothing_outside_is_found() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("in");
        std::fs::create_dir_all(folder.join("2020/05")).unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        std::fs::write(folder.join("2020/05/a b.jpg"), "a").unwrap();
        symlink(outside.path().join("secret"), folder.join("link")).unwrap();
        symlink(outside.path(), folder.join("out")).unwrap();
        symlink(folder.join("2020"), folder.join("years")).unwrap();
        let opened = LocalFolder::open(&folder).unwrap();
        assert!(opened.find(&["2020", "05", "a b.jpg"]).is_some());
        assert!(opened.find(&["years", "05", "a b.jpg"]).is_some());
        for names in [
            &["link"][..],
            &["out", "secret"],
            &["..", "secret"],
            &["2020", "..", "..", "secret"],
            &["2020/05/a b.jpg"],
            &["2020"],
            &["none"],
            &["a\0"],
            &[""],
            &[],
        ] {
            assert_eq!(opened.find(names), None, "{names:?}");
        }
        assert!(LocalFolder::open(&outside.path().join("secret")).is_err());
    }
}
