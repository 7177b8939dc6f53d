//! Recording decisions: by the lane, or in the transaction of the step that has just run.
//!
//! - [`Committer`] is the run's side. Most commits are a [`Request`] to the run's lane, which flushes whatever has accumulated
//!   ([`serve_requests`]). The outcome of a transactional step goes to its [`Seat`] in the
//!   step's own transaction, which `groups` commits.
//! - [`Ack`] says what became of a commit.
//!
//! When a commit is lost or its fate is open, the run is released: its rows say how it goes on, and its next worker reloads it
//! from them. A run whose record the database refuses for good is quarantined: it is `stuck` with `unrecordable`. Trouble that is not the
//! run's is waited out.

mod ack;
mod batch;
mod committer;
mod locked;
mod refused;
mod request;
mod seat;

pub(crate) use self::{
    ack::Ack,
    batch::serve_requests,
    committer::Committer,
    refused::Refused,
    request::{LaneHandle, Request},
    seat::{Decided, Seat, Verdict},
};
