//! What a key may do. Roles are ordered: each may do what those before it may.

use super::core::words::words;

words! {
    /// What a key may do; each role may do what those before it may.
    Role, "role" {
        /// Read.
        Viewer = "viewer",
        /// Start runs, place orders, send signals.
        Starter = "starter",
        /// Every verb on runs, bulk operations, holds, schedules.
        Operator = "operator",
        /// Keys.
        Admin = "admin",
    }
}

impl Role {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_and_their_words_lead_back_to_them() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL.iter().copied() {
            assert_eq!(role.word().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).ok(), Some(format!("\"{role}\"")));
        }
        assert!("root".parse::<Role>().is_err_and(|error| error.to_string().contains("operator")));
    }
}
