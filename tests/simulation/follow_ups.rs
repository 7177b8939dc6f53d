//! What a worker does between two commits: attempts, verifications and side values, and how they end or are cut off.

use std::time::Duration;

use backstitch::engine::{
    Outcome, SideValue, Time,
    core::{
        catalog::{ActivityMeta, Catalog},
        decision::{Attempt, AttemptError, Event, FollowUp},
        model::{Direction, StepError, idempotency_key},
    },
    to_json,
};

use crate::{
    kinds::Kinds,
    program::{Meets, NodeId},
    sim::{Checked, Sim, found, id_of},
};

/// An act under way.
pub(crate) struct Under {
    pub(crate) follow_up: FollowUp,
    pub(crate) ends_at: Time,
    meets: Meets,
}

/// What came of a follow-up, and what its transaction is to do.
type Ended = (Event, Option<(NodeId, String, Direction)>);

impl Sim {
    fn meta(&self, attempt: &Attempt) -> ActivityMeta {
        let kinds = Kinds::new(&self.program, true);
        kinds.activity(&attempt.activity).cloned().expect("the programs call these kinds only")
    }

    /// Begins an act, of which everything that it needs must be on record.
    pub(crate) fn begin(&mut self, follow_up: FollowUp) -> Checked {
        let mut meets = Meets::Success;
        let mut takes_ms = 0;
        match &follow_up {
            FollowUp::Cancel => return Ok(()),
            FollowUp::Draw { .. } => {}
            FollowUp::Verify(attempt) => {
                self.check_holds(attempt)?;
                self.check_key(attempt, Direction::Forward)?;
                self.note(|| format!("  begins to verify {} ({})", attempt.seq, attempt.key));
                let script = &self.world.call(id_of(attempt)).script;
                takes_ms = script.takes_ms;
                if script.asking_kills && !self.world.calm {
                    meets = Meets::Kills;
                }
            }
            FollowUp::Attempt(attempt) => {
                let meta = self.meta(attempt);
                self.check_begin(attempt, &meta)?;
                let id = id_of(attempt);
                meets = match attempt.direction {
                    Direction::Forward => self.world.attempt(id, &attempt.key, meta.verifiable, self.is_ours()),
                    Direction::Undo => self.world.undo(id, meta.verifiable),
                };
                takes_ms = self.world.call(id).script.takes_ms;
                self.note(|| {
                    format!("  begins {:?} {} of {id} ({}): {meets:?}", attempt.direction, attempt.attempt, attempt.key)
                });
                if attempt.direction == Direction::Forward && !meta.is_certain(attempt.direction) {
                    self.world.lose_sight(id);
                }
            }
        }
        let ends_at = self.store.now + Duration::from_millis(takes_ms);
        if let Some(active) = &mut self.active {
            active.under_way.push(Under { follow_up, ends_at, meets });
        }
        Ok(())
    }

    /// What must hold when an attempt begins.
    fn check_begin(&self, attempt: &Attempt, meta: &ActivityMeta) -> Checked {
        self.check_holds(attempt)?;
        self.check_key(attempt, attempt.direction)?;
        let key = (attempt.seq, attempt.direction);
        if self.is_carrying() && !meta.is_certain(attempt.direction) {
            return Err(format!("{key:?} is attempted before what led to it is on record"));
        }
        if attempt.direction == Direction::Forward && self.store.planned.is_some() {
            return Err(format!("{key:?} is attempted after the plan of undos was made"));
        }
        let row = self.store.steps.get(&key);
        let intent = row.is_some_and(|row| {
            row.outcome.is_none() && row.attempts == attempt.attempt && row.next_attempt_at.is_none()
        });
        let certain = meta.transactional || meta.read_only;
        let needs_intent = attempt.direction == Direction::Undo || (!certain && (meta.undoable || meta.verifiable));
        // A worker that was taken over may do what another has ended meanwhile; it just can't record it.
        if needs_intent && !intent && self.is_ours() {
            return Err(format!("{key:?} is attempted without its intent on record: {row:?}"));
        }
        if attempt.direction == Direction::Undo { self.check_order(attempt) } else { Ok(()) }
    }

