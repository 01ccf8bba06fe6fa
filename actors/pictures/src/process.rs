//! The node's side of the process of a picture.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::kind::{BEGINNING, Kind};
use crate::limits::Limits;
use crate::making::{MAIN, WIDTHS, check};
use crate::protocol::{FileHead, Go, LINE, Looks, Order, Probe, Refused, Said, Why};

/// What is read of a file at a time, in bytes.
const PIECE: usize = 64 * 1024;
/// What is kept of what it says on standard error, in bytes.
const LAST_WORDS: u64 = 2_048;
/// What the program is told to be.
const ROLE: &str = "picture-worker";
/// How a program of Rust ends for which there is no memory.
const NO_MEMORY: &str = "memory allocation of";

/// The program that is a picture's process.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// A `panel-node` there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// None can be made of the file.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The process broke over it.
    #[error("the process of a picture broke: {0}")]
    Crashed(String),
    /// Somebody ended the process: it may be tried again.
    #[error("the process of a picture was killed")]
    Killed,
    /// There is no process, or what it says can't be read.
    #[error("the process of a picture can't be used: {0}")]
    Io(#[from] io::Error),
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// A file, whose content is to be read ([`Process::piece`]).
    File(FileHead),
    /// Nothing: that was all.
    Made(Looks),
}

/// One picture's process. Dropped, it is ended.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    limits: Limits,
    files: Vec<(u32, Kind)>,
    /// What is still to be read of the file that was announced, and what it is until its beginning was read.
    left: u64,
    unseen: Option<Kind>,
    /// Whether the kernel keeps it from everything else.
    is_confined: bool,
}

impl Process {
    /// Starts one, and tells it what is wanted. The file is to be written next ([`Self::feed`]).
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn start(program: &Program, order: &Order) -> Result<Self, Ended> {
        let mut command = Command::new(&program.0);
        // Of its own group: what ends the node's, from a terminal say, does not end what the node still does.
        command.arg(ROLE).env_clear().current_dir("/").process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let none = || io::Error::other("there is no pipe to it");
        let mut process = Self {
            input: input.ok_or_else(none)?,
            output: BufReader::new(output.ok_or_else(none)?),
            child,
            limits: order.limits,
            files: Vec::new(),
            left: 0,
            unseen: None,
            is_confined: false,
        };
        process.tell(order).await?;
        Ok(process)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Writes what comes next of the file.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn feed(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let written = self.input.write_all(bytes).await;
        self.survived(written).await
    }

    /// What the file is, once it was written whole: never more than is taken, whatever it says.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn probe(&mut self) -> Result<Probe, Ended> {
        match self.heard().await? {
            Said::Probe(probe, is_confined) if check(&probe, &self.limits).is_ok() => {
                self.is_confined = is_confined;
                Ok(probe)
            }
            said => Err(unexpected(&said)),
        }
    }

    /// Whether the kernel keeps it from files and networks, and not only from opening any (Landlock, Linux 5.13 and
    /// later): known once it was probed.
    #[must_use]
    pub const fn is_confined(&self) -> bool {
        self.is_confined
    }

    /// Lets it decode, with so much memory, in bytes.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn go(&mut self, memory: u64) -> Result<(), Ended> {
        self.tell(&Go { memory }).await
    }

    /// What comes next, once the file before was read whole.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn next(&mut self) -> Result<Next, Ended> {
        match self.heard().await? {
            Said::Made(looks) => Ok(Next::Made(looks)),
            Said::File(head) => {
                let is_size =
                    head.size == MAIN || WIDTHS.contains(&head.size) || head.size == head.width;
                let name = (head.size, head.kind);
                if !is_size || self.files.contains(&name) || self.files.len() > 2 * WIDTHS.len() {
                    return Err(unexpected(&Said::File(head)));
                }
                self.files.push(name);
                self.left = head.bytes;
                self.unseen = Some(head.kind);
                Ok(Next::File(head))
            }
            said => Err(unexpected(&said)),
        }
    }

    /// The next piece of the file that was announced; none at its end.
    ///
    /// # Errors
    /// [`Ended`].
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        if self.left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
        let mut piece = vec![0; most];
        let read = match self.unseen.take() {
            // Its beginning, whole.
            Some(kind) => {
                let beginning = &mut piece[..most.min(BEGINNING)];
                let length = beginning.len();
                if self.output.read_exact(beginning).await.is_err() {
                    return Err(self.end().await);
                }
                if Kind::of(beginning) != Some(kind) {
                    return Err(Ended::Crashed(format!(
                        "it calls something {kind:?} that is none"
                    )));
                }
                length
            }
            None => self.output.read(&mut piece).await?,
        };
        if read == 0 {
            return Err(self.end().await);
        }
        piece.truncate(read);
        self.left -= read as u64;
        Ok(Some(piece))
    }

    async fn tell(&mut self, what: &impl Serialize) -> Result<(), Ended> {
        let mut line = serde_json::to_vec(what).map_err(io::Error::other)?;
        line.push(b'\n');
        self.feed(&line).await
    }

    async fn heard(&mut self) -> Result<Said, Ended> {
        let mut line = Vec::new();
        let mut output = (&mut self.output).take(LINE as u64);
        output.read_until(b'\n', &mut line).await?;
        if line.last() != Some(&b'\n') {
            return Err(self.end().await);
        }
        match serde_json::from_slice(&line) {
            Ok(Said::Refused(refused)) => Err(refused.into()),
            Ok(said) => Ok(said),
            Err(error) => Err(Ended::Crashed(format!("what it said can't be read: {error}"))),
        }
    }

    /// Who does not listen any more has ended.
    async fn survived(&mut self, written: io::Result<()>) -> Result<(), Ended> {
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.end().await),
            Err(error) => Err(error.into()),
        }
    }

    /// How it has ended: what it was told to say still counts.
    async fn end(&mut self) -> Ended {
        drop(self.child.start_kill());
        let mut words = Vec::new();
        if let Some(errors) = self.child.stderr.take() {
            let mut errors = errors.take(LAST_WORDS);
            let reading = errors.read_to_end(&mut words);
            // It is dead, and has said it already.
            let _ = tokio::time::timeout(Duration::from_secs(1), reading).await;
        }
        match self.child.wait().await {
            Ok(status) => ended(status, &String::from_utf8_lossy(&words)),
            Err(error) => error.into(),
        }
    }
}

fn unexpected(said: &Said) -> Ended {
    Ended::Crashed(format!("it said {said:?} where that means nothing"))
}

/// Signals, by number: where they are the same everywhere. Those by which somebody ends a process: hang up, interrupt,
/// quit, kill, terminate.
const ENDING: [i32; 5] = [1, 2, 3, 9, 15];
const ABORT: i32 = 6;
const XCPU: i32 = 24;

fn ended(status: ExitStatus, words: &str) -> Ended {
    match status.signal() {
        Some(signal) if ENDING.contains(&signal) => Ended::Killed,
        Some(XCPU) => Refused::new(Why::TooSlow, "the picture takes too long to be read").into(),
        Some(ABORT) if words.contains(NO_MEMORY) => {
            let detail = "the picture takes more memory than it should";
            Refused::new(Why::TooManyPixels, detail).into()
        }
        // It can't work here at all: there is no memory to start with, or not what it is to give up.
        None if status.code() == Some(1) => Ended::Io(io::Error::other(words.trim().to_owned())),
        _ => Ended::Crashed(format!("{status}: {}", words.trim())),
    }
}
