//! What callers may name things: queues, keys, signals.

use super::{core::holds::RESERVED, error::Error};

/// The queue of runs that name none.
pub const DEFAULT_QUEUE: &str = "default";

pub(crate) fn check_name(what: &str, name: Option<&str>, longest: usize) -> Result<(), Error> {
    match name {
        Some(name) if name.is_empty() || name.chars().count() > longest || name.contains('\0') => {
            Err(Error::InvalidRequest(format!("the {what} has 1 to {longest} characters and no NUL")))
        }
        _ => Ok(()),
    }
}

/// Names that begin so are ours: runs that wait for a held activity stand in such queues.
pub(crate) fn check_queue(name: Option<&str>) -> Result<(), Error> {
    match name {
        Some(name) if name.starts_with(RESERVED) => {
            Err(Error::InvalidRequest(format!("a name that begins with {RESERVED} is not for callers")))
        }
        _ => Ok(()),
    }
}
