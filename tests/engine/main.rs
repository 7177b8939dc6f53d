//! The engine's promises, held by tests: on a real Postgres, with workers that are stopped, killed and cut off.
//!
//! | file | holds |
//! |---|---|
//! | `promises` | the seven promises, under their names |
//! | `outcomes` | what becomes of steps and runs, one way to end after the other |
//! | `many_steps` | runs of thousands of steps: what they cost grows with their length, not faster |
//! | `attempts` | the log of attempts that did not end well |
//! | `waits` | time, signals, branches, replay |
//! | `placing` | starts and keys, queues, versions, workers that come and go |
//! | `races` | two at the same moment, in both orders, forced by locks |
//! | `fences` | transactions of a lane's steps beside each other, takeovers and releases, in both orders |
//! | `groups` | steps that share a transaction |
//! | `verbs_races` | an operator and a worker at the same moment, where the worker is stale or about to make a plan |
//! | `holds` | what is held back does not begin; what is under way ends; a release lets it go on |
//! | `breakers`, `limits` | what processes share of limits and circuit breakers |
//! | `plans` | what flushes write is looked up by key, whatever the tables look like |
//! | `poison` | a run that kills its workers is found, and costs no other |
//! | `retention` | what is kept, and what goes |
//! | `leftovers` | small tables that would grow for ever: what of them goes, and what is in use and stays |
//! | `migrations` | what a filled database is after a migration |
//! | `releases` | older and newer releases beside each other: what is left alone, what is refused |
//! | `restores` | a database restored from a backup beside workers that know more |
//! | `upgrade` | databases from before engine and shop had a history of migrations each |
//! | `schemas` | engines in schemas of one database share nothing |
//! | `secrets` | what is marked as secret is shown nowhere |
//! | `schedules` | runs by the clock: slots, downtime, overlap |
//! | `operations` | bulk operations: each run once, also over crashes; paused, cancelled, refused |
//! | `verbs`, `pauses`, `settles`, `verbs_table`, `forks` | what operators do to one run |
//! | `audits` | whatever operators do: one commit with its audit; nothing, if it is a dry run |
//! | `transactional` | steps that commit together with their own SQL |
//! | `read_only`, `carried` | steps that change nothing; outcomes that go along in a later commit |
//! | `deploys` | builds side by side, queues that nobody serves, mistakes of registration |
//! | `extremes` | spans without end, and panics of the worker's own code |
//! | `dropped` | callers that stop waiting at any await |
//! | `signals` | signals that come many at a time |
//! | `sessions` | sessions are as the engine relies on, whatever a database sets |
//! | `lookups` | a lane reads what it works on, not what is kept |
//! | `numbering` | numbering events costs what is new, not what is kept |
//! | `outbox` | events leave in order, each at least once, whatever is killed |
//! | `relays`, `skips` | who delivers them, and an operator who passes one over |
//! | `trouble` | a database in trouble is waited out, never blamed on a run |
//! | `crash` | workers and Postgres killed in mid-work |
//! | `open_transactions` | a caller's open transaction holds up its own run and no other |
//! | `silence` | networks and processes that are silent: it ends, and hurts nobody else |
//! | `finding` | lists, attention, why, counts, the fleet |

#[path = "../support/mod.rs"]
mod support;

mod attempts;
mod audits;
mod breakers;
mod carried;
mod crash;
mod deploys;
mod dropped;
mod extremes;
mod fences;
mod forks;
mod groups;
mod groups_of_lanes;
mod holds;
mod leftovers;
mod limits;
mod lookups;
mod many_steps;
mod migrations;
mod numbering;
mod open_transactions;
mod operations;
mod outbox;
mod outcomes;
mod pauses;
mod placing;
mod plans;
mod poison;
mod promises;
mod races;
mod read_only;
mod received;
mod relays;
mod releases;
mod restores;
mod retention;
mod schedules;
mod schemas;
mod search;
mod secrets;
mod sessions;
mod settles;
mod signals;
mod silence;
mod skips;
mod starting;
mod transactional;
mod trouble;
mod upgrade;
mod verbs;
mod verbs_races;
mod verbs_table;
mod waits;
