//! Circuit breakers that all processes of a database share: [`Engine::breaker`].
//!
//! A call that is served costs no statement while its breaker is closed: what processes know of all breakers is read once a second
//! at most, and counts are written only when calls fail. While the database is away, nobody is held back.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::json;
use tracing::Instrument;

use crate::engine::{
    api::{
        audit::{Operator, Subject},
        engine::Engine,
    },
    breakers::{Breakers, Look, Name},
    core::breaker::{Admission, BreakerMode, BreakerRules, Circuit},
    error::Error,
    names::check_name,
    read_models::BreakerScope,
    store::{audit, breakers},
};

/// What is known is read again after so long, beside the call that finds it old.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// What is older than this is read before the call goes.
const OLD_AFTER: Duration = Duration::from_secs(3);
/// A statement that takes longer holds no call up.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);

const LONGEST_NAME: usize = 64;

/// The breaker of one operation of another system.
#[derive(Clone)]
pub struct Breaker {
    engine: Engine,
    name: Name,
    /// The engine's, where it has none of its own.
    rules: Option<BreakerRules>,
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A call that may go. Say with [`Admitted::record`] what it came to.
#[derive(Debug)]
#[must_use]
pub struct Admitted {
    breaker: Breaker,
    /// It is the probe of this name.
    probe: Option<i64>,
}

/// Calls are held back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the breaker of {scope} {operation} is open")]
pub struct HeldBack {
    /// The other system.
    pub scope: String,
    /// The operation.
    pub operation: String,
    /// By an operator: it does not close by itself.
    pub by_operator: bool,
    /// After so long a call may go, as far as this process knows.
    pub retry_after: Duration,
}

impl Engine {
    /// The breaker of an operation of another system, such as `charge` of `stripe`. All processes of a database share it.
    pub fn breaker(&self, scope: &str, operation: &str) -> Breaker {
        Breaker { engine: self.clone(), name: (scope.to_owned(), operation.to_owned()), rules: None }
    }

    /// When breakers open, and for how long; the same in all processes, or each goes by its own.
    pub fn with_breaker_rules(self, rules: BreakerRules) -> Self {
        self.known_breakers().rules = rules;
        self
    }

    /// The breakers that have had a failure or were set by an operator.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn breakers(&self) -> Result<Vec<BreakerScope>, Error> {
        breakers::list(self.schema(), &mut *self.acquire().await?).await
    }

    /// Says what operators want of all breakers of a scope: `auto` leaves it to them. Other processes know within seconds.
    ///
    /// # Errors
    /// `reason_required`, `invalid_request`.
    pub async fn set_breaker(&self, scope: &str, mode: BreakerMode, by: &Operator) -> Result<(), Error> {
        let subject = format!("breaker {scope}");
        let set = self.try_set_breaker(scope, mode, by, &subject).await;
        self.audited("set_breaker", Subject::Named(&subject), by, set).await
    }

    async fn try_set_breaker(&self, scope: &str, mode: BreakerMode, by: &Operator, subject: &str) -> Result<(), Error> {
        check_name("scope", Some(scope), LONGEST_NAME)?;
        by.check_reason(true, "set_breaker")?;
        let mut tx = self.begin().await?;
        let reason = by.reason.as_deref().unwrap_or_default();
        breakers::set_mode(self.schema(), &mut tx, scope, mode, (&by.actor, reason)).await?;
        let (action, subject) = ("set_breaker", Some(subject));
        let entry = audit::Entry { action, run: None, subject, before: None, after: Some(json!({"state": mode})) };
        audit::record_done(self.schema(), &mut tx, &entry, by.by()).await?;
        by.finish(tx).await?;
        if !by.dry_run {
            self.known_breakers().modes.insert(scope.to_owned(), mode);
        }
        Ok(())
    }

    fn known_breakers(&self) -> MutexGuard<'_, Breakers> {
        self.shared_breakers().lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all breakers, in a task of its own: nobody who hangs up breaks it off.
    fn read_breakers(&self) -> tokio::task::JoinHandle<()> {
        let engine = self.clone();
        let reading = async move {
            let read = async { breakers::load(engine.schema(), &mut *engine.acquire().await?).await };
            let read = tokio::time::timeout(ANSWERED_WITHIN, read).await;
            engine.known_breakers().take_in(read.ok().and_then(Result::ok));
        };
        tokio::spawn(reading.in_current_span())
    }

