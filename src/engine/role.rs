//! What a key may do. Roles are ordered: each may do what those before it may.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What a key may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Read.
    Viewer,
    /// Start runs, place orders, send signals.
    Starter,
    /// Every verb on runs, bulk operations, holds, schedules.
    Operator,
    /// Keys.
    Admin,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Starter, Self::Operator, Self::Admin];

    /// Its word, in the API, on the command line and in the table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Starter => "starter",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Its word as a sentence has it: `a viewer`, `an admin`.
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Viewer => "a viewer",
            Self::Starter => "a starter",
            Self::Operator => "an operator",
            Self::Admin => "an admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A word that is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: it is one of viewer, starter, operator, admin")]
pub struct NoRole(
    /// The word.
    pub String,
);

impl FromStr for Role {
    type Err = NoRole;

    fn from_str(text: &str) -> Result<Self, NoRole> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| NoRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_their_words_lead_back_to_them() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.word().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).ok(), Some(format!("\"{role}\"")));
        }
        assert!("root".parse::<Role>().is_err_and(|error| error.to_string().contains("operator")));
    }
}
