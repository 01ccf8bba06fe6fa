//! What is to happen at a point, and how that is written.

use std::fmt;
use std::str::FromStr;

use super::points::{Point, find};
use crate::config::Span;

/// The longest delay: a longer one would be a freeze by another name.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(600);

/// What happens to whoever passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process dies at once, as by `kill -9`.
    Exit,
    /// The process stops, as by `SIGSTOP`.
    Freeze,
    /// A panic.
    Panic,
    /// What happens there fails.
    Error,
    /// It takes so much longer.
    Delay(Span),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit => f.write_str("exit"),
            Self::Freeze => f.write_str("freeze"),
            Self::Panic => f.write_str("panic"),
            Self::Error => f.write_str("error"),
            Self::Delay(time) => write!(f, "delay({time})"),
        }
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(time) = text.strip_prefix("delay(").and_then(|rest| rest.strip_suffix(')')) {
            let time: Span = time.parse()?;
            if time.0 > LONGEST {
                return Err(format!("a delay is at most {}", Span(LONGEST)));
            }
            return Ok(Self::Delay(time));
        }
        match text {
            "exit" => Ok(Self::Exit),
            "freeze" => Ok(Self::Freeze),
            "panic" => Ok(Self::Panic),
            "error" => Ok(Self::Error),
            _ => Err(format!(
                "{text:?} is not an action; there are exit, freeze, panic, error and delay(50ms)"
            )),
        }
    }
}

/// A point with what is to happen there: `<point>=<action>[*<times>][@<after>]`, the next `times`
/// passes (one, if it is not said) after `after` others (none).
#[derive(Clone, Copy, Debug)]
pub struct Arming {
    /// Where.
    pub point: &'static Point,
    /// What.
    pub action: Action,
    /// How often.
    pub times: u32,
    /// After how many passes to which nothing happens.
    pub after: u32,
}

impl fmt::Display for Arming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}*{}@{}", self.point.name, self.action, self.times, self.after)
    }
}

impl FromStr for Arming {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text
            .trim()
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is not <point>=<action>[*<times>][@<after>]"))?;
        let point = find(name)?;
        let (rest, after) = counted(rest, '@', 0)?;
        let (action, times) = counted(rest, '*', 1)?;
        let action: Action = action.parse()?;
        match action {
            Action::Delay(_) if !point.waits => Err(format!("nobody can wait at {name}")),
            Action::Error if !point.fails => Err(format!("nothing can fail at {name}")),
            _ => Ok(Self { point, action, times, after }),
        }
    }
}

/// What stands before `mark`, and the number after it.
fn counted(text: &str, mark: char, otherwise: u32) -> Result<(&str, u32), String> {
    let Some((before, number)) = text.rsplit_once(mark) else { return Ok((text, otherwise)) };
    let number = number.parse().map_err(|_| format!("{number:?} after {mark} is not a number"))?;
    Ok((before, number))
}
