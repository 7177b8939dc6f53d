//! The front door: [`Engine`], with a file for each thing that callers and operators do.
//!
//! `engine` is the handle and its settings; `batcher` gathers what is written together, such as `start_together`'s starts; `start`, `signals` and `run` are for callers; `verbs`, `fork`, `operations`, `holds`,
//! `schedules`, `retention` and `keys` for operators, audited by `audit`; `limits` and `received` are for those that take requests and events; `outbox` for events that leave; `search`, `why`, `export`, `gauges` and `limbo` only
//! read. `migrations` makes the schema.

mod accepted;
mod audit;
mod batcher;
mod breakers;
mod engine;
mod export;
mod fork;
mod gauges;
mod holds;
mod keys;
mod limbo;
mod limits;
mod migrations;
mod operations;
mod outbox;
mod received;
mod retention;
mod run;
mod schedules;
mod search;
mod served;
mod signals;
mod start;
mod start_request;
mod start_together;
mod verbs;
mod why;

pub use self::{
    audit::{AuditRecord, Operator, Subject},
    batcher::{Batched, Batcher},
    breakers::{Admitted, Breaker, HeldBack},
    engine::{DEFAULT_MAX_PAYLOAD, DEFAULT_RETENTION, Engine},
    keys::{OpenedSession, SESSION_FOR},
    limbo::Limbo,
    limits::{Allowance, Limiter},
    received::{TopicPart, TopicRecord},
    run::RunWatch,
    signals::SendSignal,
    start_request::{StartRun, Started},
};
