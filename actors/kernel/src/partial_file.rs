//! A file of JSON lines that is there under its name when it is whole: until then it is `<name>.partial`.

use std::fs::{File, TryLockError};
use std::io::{BufWriter, Error, ErrorKind, Result, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// One that is being written, by nobody else; for its owner alone to read.
#[derive(Debug)]
pub struct PartialFile {
    out: BufWriter<File>,
    partial: PathBuf,
    file: PathBuf,
}

impl PartialFile {
    /// Opens what will be `file`, to write behind what was written of it before.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if it is whole, [`ErrorKind::WouldBlock`] if another writes it, and whatever comes of
    /// opening it.
    pub fn open(file: &Path) -> Result<Self> {
        if file.exists() {
            let there = format!("{} is there already", file.display());
            return Err(Error::new(ErrorKind::AlreadyExists, there));
        }
        let mut partial = file.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let out = File::options().create(true).append(true).mode(0o600).open(&partial)?;
        out.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                let busy = format!("another export writes {}", partial.display());
                Error::new(ErrorKind::WouldBlock, busy)
            }
            TryLockError::Error(error) => error,
        })?;
        Ok(Self { out: BufWriter::new(out), partial, file: file.to_owned() })
    }

    /// Where it is until it is whole.
    #[must_use]
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Forgets what was written of it before.
    ///
    /// # Errors
    /// Whatever comes of that.
    pub fn begin_anew(&mut self) -> Result<()> {
        self.out.get_ref().set_len(0)
    }

    /// Writes a line.
    ///
    /// # Errors
    /// Whatever comes of that.
    pub fn write<T: Serialize>(&mut self, record: &T) -> Result<()> {
        serde_json::to_writer(&mut self.out, record)?;
        self.out.write_all(b"\n")
    }

    /// It is whole: it has its name, and outlives the machine.
    ///
    /// # Errors
    /// Whatever comes of that; then it is partial.
    pub fn finish(self) -> Result<()> {
        self.out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(self.partial, self.file)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_there_when_it_is_whole_and_one_writes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut file = PartialFile::open(&path).unwrap();
        assert_eq!(PartialFile::open(&path).unwrap_err().kind(), ErrorKind::WouldBlock);
        file.write(&[1]).unwrap();
        drop(file);
        let mut file = PartialFile::open(&path).unwrap();
        file.write(&"two").unwrap();
        assert!(!path.exists() && file.partial().exists());
        file.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1]\n\"two\"\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(PartialFile::open(&path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let other = folder.path().join("b.jsonl");
        PartialFile::open(&other).unwrap().write(&1).unwrap();
        let mut anew = PartialFile::open(&other).unwrap();
        anew.begin_anew().unwrap();
        anew.write(&2).unwrap();
        anew.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "2\n");
    }
}
