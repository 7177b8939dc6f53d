//! What a process tells of itself: logs, metrics and, with the feature `otlp`, traces.
//!
//! | part | does |
//! |---|---|
//! | `logs` | where logs go and what they look like |
//! | `metrics` | the recorder behind `/metrics` |

mod logs;
mod metrics;

pub use self::{
    logs::init,
    metrics::{Recorder, record},
};
