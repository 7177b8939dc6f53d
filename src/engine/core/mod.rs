//! The pure core: facts in, decisions out. Nothing here knows SQL, tokio or a clock; that is why thousands of seeds of
//! crashes and races can be simulated in seconds (tests/simulation), and why the rules can be read in one place.
//!
//! | file | has |
//! |---|---|
//! | `model` | the nouns: run, step, outcome, failure |
//! | `context`, `join` | what workflow functions use; `execution` polls them |
//! | `machine` | a run's decisions: events in, `decision` out |
//! | `time` | moments and spans that can't overflow |
//! | `poison` | which run it is that kills its workers |
//! | `plan` | which steps are undone, in which order |
//! | `transition` | which status may follow which |
//! | `verb`, `ruling` | what operators can ask of a run, and what comes of it |
//! | `policy` | retries and timeouts |
//! | `catalog` | what is known of activities |
//! | `grouping` | which attempts share a transaction |
//! | `attention`, `holds`, `operation` | the rules of attention, holds and bulk operations |
//! | `cron`, `schedule` | when a schedule's slots are due, and whether each is run |
//! | `bucket`, `breaker` | rate limits, circuit breakers |
//! | `mapping` | what comes of events from outside |
//! | `numbering` | which numbers committed events get |
//! | `trace`, `redact` | trace ids, hidden fields |
//! | `schema`, `mismatch` | JSON schemas, and what does not fit one |

pub mod attention;
pub mod breaker;
pub mod bucket;
pub mod catalog;
pub mod context;
pub mod cron;
pub mod decision;
pub mod execution;
pub mod grouping;
pub mod holds;
pub(crate) mod ids;
pub mod join;
pub mod machine;
pub mod mapping;
pub(crate) mod mismatch;
pub mod model;
pub(crate) mod numbering;
pub mod operation;
pub mod plan;
pub mod poison;
pub mod policy;
pub mod redact;
pub mod ruling;
pub mod schedule;
pub mod schema;
pub mod time;
pub mod trace;
pub mod transition;
pub mod verb;
pub mod visibility;
pub mod words;
