//! Alerts: operators are told by mail and webhook what needs them, and when it is over.
//!
//! A process looks at what is wrong ([`look`]), decides what is news ([`decide`], pure) and writes that with the messages in one
//! transaction, under a lock: of many processes one tells it. Messages are rows until somebody has taken them, so that a process
//! that dies loses none; one that comes twice has the same id.

mod decide;
mod look;
pub(in crate::orders) mod model;
mod run;
mod words;

pub(in crate::orders) use self::run::run as tell_all;
