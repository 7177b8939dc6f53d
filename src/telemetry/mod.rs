//! What a process tells of itself: logs, metrics and, with the feature `otlp`, traces.
//!
//! | part | does |
//! |---|---|
//! | `logs` | where logs go and what they look like |
//! | `metrics` | the recorder behind `/metrics` |
//! | `otlp` | attempts as spans, to a collector; without the feature nothing of it is built |

mod logs;
mod metrics;
#[cfg(feature = "otlp")]
mod otlp;

#[cfg(feature = "otlp")]
pub use self::otlp::Traces;
pub use self::{
    logs::{init, json_layer},
    metrics::{Recorder, record},
};
