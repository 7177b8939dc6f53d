//! The pure core: facts in, decisions out. Nothing here knows SQL, tokio or a clock; that is why thousands of seeds of
//! crashes and races can be simulated in seconds (tests/simulation), and why the rules can be read in one place.
//!
//! `context` is what workflow authors hold, `execution` polls their function, `machine` decides, `plan` says what is undone
//! in which order, `transition` which status may follow which, `action` what operators can ask, `verbs` what comes of it, `attention`
//! what they should look at, `trace` which trace a run belongs to, `redact` what nobody is shown.
//! in which order, `transition` which status may follow which, `action` what operators can ask, `cron` when a schedule's slots
//! are and `schedule` what becomes of them.
//! in which order, `transition` which status may follow which, `action` what operators can ask,
//! `trace` which trace a run belongs to.
//! in which order, `transition` which status may follow which, `action` what operators can ask, `redact` what nobody is shown.
//! in which order, `transition` which status may follow which, `action` what operators can ask, `verbs` what comes of it,
//! `attention` what they should look at, `holds` what is held back, `cron` when a schedule's slots are and `schedule` what
//! becomes of them, `trace` which trace a run belongs to, `redact` what nobody is shown.

pub mod attention;
pub mod context;
pub mod cron;
pub mod decision;
pub mod execution;
pub mod holds;
pub mod join;
pub mod machine;
pub mod model;
pub mod operation;
pub mod plan;
pub mod policy;
pub mod redact;
pub mod ruling;
pub mod schedule;
pub mod schema;
pub mod trace;
pub mod transition;
pub mod verb;
