//! Hashes passwords with argon2id: a bounded number at the same time, on threads where blocking is
//! allowed, and with a bounded queue. What does not fit is refused at once, so that a storm of
//! logins costs those logins and not everybody's reads.
//!
//! A [`Turn`] is taken before anything else is done for a login and held until it is answered. So
//! logins never hold more of the service's workers than there are turns, which are fewer than the
//! workers (`config`): somebody is always there for gateways, who ask for keys and revocations.
//!
//! argon2 fills megabytes each time. While people keep coming, that memory is kept from one to the next:
//! to have it from the operating system anew costs as much again as half of the hash. When nobody
//! is left, it goes back.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHash, PasswordHasher as _, PasswordVerifier as _,
    Version,
};
use panel_kernel::blocking::{BlockingPool, Place};
use panel_kernel::keys::constant_time_eq;
use parking_lot::Mutex;

use crate::error::AuthError;
use crate::rules;

/// argon2id with these parameters.
pub(crate) fn argon2id(memory_kib: u32, iterations: u32) -> Result<Argon2<'static>, String> {
    let params = Params::new(memory_kib, iterations, 1, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The hash of `password`, as a PHC string. Takes long, as it should.
pub(crate) fn hash(argon2: &Argon2<'_>, password: &[u8]) -> Result<String, String> {
    argon2.hash_password(password).map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// What a password turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not the one.
    Wrong,
    /// The one.
    Right,
    /// The one, whose hash was made with other parameters: this is the hash to keep.
    RightAs(String),
}

fn verify(
    argon2: &Argon2<'_>,
    password: &[u8],
    text: &str,
    memory: &Memory,
) -> Result<Verdict, String> {
    let kept = PasswordHash::new(text).map_err(|error| error.to_string())?;
    let (Some(salt), Some(expected), true) = (&kept.salt, &kept.hash, is_as(argon2, &kept)) else {
        // Made with other parameters, or elsewhere.
        return match argon2.verify_password(password, &kept) {
            Ok(()) => hash(argon2, password).map(Verdict::RightAs),
            Err(_) => Ok(Verdict::Wrong),
        };
    };
    let mut found = vec![0; expected.as_bytes().len()];
    let mut blocks = memory.take(argon2.params().block_count());
    let filled =
        argon2.hash_password_into_with_memory(password, salt, &mut found, blocks.as_mut_slice());
    memory.give(blocks);
    filled.map_err(|error| error.to_string())?;
    let same = constant_time_eq(&found, expected.as_bytes());
    Ok(if same { Verdict::Right } else { Verdict::Wrong })
}

/// Whether a hash was made as `argon2` makes them now.
fn is_as(argon2: &Argon2<'_>, kept: &PasswordHash) -> bool {
    let current = argon2.params();
    kept.algorithm == Algorithm::Argon2id.ident()
        && kept.version == Some(Version::V0x13.into())
        && Params::try_from(kept).is_ok_and(|made| {
            (made.m_cost(), made.t_cost(), made.p_cost())
                == (current.m_cost(), current.t_cost(), current.p_cost())
        })
}

/// Memory that nobody fills at the moment. Cheap to clone; clones share it.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<Vec<Vec<Block>>>>);

impl Memory {
    fn take(&self, blocks: usize) -> Vec<Block> {
        let kept = self.0.lock().pop();
        kept.filter(|kept| kept.len() == blocks).unwrap_or_else(|| vec![Block::default(); blocks])
    }

    fn give(&self, blocks: Vec<Block>) {
        self.0.lock().push(blocks);
    }

    fn clear(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        drop(all);
    }
}

/// Where passwords are hashed. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    pool: BlockingPool,
    argon2: Argon2<'static>,
    /// The hash of nobody's password, with the current parameters: verified where there is no
    /// account, so that it takes as long as where there is one.
    nobody: Arc<str>,
    memory: Memory,
}

impl Passwords {
    pub(crate) fn new(pool: BlockingPool, argon2: Argon2<'static>, nobody: &str) -> Self {
        Self { pool, argon2, nobody: nobody.into(), memory: Memory::default() }
    }

    /// Gets in line, or is refused.
    pub(crate) fn turn(&self) -> Result<Turn, AuthError> {
        let place = self.pool.enter().map_err(|_| AuthError::HashingBusy)?;
        Ok(Turn { passwords: self.clone(), place: Some(place) })
    }
}

