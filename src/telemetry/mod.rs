//! Logs, metrics and, with the feature `otlp`, traces.
//!
//! | part | does |
//! |---|---|
//! | `logs` | destination and format of logs |
//! | `metrics` | the recorder behind `/metrics` |
//! | `otlp` | attempts as spans, to a collector (only with the feature) |
//! | `statements` | counts the statements that a process sends |

#[cfg(feature = "cli")]
mod logs;
#[cfg(feature = "server")]
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "cli")]
mod statements;

#[cfg(feature = "cli")]
pub use self::logs::{init, json_layer};
#[cfg(feature = "server")]
pub use self::metrics::{Recorder, RecorderError, record};
#[cfg(feature = "otlp")]
pub use self::otlp::{Traces, TracesError};
#[cfg(feature = "cli")]
pub use self::statements::{count_statements, counted_statements};
