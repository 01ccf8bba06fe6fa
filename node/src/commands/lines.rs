//! The lines of a file, one at a time, none of them longer than it may be.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use crate::Failure;

/// A file that is read by lines.
pub(super) struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
    longest: u64,
    /// How much of it was read, in bytes.
    pub(super) read: u64,
    /// How long it is.
    pub(super) length: u64,
}

impl Lines {
    /// Of this file, whose lines are shorter than so many bytes.
    pub(super) fn open(file: &Path, longest: u64) -> Result<Self, Failure> {
        let opened = File::open(file)
            .map_err(|error| Failure::Other(format!("{}: {error}", file.display())))?;
        let length = opened.metadata().map_or(0, |it| it.len());
        Ok(Self { reader: BufReader::new(opened), line: Vec::new(), longest, read: 0, length })
    }

    /// The next line; why it can't be read.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, String> {
        self.line.clear();
        let mut limited = (&mut self.reader).take(self.longest);
        let read = limited.read_until(b'\n', &mut self.line).map_err(|error| error.to_string())?;
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        self.read += read;
        match read {
            0 => Ok(None),
            read if read >= self.longest => Err("it is too long".to_owned()),
            _ => Ok(Some(&self.line)),
        }
    }
}
