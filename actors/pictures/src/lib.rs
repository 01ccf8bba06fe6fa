//! Pictures that somebody sent, made into pictures that can be shown: their kind decided by what is in them, upright,
//! in sRGB, without what cameras write about where and by whom, in several sizes.
//!
//! Decoders read what strangers wrote, so none runs in the node. Each picture has a process of its own, the same
//! program in another role, which has no files, no network, and no more memory and time than it was given:
//!
//! ```text
//! node                                   panel-node picture-worker
//! Process::start ──── order, content ───► reads it, and looks at its beginning
//! Process::probe ◄─── what it is ──────── (so much memory would be needed)
//! Process::go ─────── so much it may ───► decodes, turns, resizes, encodes
//! Process::next ◄──── one file after the other, and what it looks like on the whole
//! ```
//!
//! Nothing is decoded before its size was compared with what is allowed. What a process needs beyond its memory ends
//! it, and nothing else; so does a decoder that panics, never ends, or is taken over. The node reads from it no more than
//! it has room for, and compares what it says of the picture with what is taken.
//!
//! | file | |
//! |---|---|
//! | `kind` | what a file is, by what is in it |
//! | `limits` | what is taken |
//! | `making` | the pictures themselves; runs in the process, no I/O |
//! | `protocol` | what the two say to each other |
//! | `child` | the process: what it gives up before it reads, and its work |
//! | `process` | the node's side of it |

mod child;
mod kind;
mod limits;
mod making;
mod process;
mod protocol;

pub use child::run as run_child;
pub use kind::{Kind, TAKEN};
pub use limits::Limits;
pub use making::{MAIN, Sink, Stopped, WIDTHS, make, probe};
pub use process::{Ended, Next, Process, Program};
pub use protocol::{FileHead, Looks, Order, Probe, Refused, Why};