    /// The key is its direction's own and of the generation on record; attempts are counted from one, and end.
    fn check_key(&self, attempt: &Attempt, direction: Direction) -> Checked {
        let row = self.store.steps.get(&(attempt.seq, direction));
        let key = idempotency_key(self.store.run, attempt.seq, direction, row.map_or(0, |row| row.generation));
        if self.is_ours() && attempt.key != key {
            return Err(format!("{} goes by the key {} and not {key}", attempt.seq, attempt.key));
        }
        let retry = |meta: ActivityMeta| match attempt.direction {
            Direction::Forward => meta.policy.retry,
            Direction::Undo => meta.policy.undo_retry,
        };
        // One more where the last attempt was lost with its worker, and is asked about.
        let most = retry(self.meta(attempt)).max_attempts + 1;
        if (1..=most).contains(&attempt.attempt) {
            return Ok(());
        }
        Err(format!("{} is attempted for the {}th time, of {most}", attempt.seq, attempt.attempt))
    }

    /// The worker has not been taken over.
    fn is_ours(&self) -> bool {
        self.store.ready.as_ref().is_some_and(|ready| ready.lane == self.active.as_ref().map(|active| active.lane))
    }

    /// Neither attempts nor verifications nor undos of what is held back begin.
    fn check_holds(&self, attempt: &Attempt) -> Checked {
        let held = self.active.as_ref().is_some_and(|active| active.seen_held.contains(&*attempt.activity));
        if held { Err(format!("{} is begun although it is held back", attempt.activity)) } else { Ok(()) }
    }

    /// Nothing that was built on the step may still be in force when the step is undone.
    fn check_order(&self, attempt: &Attempt) -> Checked {
        let id = id_of(attempt);
        let memory = self.memory.lock().expect("no panic while locked");
        for later in self.program.calls() {
            let built_on = memory.kept.before.get(&later.id).is_some_and(|before| before.contains(&id));
            let undoable = later.kind % 2 == 1;
            if built_on && undoable && self.world.effects(later.id) > 0 {
                return Err(format!("call {id} is undone before call {}, which was built on it", later.id));
            }
        }
        Ok(())
    }

    /// Follow-ups end at the same time. Those that need no transaction of their own share a decision, as in worker/drive.rs.
    pub(crate) fn finish(&mut self, ended: Vec<Under>) -> Checked {
        let now = self.estimate();
        let mut together = Vec::new();
        for under in ended {
            match self.end_of(under) {
                None => return Ok(()),
                Some((event, None)) => together.push(event),
                Some((event, tx)) => self.happened(vec![event], now, tx)?,
            }
        }
        if together.is_empty() { Ok(()) } else { self.happened(together, now, None) }
    }

    /// What comes of a follow-up. None: it has killed its worker.
    fn end_of(&mut self, under: Under) -> Option<Ended> {
        let now = self.store.now;
        match under.follow_up {
            FollowUp::Cancel => None,
            FollowUp::Draw { seq, what } => {
                let value = match what {
                    SideValue::Now => to_json(&now),
                    SideValue::Random => to_json(&7_u64),
                    SideValue::Uuid => to_json(&uuid::Uuid::from_u128(7)),
                };
                let value = value.expect("it has a JSON form");
                Some((Event::Drawn { seq, value }, None))
            }
            FollowUp::Verify(_) if under.meets == Meets::Kills => {
                self.crash("a verification killed it");
                None
            }
            FollowUp::Verify(attempt) => {
                let answer = self.world.verify(id_of(&attempt), &attempt.key);
                let found = found(&answer, id_of(&attempt));
                self.note(|| format!("verified {}: {found:?}", attempt.seq));
                let (seq, direction) = (attempt.seq, attempt.direction);
                Some((Event::Verified { seq, direction, found, took: Duration::ZERO }, None))
            }
            FollowUp::Attempt(attempt) => self.end_of_attempt(&attempt, under.meets),
        }
    }

