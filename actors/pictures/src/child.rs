//! The process of one picture: what it gives up before it reads anything, and its work.

use std::io::{self, BufRead, Read as _, Write};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetError, RulesetStatus,
    Scope,
};
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, nice, set_parent_process_death_signal, setrlimit,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::making::{Stopped, make, probe};
use crate::protocol::{Go, LINE, Order, Said};

/// What it takes to look at the beginning of a file, in bytes, beside the program and the file.
const LOOKING: u64 = 64 * 1024 * 1024;
/// What is needed beside pixels: the heap's own, and what is only counted.
const SLACK: u64 = 32 * 1024 * 1024;
/// The newest restrictions that are asked for; an older kernel gives those that it knows.
const RESTRICTIONS: ABI = ABI::V6;
/// As work that stands back where others want the processor too.
const STANDS_BACK: i32 = 5;

/// Makes one picture: an order and a file on standard input, what is made on standard output.
///
/// # Errors
/// What is wrong with the order, or that nobody reads what is made.
pub fn run() -> io::Result<()> {
    work(&mut io::stdin().lock(), &mut io::stdout().lock())
}

fn work(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<()> {
    let order: Order = heard(input)?;
    let (room, is_confined) = Room::confined(&order)?;
    let bytes = usize::try_from(order.bytes).map_err(io::Error::other)?;
    let mut file = Vec::with_capacity(bytes);
    input.take(order.bytes).read_to_end(&mut file)?;
    if file.len() < bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let probed = match probe(&file, &order.limits) {
        Ok(probed) => probed,
        Err(refused) => return say(output, &Said::Refused(refused)),
    };
    say(output, &Said::Probe(probed, is_confined))?;
    let go: Go = heard(input)?;
    room.allow(go.memory.saturating_add(SLACK))?;
    let made = make(&file, &probed, &mut |head, bytes| {
        say(output, &Said::File(head))?;
        output.write_all(bytes)?;
        output.flush()
    });
    match made {
        Ok(looks) => say(output, &Said::Made(looks)),
        Err(Stopped::Refused(refused)) => say(output, &Said::Refused(refused)),
        Err(Stopped::Io(error)) => Err(error),
    }
}

fn heard<T: DeserializeOwned>(input: &mut impl BufRead) -> io::Result<T> {
    let mut line = Vec::new();
    input.by_ref().take(LINE as u64).read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

fn say(output: &mut impl Write, said: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(said)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

/// How much room there is: what the process had before anything was read.
struct Room {
    before: u64,
    most: u64,
}

impl Room {
    /// Gives up what is not needed: files, networks, processes, dumps, and all memory but what an order allows. Whether
    /// the kernel can see to all of that.
    fn confined(order: &Order) -> io::Result<(Self, bool)> {
        // Whoever has started it may end in a way that leaves it no time to end others.
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Not being allowed to stand back is no reason not to work.
        let _ = nice(STANDS_BACK);
        let before = occupied()?.saturating_add(order.bytes);
        let most = order.limits.memory.max(LOOKING.saturating_add(order.bytes));
        let most = before.saturating_add(most).saturating_add(SLACK);
        let room = Self { before, most };
        let is_confined = restricted().map_err(io::Error::other)?;
        // What is open stays so, and nothing else can be: no file, no socket, also where one was closed.
        limit(Resource::Nofile, 0, 0)?;
        limit(Resource::Nproc, 0, 0)?;
        limit(Resource::Fsize, 0, 0)?;
        limit(Resource::Core, 0, 0)?;
        limit(Resource::Cpu, order.limits.seconds, order.limits.seconds.saturating_add(1))?;
        // A decoder may have the file a second time.
        room.allow(LOOKING.saturating_add(order.bytes))?;
        Ok((room, is_confined))
    }

    /// So many bytes beside the program and the file, and never more than the order says.
    fn allow(&self, bytes: u64) -> io::Result<()> {
        let soft = self.before.saturating_add(bytes).min(self.most);
        limit(Resource::As, soft, self.most)
    }
}

/// Never more than there was: who has no more rights than others can't have that.
fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.map_or(hard, |most| most.min(hard));
    Ok(setrlimit(resource, Rlimit { current: Some(soft.min(most)), maximum: Some(most) })?)
}

/// How much address space there is in use, in bytes.
fn occupied() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kilobytes =
        line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kilobytes.map(|size| size * 1_024).ok_or_else(|| io::Error::other("no VmSize is known"))
}

/// No path is followed, no address reached, and nobody else signalled from here on, as far as the kernel can see to
/// that; whether it can to any of it.
fn restricted() -> Result<bool, RulesetError> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(RESTRICTIONS))?
        .handle_access(AccessNet::from_all(RESTRICTIONS))?
        .scope(Scope::from_all(RESTRICTIONS))?;
    let status = rules.create()?.restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_order_is_no_picture() {
        for odd in [&b""[..], b"\n", b"{}\n", b"{\"bytes\": -1}\n", b"GIF89a"] {
            let mut said = Vec::new();
            assert!(work(&mut &*odd, &mut said).is_err(), "{odd:?}");
            assert_eq!(said, b"");
        }
    }
}
