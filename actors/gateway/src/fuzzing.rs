//! Doors for the fuzz targets, which see no more of this crate than others do. No other build has them.

use std::ops::Range;

use http::HeaderMap;
use panel_kernel::identity::IdentityReport;
use panel_kernel::message::Principal;
use panel_kernel::problem::Problem;
use panel_kernel::time::Timestamp;

use crate::edge::file::{Wanted, wanted};
use crate::identity::Identity;

/// Tells good access tokens from bad ones.
pub struct AccessTokens(Identity);

impl AccessTokens {
    /// Those of this issuer. No key is known yet.
    #[must_use]
    pub fn new(issuer: &str) -> Self {
        Self(Identity::new("auth", issuer, 100))
    }

    /// Takes in all that there is to know at `now`.
    pub fn learn(&self, report: IdentityReport, now: Timestamp) {
        self.0.learn(report, now, true);
    }

    /// Who asks with this token.
    ///
    /// # Errors
    /// 401 for a token that is not good; 503 if that can't be told.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, Problem> {
        self.0.verify(token, now)
    }
}

/// What a client asks for of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// What it does not have.
    Nothing,
}

/// What a request with these headers asks for of a file of so many bytes, where the answer has those.
#[must_use]
pub fn asked(request: &HeaderMap, answer: &HeaderMap, bytes: u64) -> Asked {
    match wanted(request, answer, bytes) {
        Wanted::All => Asked::Whole,
        Wanted::Part(part) => Asked::Part(part),
        Wanted::Nothing => Asked::Nothing,
    }
}
