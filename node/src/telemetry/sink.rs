//! Where log lines wait for stderr: one buffer, emptied by a thread of its own a few dozen times
//! a second, so that neither a slow reader nor a busy log ever slows a request.
//!
//! Failure: a reader that is far behind costs lines, which are counted and told of; a process
//! that is killed loses the lines of the last moment.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait to be written; bounds memory.
const WAITING: usize = 4 * 1024 * 1024;
/// A buffer larger than this is given back after a burst.
const KEPT: usize = 256 * 1024;
/// How long lines gather: waking a thread for each would cost more than writing it.
const GATHER: Duration = Duration::from_millis(20);
/// How long the end of the process waits for a reader that does not read.
const LAST_WORDS: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    left_out: u64,
    ended: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// Takes lines. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sink(Arc<Shared>);

/// Writes what waits when it is dropped.
#[derive(Debug)]
pub(crate) struct Logging {
    shared: Arc<Shared>,
    written: Receiver<()>,
}

impl Sink {
    /// Lines go to `out` until the guard is dropped.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Self, Logging)> {
        let shared = Arc::new(Shared::default());
        let (done, written) = channel();
        let own = Arc::clone(&shared);
        thread::Builder::new().name("log".to_owned()).spawn(move || own.write_out(out, done))?;
        Ok((Self(Arc::clone(&shared)), Logging { shared, written }))
    }
}

impl Shared {
    fn write_out(&self, mut out: impl Write, done: Sender<()>) {
        let mut batch = Vec::new();
        loop {
            let mut waiting = self.waiting.lock();
            while waiting.bytes.is_empty() && !waiting.ended {
                self.changed.wait(&mut waiting);
            }
            if !waiting.ended {
                self.changed.wait_for(&mut waiting, GATHER);
            }
            let ended = waiting.ended;
            std::mem::swap(&mut waiting.bytes, &mut batch);
            let left_out = std::mem::take(&mut waiting.left_out);
            drop(waiting);
            // Nobody is left to tell that stderr is closed.
            drop(out.write_all(&batch));
            batch.clear();
            batch.shrink_to(KEPT);
            if left_out > 0 {
                tracing::warn!(
                    lines = left_out,
                    "the log was read too slowly; lines were left out"
                );
            }
            if ended && left_out == 0 {
                drop(out.flush());
                drop(done);
                return;
            }
        }
    }
}

impl Write for &Sink {
    /// Takes a whole line or none of it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.waiting.lock();
        if waiting.bytes.len() + line.len() > WAITING {
            waiting.left_out += 1;
        } else {
            let first = waiting.bytes.is_empty();
            waiting.bytes.extend_from_slice(line);
            if first {
                self.0.changed.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.shared.waiting.lock().ended = true;
        self.shared.changed.notify_one();
        // Answers with an error at once when the thread has let go of its end.
        let _ = self.written.recv_timeout(LAST_WORDS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that can be made to stop reading.
    #[derive(Clone, Default)]
    struct Reader {
        read: Arc<Mutex<Vec<u8>>>,
        asleep: Arc<Mutex<()>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _awake = self.asleep.lock();
            self.read.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_said_before_the_end_is_written() {
        let reader = Reader::default();
        let (sink, logging) = Sink::start(reader.clone()).unwrap();
        for number in 0..1000 {
            (&sink).write_all(format!("line {number}\n").as_bytes()).unwrap();
        }
        drop(logging);
        let read = String::from_utf8(reader.read.lock().clone()).unwrap();
        assert_eq!(read.lines().count(), 1000);
        assert_eq!(read.lines().last(), Some("line 999"));
    }

    #[test]
    fn a_reader_that_sleeps_costs_lines_and_neither_memory_nor_time() {
        let reader = Reader::default();
        let (sink, logging) = Sink::start(reader.clone()).unwrap();
        let asleep = reader.asleep.lock();
        let line = vec![b'x'; 64 * 1024];
        for _ in 0..1000 {
            assert_eq!((&sink).write(&line).unwrap(), line.len());
        }
        let (waiting, left_out) = {
            let waiting = sink.0.waiting.lock();
            (waiting.bytes.len(), waiting.left_out)
        };
        assert!(waiting <= WAITING && left_out > 800, "{waiting} bytes, {left_out} left out");
        drop(asleep);
        drop(logging);
        assert!(reader.read.lock().len() <= 2 * WAITING);
    }
}
