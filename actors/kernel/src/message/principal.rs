//! On whose behalf a request is made, as the gateway established it. Services trust this and
//! decide by it, again, in their own rules; nothing a client sends ends up here unverified.

use crate::ids::Id;
use crate::problem::{Kind, Problem};
use crate::role::Role;

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Principal {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// A signed-in person, or a key that acts for one.
    User(User),
    /// Another service of this cluster, by name. The gateway never makes this one.
    Service(String),
}

/// A signed-in person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The account.
    pub id: Id,
    /// The session (or API key) the request came with.
    pub session: Id,
    /// The name shown to others, as of the token.
    pub name: String,
    /// The rank, as of the token.
    pub role: Role,
    /// For API keys: the only scopes they have (`forum:read`). `None`: not limited.
    pub scopes: Option<Vec<String>>,
}

impl Principal {
    /// The name of whoever asks what clients make it ask.
    pub const FOR_CLIENTS: &'static str = "gateway for clients";

    /// Whether it goes before clients, and has places of its own: what services ask of each other for
    /// themselves.
    #[must_use]
    pub fn goes_first(&self) -> bool {
        matches!(self, Self::Service(name) if name != Self::FOR_CLIENTS)
    }

    /// The signed-in person.
    ///
    /// # Errors
    /// 401 for anybody else.
    pub fn user(&self) -> Result<&User, Problem> {
        match self {
            Self::User(user) => Ok(user),
            _ => Err(Problem::new(Kind::Unauthorized, "sign in to do this")),
        }
    }

    /// The signed-in person, if of at least this rank.
    ///
    /// # Errors
    /// 401 for the anonymous, 403 for lower ranks.
    pub fn at_least(&self, role: Role) -> Result<&User, Problem> {
        let user = self.user()?;
        if user.role >= role {
            Ok(user)
        } else {
            Err(Problem::new(Kind::Forbidden, format!("this takes the role {role} or above")))
        }
    }

    /// The rank for comparison in SQL: 0 for the anonymous.
    #[must_use]
    pub fn level(&self) -> i64 {
        match self {
            Self::User(user) => user.role.level(),
            _ => 0,
        }
    }

    /// A word for logs that identifies without naming.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::User(user) => user.id.to_string(),
            Self::Service(name) => format!("service:{name}"),
        }
    }
}
