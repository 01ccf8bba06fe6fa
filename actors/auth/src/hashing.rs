//! Hashes passwords with argon2id: a bounded number at the same time, on threads where
//! blocking is allowed, and with a bounded queue. What does not fit is refused at once, so
//! that a storm of logins costs those logins and not everybody's reads.
//!
//! Failure: hashes under way are lost (their logins answer 503), nothing else.

use std::collections::VecDeque;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use panel_kernel::supervision::{Address, CallFailed};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use ractor_cluster::RactorMessage;

use crate::error::AuthError;
use crate::rules;

/// No hash takes longer, or the parameters are beyond this machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be computed.
#[derive(Debug)]
pub(crate) enum Task {
    /// The hash of a new password, as a PHC string.
    Hash(String),
    /// Whether a password is the one behind a hash.
    Verify { password: String, hash: String },
}

/// What came out.
#[derive(Debug)]
pub(crate) enum Outcome {
    Hashed(String),
    Verified(bool),
    Refused,
    Failed(String),
}

/// What the pool is told.
#[derive(Debug, RactorMessage)]
pub(crate) enum HashingMessage {
    /// Compute this.
    Run(Task, RpcReplyPort<Outcome>),
    /// A computation has ended. Sent by its thread.
    Ended,
}

/// The pool.
#[derive(Debug)]
pub(crate) struct Hashing {
    pub(crate) address: Address<HashingMessage>,
    pub(crate) argon2: Argon2<'static>,
    pub(crate) threads: usize,
    pub(crate) queue: usize,
}

/// What runs and what waits.
#[derive(Debug, Default)]
pub(crate) struct HashingState {
    running: usize,
    waiting: VecDeque<(Task, RpcReplyPort<Outcome>)>,
}

impl Actor for Hashing {
    type Msg = HashingMessage;
    type State = HashingState;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<HashingMessage>,
        (): (),
    ) -> Result<HashingState, ActorProcessingErr> {
        self.address.announce(&myself);
        Ok(HashingState::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<HashingMessage>,
        message: HashingMessage,
        state: &mut HashingState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            HashingMessage::Run(task, port) if state.waiting.len() < self.queue => {
                state.waiting.push_back((task, port));
            }
            HashingMessage::Run(_, port) => drop(port.send(Outcome::Refused)),
            HashingMessage::Ended => state.running = state.running.saturating_sub(1),
        }
        while state.running < self.threads {
            let Some((task, port)) = state.waiting.pop_front() else { break };
            // Whoever gave up waiting wants no answer.
            if !port.is_closed() {
                state.running += 1;
                self.run(task, port, Ended(myself.clone()));
            }
        }
        Ok(())
    }
}

/// Tells the pool that a computation has ended, also if it panicked.
struct Ended(ActorRef<HashingMessage>);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.send_message(HashingMessage::Ended));
    }
}

impl Hashing {
    fn run(&self, task: Task, port: RpcReplyPort<Outcome>, ended: Ended) {
        let argon2 = self.argon2.clone();
        #[allow(clippy::disallowed_methods, reason = "its end is a message to us")]
        tokio::task::spawn_blocking(move || {
            let _ended = ended;
            drop(port.send(compute(&argon2, task)));
        });
    }
}

fn compute(argon2: &Argon2<'_>, task: Task) -> Outcome {
    match task {
        Task::Hash(password) => match argon2.hash_password(password.as_bytes()) {
            Ok(hash) => Outcome::Hashed(hash.to_string()),
            Err(error) => Outcome::Failed(error.to_string()),
        },
        Task::Verify { password, hash } => match argon2::PasswordHash::new(&hash) {
            Ok(hash) => {
                Outcome::Verified(argon2.verify_password(password.as_bytes(), &hash).is_ok())
            }
            Err(error) => Outcome::Failed(error.to_string()),
        },
    }
}

/// argon2id with these parameters.
pub(crate) fn argon2id(memory_kib: u32, iterations: u32) -> Result<Argon2<'static>, String> {
    let params = Params::new(memory_kib, iterations, 1, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Asks the pool. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    pool: Address<HashingMessage>,
    /// The hash of nobody's password, with the current parameters: verified where there is no
    /// account, so that it takes as long as where there is one.
    nobody: String,
}

impl Passwords {
    pub(crate) const fn new(pool: Address<HashingMessage>, nobody: String) -> Self {
        Self { pool, nobody }
    }

    pub(crate) async fn hash(&self, password: String) -> Result<String, AuthError> {
        match self.ask(Task::Hash(password)).await? {
            Outcome::Hashed(hash) => Ok(hash),
            other => Err(unexpected(other)),
        }
    }

    /// Whether `password` is the one behind `hash`; without a hash it takes as long and is not.
    pub(crate) async fn verify(
        &self,
        password: &str,
        hash: Option<String>,
    ) -> Result<bool, AuthError> {
        if !rules::is_plausible_password(password) {
            return Ok(false);
        }
        let known = hash.is_some();
        let password = rules::normal_password(password);
        let hash = hash.unwrap_or_else(|| self.nobody.clone());
        match self.ask(Task::Verify { password, hash }).await? {
            Outcome::Verified(right) => Ok(right && known),
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&self, task: Task) -> Result<Outcome, AuthError> {
        self.pool.call(|port| HashingMessage::Run(task, port), PATIENCE).await.map_err(|error| {
            match error {
                CallFailed::Absent | CallFailed::Died | CallFailed::TimedOut => {
                    AuthError::HashingBusy
                }
            }
        })
    }
}

fn unexpected(outcome: Outcome) -> AuthError {
    match outcome {
        Outcome::Refused => AuthError::HashingBusy,
        Outcome::Failed(why) => AuthError::Crypto(why),
        Outcome::Hashed(_) | Outcome::Verified(_) => {
            AuthError::Crypto("the pool answered another question".to_owned())
        }
    }
}