/// The right to have passwords hashed.
#[derive(Debug)]
pub(crate) struct Turn {
    passwords: Passwords,
    /// There until it is dropped.
    place: Option<Place>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.place.take());
        // Of two who leave at the same moment, one sees that nobody is left.
        if self.passwords.pool.inside() == 0 {
            self.passwords.memory.clear();
        }
    }
}

impl Turn {
    pub(crate) async fn hash(&self, password: String) -> Result<String, AuthError> {
        self.run(move |argon2| hash(argon2, password.as_bytes())).await
    }

    /// Whether `password` is the one behind `hash`; without a hash it takes as long and is not.
    pub(crate) async fn verify(
        &self,
        password: &str,
        hash: Option<String>,
    ) -> Result<Verdict, AuthError> {
        if !rules::is_plausible_password(password) {
            return Ok(Verdict::Wrong);
        }
        let known = hash.is_some();
        let password = rules::normal_password(password);
        let hash = hash.unwrap_or_else(|| self.passwords.nobody.to_string());
        let memory = self.passwords.memory.clone();
        let verdict =
            self.run(move |argon2| verify(argon2, password.as_bytes(), &hash, &memory)).await?;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Argon2<'static>) -> Result<T, String> + Send + 'static,
    ) -> Result<T, AuthError> {
        let argon2 = self.passwords.argon2.clone();
        let place = self.place.as_ref().ok_or(AuthError::HashingBusy)?;
        let done = place.run(move || work(&argon2)).await;
        done.map_err(|_| AuthError::HashingBusy)?.map_err(AuthError::Crypto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passwords(queue: usize) -> Passwords {
        let argon2 = argon2id(64, 1).unwrap();
        let nobody = hash(&argon2, b"nobody").unwrap();
        Passwords::new(BlockingPool::new(1, queue), argon2, &nobody)
    }

    #[tokio::test]
    async fn a_password_is_right_wrong_or_hashed_anew() {
        let passwords = passwords(4);
        let turn = passwords.turn().unwrap();
        let kept = turn.hash("violet anchor".to_owned()).await.unwrap();
        let verdict = async |password: &str, kept: &str| {
            turn.verify(password, Some(kept.to_owned())).await.unwrap()
        };
        // Twice: the second time in the memory of the first.
        for _ in 0..2 {
            assert_eq!(verdict("violet anchor", &kept).await, Verdict::Right);
            assert_eq!(verdict("violet anchos", &kept).await, Verdict::Wrong);
        }
        assert_eq!(turn.verify("nobody", None).await.unwrap(), Verdict::Wrong);
        let (weaker, other) = (argon2id(32, 1).unwrap(), argon2id(64, 2).unwrap());
        let weaker = hash(&weaker, b"violet anchor").unwrap();
        let Verdict::RightAs(anew) = verdict("violet anchor", &weaker).await else { panic!() };
        assert_eq!(verdict("violet anchor", &anew).await, Verdict::Right);
        assert_eq!(verdict("violet anchos", &weaker).await, Verdict::Wrong);
        let slower = hash(&other, b"violet anchor").unwrap();
        assert!(matches!(verdict("violet anchor", &slower).await, Verdict::RightAs(_)));
        // Argon2i, as others may have made it.
        let params = Params::new(64, 1, 1, None).unwrap();
        let foreign = Argon2::new(Algorithm::Argon2i, Version::V0x13, params);
        let foreign = hash(&foreign, b"violet anchor").unwrap();
        assert!(matches!(verdict("violet anchor", &foreign).await, Verdict::RightAs(_)));
        assert!(turn.verify("violet anchor", Some("nonsense".to_owned())).await.is_err());
    }

    #[tokio::test]
    async fn memory_is_kept_while_people_come_and_goes_with_the_last() {
        let passwords = passwords(4);
        let (one, two) = (passwords.turn().unwrap(), passwords.turn().unwrap());
        let kept = || passwords.memory.0.lock().len();
        one.verify("x", None).await.unwrap();
        two.verify("x", None).await.unwrap();
        assert_eq!(kept(), 1, "one thread, one memory");
        drop(one);
        assert_eq!(kept(), 1);
        drop(two);
        assert_eq!(kept(), 0);
    }
}
