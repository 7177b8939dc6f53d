//! How often and how long a step is tried, and how its undo is.
//!
//! The default is the contract's: 8 attempts, from 250 ms, doubled, at most 15 s apart (about a minute), the undo's the same.

use std::time::Duration;

use utoipa::ToSchema;

/// When an attempt that had no effect, or an unknown one, is made again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub max_attempts: u32,
    /// The wait before the second attempt.
    pub first: Duration,
    /// What each wait is multiplied by for the next one.
    pub factor: f64,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: 8, first: Duration::from_millis(250), factor: 2.0, longest: Duration::from_secs(15) }
    }
}

impl Retry {
    /// One attempt, no more.
    pub const NEVER: Self = Self { max_attempts: 1, first: Duration::ZERO, factor: 1.0, longest: Duration::ZERO };

    /// The wait after `attempts` attempts. `jitter` in [0, 1) takes up to a fifth off, so that runs that failed
    /// together do not come back together; it is an input so that this stays a pure function.
    pub fn wait(&self, attempts: u32, jitter: f64) -> Duration {
        let exponent = attempts.saturating_sub(1).min(63) as i32;
        let full = self.first.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let capped = full.min(self.longest.as_secs_f64());
        // Whole microseconds, as the database keeps them.
        Duration::from_micros((capped * (1.0 - 0.2 * jitter.clamp(0.0, 1.0)) * 1e6) as u64)
    }
}

/// A step's rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How long one attempt (or verification) may take; after that its outcome is unknown.
    pub attempt_timeout: Duration,
    /// How long the step may take in all, retries and waits included; `None`: no bound but the attempts.
    pub deadline: Option<Duration>,
    /// Retries of the step.
    pub retry: Retry,
    /// Codes that are never retried, whatever the activity's error says.
    pub non_retryable: Vec<&'static str>,
    /// Retries of the undo.
    pub undo_retry: Retry,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(30),
            deadline: None,
            retry: Retry::default(),
            non_retryable: Vec::new(),
            undo_retry: Retry::default(),
        }
    }
}

/// The JSON schemas of what something takes and gives, for people and for clients' generators. Nothing is checked by them.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Of its input.
    pub input: Option<serde_json::Value>,
    /// Of its output.
    pub output: Option<serde_json::Value>,
}

impl Schema {
    /// The schemas of two types, each complete in itself.
    pub fn of<Input: ToSchema, Output: ToSchema>() -> Self {
        Self { input: Some(schema_of::<Input>()), output: Some(schema_of::<Output>()) }
    }
}

/// A type's schema, with what it refers to as its own definitions.
fn schema_of<T: ToSchema>() -> serde_json::Value {
    let mut named = Vec::new();
    T::schemas(&mut named);
    let mut schema = serde_json::to_value(T::schema()).unwrap_or_default();
    if !named.is_empty() {
        let named = named.into_iter().map(|(name, schema)| (name, serde_json::to_value(schema).unwrap_or_default()));
        schema["$defs"] = named.collect::<serde_json::Map<_, _>>().into();
    }
    refer_to_defs(&mut schema);
    schema
}

fn refer_to_defs(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(serde_json::Value::String(reference)) = members.get_mut("$ref") {
                *reference = reference.replace("#/components/schemas/", "#/$defs/");
            }
            members.values_mut().for_each(refer_to_defs);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(refer_to_defs),
        _ => {}
    }
}

/// What the core needs to know of an activity, without its types.
#[derive(Clone, Debug)]
pub struct ActivityMeta {
    /// Its name, which the step rows bear.
    pub name: &'static str,
    /// Its rules.
    pub policy: Policy,
    /// It has an undo.
    pub undoable: bool,
    /// It can be asked whether an unknown attempt took effect.
    pub verifiable: bool,
    /// Its SQL commits together with its outcome, so that it is never unknown.
    pub transactional: bool,
    /// The queue whose workers execute it; `None`: the run's.
    pub queue: Option<&'static str>,
    /// What it takes and gives, where its author says it.
    pub schema: Schema,
}

/// Looks activities up by name.
pub trait Catalog: Send + Sync {
    /// What is known of the activity; `None` where it is not registered here.
    fn activity(&self, name: &str) -> Option<&ActivityMeta>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_retries_for_about_a_minute() {
        let retry = Retry::default();
        let total: Duration = (1..retry.max_attempts).map(|n| retry.wait(n, 0.0)).sum();
        assert_eq!(retry.wait(1, 0.0), Duration::from_millis(250));
        assert!(total > Duration::from_secs(30) && total < Duration::from_secs(75), "{total:?}");
    }

    #[test]
    fn jitter_only_ever_shortens_and_never_below_four_fifths() {
        let retry = Retry::default();
        for attempts in 1..100 {
            let (least, most) = (retry.wait(attempts, 1.0), retry.wait(attempts, 0.0));
            assert!(least <= most && least >= most.mul_f64(0.79) && most <= retry.longest);
        }
    }
}