    fn end_of_attempt(&mut self, attempt: &Attempt, meets: Meets) -> Option<Ended> {
        let (id, meta) = (id_of(attempt), self.meta(attempt));
        let undo = attempt.direction == Direction::Undo;
        if meets == Meets::Kills {
            self.cut_off(attempt, meets);
            self.crash("an attempt killed it");
            return None;
        }
        let (mut result, mut tx) = (Ok(()), None);
        match meets {
            // Its effect, that it has to be undone, comes with its record.
            Meets::Success if meta.read_only && !undo => {}
            Meets::Success if meta.transactional => tx = Some((id, attempt.key.clone(), attempt.direction)),
            Meets::Success if undo => self.world.reverse(id),
            Meets::Success => {
                if !self.world.apply(id, &attempt.key) {
                    result = Err((false, false));
                }
            }
            Meets::Refusal { retryable } => result = Err((false, retryable)),
            _ if meta.is_certain(attempt.direction) => result = Err((false, true)),
            Meets::LostAfter if undo => {
                self.world.reverse(id);
                result = Err((true, true));
            }
            Meets::LostAfter => {
                self.world.apply(id, &attempt.key);
                result = Err((true, true));
            }
            Meets::Late => {
                self.world.hold_up(id, &attempt.key);
                result = Err((true, true));
            }
            Meets::LostBefore | Meets::Kills => result = Err((true, true)),
        }
        if !undo && !matches!(result, Err((true, _))) {
            self.world.hear(id);
        }
        self.note(|| format!("attempted {} {:?}: {result:?}", attempt.seq, attempt.direction));
        let result = result.map(|()| (!undo).then(|| to_json(&id).expect("a number has a JSON form"))).map_err(
            |(unknown, retryable)| AttemptError {
                error: StepError { code: "scripted".to_owned(), message: format!("{meets:?}"), unknown },
                retryable,
            },
        );
        let (seq, direction) = (attempt.seq, attempt.direction);
        Some((Event::Attempted { seq, direction, result, took: Duration::ZERO }, tx))
    }

    /// The worker is gone in mid-act: the request may still have done its work, or do it later.
    fn cut_off(&mut self, attempt: &Attempt, meets: Meets) {
        let (id, meta) = (id_of(attempt), self.meta(attempt));
        let lost = matches!(meets, Meets::Refusal { .. } | Meets::LostBefore);
        if meta.is_certain(attempt.direction) || lost {
            return;
        }
        match (attempt.direction, self.rng.below(3)) {
            (Direction::Forward, 0) => drop(self.world.apply(id, &attempt.key)),
            (Direction::Forward, 1) => self.world.hold_up(id, &attempt.key),
            (Direction::Undo, 0) => self.world.reverse(id),
            _ => {}
        }
    }

    pub(crate) fn crash(&mut self, how: &str) {
        self.note(|| format!("CRASH: {how}"));
        self.crashes += 1;
        self.abandon_follow_ups();
        self.store.take_over();
    }

    /// The worker holds the run no more; whatever is under way goes on without it.
    pub(crate) fn abandon_follow_ups(&mut self) {
        let Some(active) = self.active.take() else { return };
        self.memory.lock().expect("no panic while locked").roll_back();
        for under in active.under_way {
            match under.follow_up {
                FollowUp::Attempt(attempt) => self.cut_off(&attempt, under.meets),
                FollowUp::Verify(attempt) if self.rng.chance(50) => {
                    self.world.verify(id_of(&attempt), &attempt.key);
                }
                _ => {}
            }
        }
    }

    /// The outcomes on record, against what really happened.
    pub(crate) fn check_outcomes(&self) -> Checked {
        for step in self.store.steps.values() {
            let Some(input) = step.input.as_ref().filter(|_| step.direction == Direction::Forward) else { continue };
            let Ok(id) = serde_json::from_str(input.get()) else { continue };
            let undone = self.store.steps.contains_key(&(step.seq, Direction::Undo));
            let effects = self.world.effects(id);
            match step.outcome {
                Some(Outcome::Ok) if effects == 0 && !undone => {
                    return Err(format!("call {id} is ok on record, but took no effect"));
                }
                Some(Outcome::Failed) if effects > 0 && step.undoable => {
                    return Err(format!("call {id} failed on record, which says that it had no effect; it had one"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
