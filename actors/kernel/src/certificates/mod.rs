//! Certificates as they lie in files: read with a bound, and looked at again and again, because they are
//! renewed while the program runs.

mod files;
mod watch;

pub use files::{ATTEMPTS, FileError, chain, pause, read, read_private, settled};
pub use watch::{Certified, Current, Watch, WatchMessage};
