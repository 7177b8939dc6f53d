//! What callers may name things: queues, keys, signals.

use super::{check::check_text, core::holds::RESERVED, error::Error};

/// The queue of runs that name none.
pub const DEFAULT_QUEUE: &str = "default";

pub(crate) fn check_name(what: &str, name: Option<&str>, longest: usize) -> Result<(), Error> {
    match name {
        Some("") => Err(Error::InvalidField {
            field: what.to_owned(),
            message: format!("it is empty; 1 to {longest} characters are taken"),
        }),
        Some(name) => check_text(what, name, longest),
        None => Ok(()),
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

/// Keys that begin so belong to runs that callers can't start: those of internal workflows, and of schedules' slots. So nobody can
/// take one before the service does.
pub(crate) const INTERNAL_KEY: &str = "@internal:";
/// See [`INTERNAL_KEY`].
pub(crate) const SCHEDULE_KEY: &str = "@schedule:";

/// A key as a caller may state it.
pub(crate) fn check_callers_key(key: Option<&str>) -> Result<(), Error> {
    match [INTERNAL_KEY, SCHEDULE_KEY].iter().find(|ours| key.is_some_and(|key| key.starts_with(*ours))) {
        Some(ours) => Err(Error::InvalidRequest(format!("a key that begins with {ours} is not for callers"))),
        None => Ok(()),
    }
}
