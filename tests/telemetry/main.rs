//! What a process tells of itself beside its metrics: log lines that can be searched by run, and traces that go through.

mod logs;
#[path = "../support/mod.rs"]
mod support;
mod traces;