    /// Changes one breaker under its lock.
    async fn change_breaker(&self, name: &Name, change: impl Fn(Circuit, i64) -> Circuit) -> Result<Circuit, Error> {
        let (name, schema) = ((name.0.as_str(), name.1.as_str()), self.schema());
        let mut tx = self.begin().await?;
        let (before, now) = breakers::lock(schema, &mut tx, name).await?;
        let after = change(before, now);
        if after == before {
            tx.rollback().await?;
            return Ok(before);
        }
        breakers::save(schema, &mut tx, name, &after).await?;
        tx.commit().await?;
        if after.state != before.state {
            tracing::warn!(scope = name.0, operation = name.1, state = after.state.word(), "a breaker changed");
        }
        Ok(after)
    }
}

impl Breaker {
    /// With rules of its own, for what is called more or less often than other systems; the same in all processes.
    pub fn with_rules(self, rules: BreakerRules) -> Self {
        Self { rules: Some(rules), ..self }
    }

    fn rules(&self) -> BreakerRules {
        self.rules.unwrap_or_else(|| self.engine.known_breakers().rules)
    }

    /// Whether a call may go now.
    ///
    /// # Errors
    /// [`HeldBack`], where the breaker is open: nothing may be sent.
    pub async fn admit(&self) -> Result<Admitted, HeldBack> {
        let (age, may_read) = {
            let mut known = self.engine.known_breakers();
            let may_read = known.age() >= READ_AGAIN_AFTER && !known.is_reading;
            known.is_reading |= may_read;
            (known.age(), may_read)
        };
        if may_read {
            let reading = self.engine.read_breakers();
            if age >= OLD_AFTER {
                // It ends by itself in time; a task that was broken off has read nothing.
                drop(reading.await);
            }
        }
        let rules = self.rules();
        let look = self.engine.known_breakers().look(&self.name, &rules);
        match look {
            Look::Go => Ok(Admitted { breaker: self.clone(), probe: None }),
            Look::HeldBack { by_operator, ms } => Err(self.held_back(by_operator, ms)),
            Look::MayProbe => self.probe().await,
        }
    }

    fn held_back(&self, by_operator: bool, ms: i64) -> HeldBack {
        let (scope, operation) = self.name.clone();
        HeldBack { scope, operation, by_operator, retry_after: Duration::from_millis(ms.unsigned_abs()) }
    }

    /// Becomes the probe, unless another call is.
    async fn probe(&self) -> Result<Admitted, HeldBack> {
        let (engine, name, rules) = (self.engine.clone(), self.name.clone(), self.rules());
        let asking = async move {
            let mine = Mutex::new(Admission::Yes);
            let changed = engine.change_breaker(&name, |circuit, now| {
                let admission = circuit.admit(&rules, now);
                *mine.lock().unwrap_or_else(PoisonError::into_inner) = admission;
                match admission {
                    Admission::Probe(half) => half,
                    _ => circuit,
                }
            });
            let changed = changed.await?;
            engine.known_breakers().circuits.insert(name, changed);
            Ok::<_, Error>(mine.into_inner().unwrap_or_else(PoisonError::into_inner))
        };
        let answer = tokio::time::timeout(ANSWERED_WITHIN, tokio::spawn(asking.in_current_span())).await;
        match answer {
            Ok(Ok(Ok(Admission::Probe(half)))) => Ok(Admitted { breaker: self.clone(), probe: Some(half.since) }),
            Ok(Ok(Ok(Admission::No(ms)))) => Err(self.held_back(false, ms)),
            // Closed meanwhile, or the database did not answer.
            _ => Ok(Admitted { breaker: self.clone(), probe: None }),
        }
    }
}

impl Admitted {
    /// Records whether the other system served the call. A refusal for a reason of the caller's is served. Nobody waits for what
    /// is written.
    pub fn record(self, served: bool) {
        let Self { breaker, probe } = self;
        let rules = breaker.rules();
        let Breaker { engine, name, .. } = breaker;
        let counted = if probe.is_none() { engine.known_breakers().count(&name, !served, &rules) } else { None };
        if probe.is_none() && counted.is_none() {
            return;
        }
        let writing = async move {
            let written = engine.change_breaker(&name, |circuit, now| match (probe, counted) {
                (Some(probe), _) => circuit.settle(probe, served, now),
                (None, Some((calls, failures))) => circuit.count(&rules, calls, failures, now),
                (None, None) => circuit,
            });
            match written.await {
                Ok(circuit) => drop(engine.known_breakers().circuits.insert(name, circuit)),
                Err(error) => tracing::debug!(%error, "a breaker's counts could not be written"),
            }
        };
        tokio::spawn(writing.in_current_span());
    }
}
