//! The five cumulative ranks of a signed-in person.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A rank. Each includes the rights of those below it.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads and writes as everybody does.
    User,
    /// Also writes articles and uploads files.
    Premium,
    /// Also moderates: bans, categories, other people's content.
    Moderator,
    /// Also manages users and configuration.
    Admin,
    /// Also reads security records and may appoint administrators.
    SystemAdmin,
}

impl Role {
    /// All of them, lowest first.
    pub const ALL: [Self; 5] =
        [Self::User, Self::Premium, Self::Moderator, Self::Admin, Self::SystemAdmin];

    /// The rank as a number for storage and comparison in SQL: 1 (user) to 5 (system admin).
    /// 0 is nobody, the anonymous reader.
    #[must_use]
    pub const fn level(self) -> i64 {
        match self {
            Self::User => 1,
            Self::Premium => 2,
            Self::Moderator => 3,
            Self::Admin => 4,
            Self::SystemAdmin => 5,
        }
    }

    /// The rank with that number, if there is one.
    #[must_use]
    pub fn from_level(level: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.level() == level)
    }

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Premium => "premium",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
            Self::SystemAdmin => "system_admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            format!("{text:?} is not a role (user, premium, moderator, admin, system_admin)")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_cumulative_and_round_trip() {
        assert!(Role::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for role in Role::ALL {
            assert_eq!(Role::from_level(role.level()), Some(role));
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        assert_eq!(Role::from_level(0), None);
    }
}
