//! One direction of a connection: reads, lets bytes be on the way for as long as they shall, and
//! writes.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::IN_FLIGHT;
use super::carry::Way;
use super::faults::{Direction, Faults};

/// Read at once.
const PIECE: usize = 16 * 1024;
/// What a piece costs beside its bytes, so that many small ones count as well.
const OVERHEAD: usize = 64;
/// Pieces of a throttled direction in a second: small enough to be even.
const PIECES_A_SECOND: u64 = 20;

/// Bytes on the way; none: the end.
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
    written: usize,
}

pub(super) struct Pump {
    direction: Direction,
    way: Way,
    pieces: VecDeque<Piece>,
    in_flight: usize,
    ended: bool,
    /// When a throttled direction may read again.
    next_read: Instant,
    /// Nothing overtakes: no piece is due before the one in front of it.
    last_due: Instant,
    dice: u64,
}

impl Pump {
    pub(super) fn new(direction: Direction, way: Way) -> Self {
        let now = Instant::now();
        // Any number but 0; the same for each run, so that a failure can be had again.
        let dice = way.counters.connections.load(Ordering::Relaxed) * 2
            + u64::from(direction == Direction::ToClient)
            + 1;
        Self {
            direction,
            way,
            pieces: VecDeque::new(),
            in_flight: 0,
            ended: false,
            next_read: now,
            last_due: now,
            dice,
        }
    }

    /// Works until the sender has ended and everything is written.
    ///
    /// # Errors
    /// The direction in which a broken connection has to be told on.
    pub(super) async fn run(
        mut self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
    ) -> Result<(), Direction> {
        let mut buffer = vec![0; PIECE];
        loop {
            let faults = self.way.faults();
            let now = Instant::now();
            let is_open = !faults.is_silent(self.direction);
            let reads = is_open && !self.ended && self.in_flight < IN_FLIGHT;
            let read_at = if faults.rate.is_some() { self.next_read } else { now };
            let due = self.pieces.front().map(|piece| piece.due).filter(|_| is_open);
            let wake = [reads.then_some(read_at), due].into_iter().flatten();
            let wake = wake.filter(|at| *at > now).min();
            let most = usize::try_from(faults.rate.unwrap_or(u64::MAX) / PIECES_A_SECOND);
            let most = most.unwrap_or(PIECE).clamp(1, PIECE);
            tokio::select! {
                // Faults first: what is sent after one was set is not carried.
                biased;
                changed = self.way.changed() => changed.map_err(|_| self.direction)?,
                wrote = write(&mut to, self.pieces.front()), if due.is_some_and(|due| due <= now) => {
                    // Who can't be written to is gone, and the sender has to hear of it.
                    let wrote = wrote.map_err(|_| self.direction.opposite())?;
                    if self.wrote(wrote) {
                        return Ok(());
                    }
                }
                read = from.read(&mut buffer[..most]), if reads && read_at <= now => {
                    let read = read.map_err(|_| self.direction)?;
                    self.took(&buffer[..read], &faults);
                }
                () = tokio::time::sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
            }
        }
    }

    /// Sends a piece on its way.
    fn took(&mut self, bytes: &[u8], faults: &Faults) {
        let now = Instant::now();
        if let Some(rate) = faults.rate {
            let took =
                Duration::from_secs(bytes.len() as u64) / u32::try_from(rate).unwrap_or(u32::MAX);
            self.next_read = self.next_read.max(now) + took;
        }
        let due = now + faults.delay + self.roll(faults.jitter);
        self.last_due = self.last_due.max(due);
        self.ended = bytes.is_empty();
        self.in_flight += bytes.len() + OVERHEAD;
        self.pieces.push_back(Piece { due: self.last_due, bytes: bytes.to_vec(), written: 0 });
    }

    /// So many bytes of the first piece are written; true if it was the end.
    fn wrote(&mut self, count: usize) -> bool {
        let Some(piece) = self.pieces.front_mut() else { return false };
        piece.written += count;
        let is_end = piece.bytes.is_empty();
        if piece.written == piece.bytes.len() {
            self.in_flight -= piece.bytes.len() + OVERHEAD;
            self.pieces.pop_front();
        }
        let counter = match self.direction {
            Direction::ToUpstream => &self.way.counters.to_upstream,
            Direction::ToClient => &self.way.counters.to_client,
        };
        counter.fetch_add(count as u64, Ordering::Relaxed);
        is_end
    }

    /// Something from nothing to `most` (xorshift64).
    fn roll(&mut self, most: Duration) -> Duration {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        most.mul_f64(f64::from(u16::try_from(self.dice % 1_001).unwrap_or(0)) / 1_000.0)
    }
}

/// Writes of a piece what goes in; ends the direction if it is the end.
async fn write(to: &mut WriteHalf<'_>, piece: Option<&Piece>) -> std::io::Result<usize> {
    match piece {
        Some(piece) if piece.bytes.is_empty() => to.shutdown().await.map(|()| 0),
        Some(piece) => to.write(&piece.bytes[piece.written..]).await,
        None => Ok(0),
    }
}
