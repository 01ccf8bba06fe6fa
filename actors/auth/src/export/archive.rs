//! A zip archive that is written from the front to the back: what it consists of so far is taken away in
//! between, so it is never in memory as a whole.

use std::io::{self, Write};
use std::sync::Arc;

use parking_lot::Mutex;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

/// What was written and not taken away.
#[derive(Clone, Default)]
struct Tray(Arc<Mutex<Vec<u8>>>);

impl Write for Tray {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive that grows.
pub(super) struct Archive {
    /// Some 17 KiB.
    zip: Box<ZipWriter<StreamWriter<Tray>>>,
    tray: Tray,
}

impl Default for Archive {
    fn default() -> Self {
        Self::new()
    }
}

impl Archive {
    pub(super) fn new() -> Self {
        let tray = Tray::default();
        Self { zip: Box::new(ZipWriter::new_stream(tray.clone())), tray }
    }

    /// Begins a file, after the one before.
    pub(super) fn begin(&mut self, name: &str) -> Result<(), ZipError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            // More than 4 GiB of records become less than that.
            .large_file(true)
            .unix_permissions(0o600);
        self.zip.start_file(name, options)
    }

    /// Adds to the file that was begun last.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), ZipError> {
        Ok(self.zip.write_all(bytes)?)
    }

    /// Adds the end. What is taken after that is the last of it.
    pub(super) fn finish(self) -> Result<Vec<u8>, ZipError> {
        let Self { zip, tray } = self;
        zip.finish()?;
        Ok(std::mem::take(&mut tray.0.lock()))
    }

    /// Takes away what was written since it was done last.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.tray.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;

    #[test]
    fn what_was_taken_away_in_pieces_is_an_archive() {
        let mut archive = Archive::new();
        let mut whole = Vec::new();
        archive.begin("forum/posts.jsonl").unwrap();
        for at in 0..1_000 {
            archive.add(format!("{{\"post\":{at}}}\n").repeat(100).as_bytes()).unwrap();
            let piece = archive.take();
            assert!(piece.len() < 128 * 1024);
            whole.extend(piece);
        }
        archive.begin("index.json").unwrap();
        archive.add(b"{}").unwrap();
        whole.extend(archive.finish().unwrap());
        let mut read = zip::ZipArchive::new(Cursor::new(&whole)).unwrap();
        let mut text = String::new();
        read.by_name("forum/posts.jsonl").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 100_000);
        assert!(text.ends_with("{\"post\":999}\n") && whole.len() < text.len() / 10);
        let names: Vec<_> = read.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["forum/posts.jsonl", "index.json"]);
    }
}
