//! `payload`: an input of 100 kB and two outputs of 100 kB. What is written is the limit, not how often.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::scenario::Scenario;
use crate::engine::{
    Activity, ActivityContext, ActivityError, Context, Error, Failure, Registry, StartRun, Workflow, to_json,
};

const BYTES: usize = 100_000;

/// Runs with large payloads. The text is no repetition: Postgres would compress that to nothing.
pub(super) struct Payload {
    input: Arc<RawValue>,
    text: Arc<str>,
}

impl Payload {
    /// # Errors
    /// When the input has no JSON form, which would be a mistake.
    pub(super) fn new() -> Result<Self, Error> {
        let mut state = 1_u64;
        let letter = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + (state >> 58) as u8)
        };
        let text: String = (0..BYTES).map(letter).collect();
        let input = to_json(&text).map_err(|error| Error::InvalidRequest(error.to_string()))?;
        Ok(Self { input, text: text.into() })
    }

    /// Bytes of payload that a run leaves.
    pub(super) const BYTES_PER_RUN: f64 = 3.0 * BYTES as f64;
}

impl Scenario for Payload {
    const NAME: &'static str = "payload";
    const STEPS_PER_RUN: u32 = 2;
    const RUNS: usize = 1_000;
    const IDLE_RUNS: usize = 50;

    fn register(&self, registry: Registry) -> Registry {
        let (fetch, convert) = (Fetch(self.text.clone()), Convert(self.text.clone()));
        registry.workflow(BenchPayload).activity(fetch).activity(convert)
    }

    fn next_run(&self) -> StartRun {
        StartRun::named(BenchPayload::NAME, self.input.clone())
    }
}

/// The two steps differ in their names only.
macro_rules! step {
    ($type:ident, $name:literal) => {
        struct $type(Arc<str>);
        impl Activity for $type {
            const NAME: &'static str = $name;
            type Input = ();
            type Output = String;
            async fn run(&self, _: &ActivityContext, (): &()) -> Result<String, ActivityError> {
                Ok(self.0.to_string())
            }
        }
    };
}
step!(Fetch, "fetch");
step!(Convert, "convert");

struct BenchPayload;

impl Workflow for BenchPayload {
    const NAME: &'static str = "bench_payload";
    type Input = String;
    type Output = ();

    async fn run(&self, cx: &Context, _: String) -> Result<(), Failure> {
        cx.call::<Fetch>(()).await?;
        cx.call::<Convert>(()).await?;
        Ok(())
    }
}
