//! What a process reports beside its metrics: log lines that can be searched by run, and traces that continue the caller's.

mod logs;
#[path = "../support/mod.rs"]
mod support;
mod traces;
