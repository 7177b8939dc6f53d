//! What the simulation has found, each as one or two decisions: these stay when the generator of programs changes.

use std::{sync::Arc, time::Duration};

use backstitch::engine::{
    Failure, Json, Outcome, RunId, Time, Verb,
    core::{
        catalog::Catalog,
        decision::{AttemptError, Decision, Event, RunWrite, Snapshot},
        machine::Machine,
        model::{Direction, Request, Status, Step, StepError, StepKind},
        ruling::{Facts, Refusal, rule},
    },
    to_json,
};

use crate::{
    interpreter::Interpreter,
    kinds::{HOME, Kinds},
    program::{Call, KINDS, Meets, Node, Program, Script},
};

const PLAIN: u8 = 0;
const UNDO: u8 = 1;
const UNDO_VERIFY: u8 = 3;
const TX_UNDO: u8 = 5;
const AWAY_UNDO: u8 = 7;

fn now() -> Time {
    Time::UNIX_EPOCH + Duration::from_secs(1_000)
}

fn call(id: u32, kind: u8) -> Node {
    let script = Script {
        run: vec![Meets::Success],
        undo: vec![Meets::Success],
        mute: 0,
        asking_kills: false,
        honours_key: true,
        takes_ms: 0,
    };
    Node::Call(Call { id, kind, deadline_ms: None, best_effort: false, required: true, script })
}

/// A row of a call, as a worker that was lost has left it: under way.
fn row(seq: u32, kind: u8) -> Step {
    let kinds = Kinds::new(&program(vec![], 9), true);
    let name = ["plain", "undo", "verify", "undo_verify", "tx", "tx_undo", "away_plain", "away_undo"][kind as usize];
    Step {
        seq,
        direction: Direction::Forward,
        kind: StepKind::Activity,
        name: name.into(),
        ord: None,
        issued_after: 0,
        outcome: None,
        attempts: 1,
        generation: 0,
        undoable: kinds.activity(name).is_some_and(|meta| meta.undoable),
        input: to_json(&seq).ok(),
        output: None,
        error: None,
        details: None,
        due: None,
        next_attempt_at: None,
        undo_after: vec![],
        policy: None,
        started_at: None,
        took: Duration::ZERO,
        log: Vec::new(),
        recorded: true,
    }
}

fn error(unknown: bool) -> StepError {
    StepError { code: "scripted".to_owned(), message: String::new(), unknown }
}

fn program(nodes: Vec<Node>, attempts: u32) -> Program {
    let attempts = vec![(attempts, attempts); usize::from(KINDS)];
    Program { root: Node::Seq(nodes), deadline_ms: None, attempts, retry_ms: 200, missing_kind: None }
}

fn machine(program: Program, request: Request, steps: Vec<Step>) -> Machine {
    let input: Json = to_json("input").expect("a string has a JSON form");
    let snapshot = Snapshot {
        run: RunId::from_u128(1),
        created_at: now(),
        queue: HOME.into(),
        deadline_at: None,
        status: Status::Active,
        request,
        inbox: 0,
        takeovers: 1,
        input,
        failure: None,
        steps,
        signals: vec![],
    };
    let kinds = Arc::new(Kinds::new(&program, true));
    let code = Arc::new(Interpreter { program: Arc::new(program), memory: Arc::default() });
    Machine::new(snapshot, code, kinds, Arc::new(|queue: &str| queue == HOME))
}

fn outcome(decision: &Decision, seq: u32) -> Option<Outcome> {
    let step = decision.writes.steps.iter().find(|step| step.seq == seq && step.direction == Direction::Forward);
    step.and_then(|step| step.outcome)
}

#[test]
fn a_plan_is_committed_before_the_run_is_released() {
    let done = Step { outcome: Some(Outcome::Ok), ord: Some(0), output: to_json(&0).ok(), ..row(0, AWAY_UNDO) };
    let mut machine = machine(program(vec![call(0, AWAY_UNDO), Node::Fail], 2), Request::None, vec![done]);
    let planned = machine.begin(now());
    assert!(matches!(planned.writes.run, Some(RunWrite::Compensating { .. })), "{:?}", planned.writes.run);
    let next = machine.on(Event::Due { recorded: vec![] }, now());
    assert!(matches!(next.writes.run, Some(RunWrite::HandOver { .. })), "{:?}", next.writes.run);
}

#[test]
fn a_call_whose_last_attempt_was_lost_completes() {
    let mut machine = machine(program(vec![call(0, UNDO)], 1), Request::None, vec![row(0, UNDO)]);
    let decision = machine.begin(now());
    assert_eq!(outcome(&decision, 0), Some(Outcome::Unknown));
    assert!(decision.writes.planned.is_some(), "{:?}", decision.writes.run);
}

#[test]
fn a_refusal_after_an_unknown_attempt_leaves_the_step_unknown() {
    let mut machine = machine(program(vec![call(0, UNDO)], 9), Request::None, vec![row(0, UNDO)]);
    machine.begin(now());
    let result = Err(AttemptError { error: error(false), retryable: false });
    let refused = Event::Attempted { seq: 0, direction: Direction::Forward, result, took: Duration::ZERO };
    assert_eq!(outcome(&machine.on(refused, now()), 0), Some(Outcome::Unknown), "the first attempt may have had one");
}

#[test]
fn a_plain_step_is_not_certain_after_a_takeover() {
    let mut machine = machine(program(vec![call(0, PLAIN), call(1, PLAIN)], 9), Request::None, vec![]);
    machine.begin(now());
    let ends = |seq, result| Event::Attempted { seq, direction: Direction::Forward, result, took: Duration::ZERO };
    let refused = || Err(AttemptError { error: error(false), retryable: false });
    assert_eq!(outcome(&machine.on(ends(0, refused()), now()), 0), Some(Outcome::Unknown), "another worker had it");

    let mut machine = self::machine(program(vec![call(0, PLAIN), call(1, PLAIN)], 9), Request::None, vec![]);
    machine.begin(now());
    machine.on(ends(0, Ok(to_json(&0).ok())), now());
    assert_eq!(outcome(&machine.on(ends(1, refused()), now()), 1), Some(Outcome::Failed), "nobody had it before");
}

#[test]
fn a_transactional_attempt_that_was_lost_has_failed() {
    let mut machine = machine(program(vec![call(0, TX_UNDO)], 1), Request::None, vec![row(0, TX_UNDO)]);
    assert_eq!(outcome(&machine.begin(now()), 0), Some(Outcome::Failed));
}

#[test]
fn a_reopened_unknown_step_is_undone_by_a_cancel() {
    let reopened = Step { attempts: 0, error: Some(error(true)), ..row(0, UNDO) };
    let mut machine = machine(program(vec![call(0, UNDO)], 9), Request::Compensate, vec![reopened]);
    let decision = machine.begin(now());
    assert_eq!(outcome(&decision, 0), Some(Outcome::Unknown));
    assert!(decision.writes.planned.is_some());
}

#[test]
fn a_worker_awaiting_a_verification_ignores_the_clock() {
    let mut machine = machine(program(vec![call(0, UNDO_VERIFY)], 9), Request::None, vec![row(0, UNDO_VERIFY)]);
    let decision = machine.begin(now());
    assert_eq!(decision.follow_ups.len(), 1, "it is asked about");
    assert_eq!(decision.wake_at, None);
}

#[test]
fn a_run_that_gets_stuck_lets_its_attempts_end_first() {
    let branches = vec![call(0, UNDO), Node::Seq(vec![Node::Sleep { ms: 1 }, Node::Panic])];
    let mut machine = machine(program(vec![Node::All(branches)], 9), Request::None, vec![]);
    machine.begin(now());
    crate::quiet_panics();
    let later = now() + Duration::from_secs(1);
    let panicked = machine.on(Event::Due { recorded: vec![(1, now())] }, later);
    assert!(!panicked.releases_run(), "{:?}", panicked.writes.run);
    let result = Ok(to_json(&0).ok());
    let ended = Event::Attempted { seq: 0, direction: Direction::Forward, result, took: Duration::ZERO };
    let stuck = machine.on(ended, later);
    assert_eq!(outcome(&stuck, 0), Some(Outcome::Ok));
    assert!(
        matches!(stuck.writes.run, Some(RunWrite::Dequeue { status: Status::Stuck, .. })),
        "{:?}",
        stuck.writes.run
    );
}

/// A run that has failed at step 1.
fn failed(steps: Vec<Step>) -> Facts {
    let failure = Failure::new("scripted", "").at(1);
    Facts {
        run: RunId::from_u128(1),
        status: Status::Failed,
        request: Request::None,
        failure: Some(failure),
        cause: None,
        deadline_at: None,
        wait: None,
        wait_until: None,
        paused_at: None,
        due: false,
        held: false,
        steps,
        forks: vec![],
        attention: vec![],
        now: now(),
    }
}

#[test]
fn a_skipped_step_stays_skipped_when_another_is_settled() {
    let skipped = Step { outcome: Some(Outcome::Skipped), output: to_json(&"by hand").ok(), ..row(0, UNDO) };
    let closed = Step { outcome: Some(Outcome::Skipped), attempts: 0, ..row(2, UNDO) };
    let failed_at =
        Step { outcome: Some(Outcome::Failed), ord: Some(0), error: Some(error(false)), ..row(1, UNDO_VERIFY) };
    let skip = Verb::Skip { seq: 1, direction: None, output: None };
    let ruling = rule(&failed(vec![skipped, failed_at, closed]), &skip).expect("it is allowed");
    let changed: Vec<(u32, Option<Outcome>)> = ruling.steps.iter().map(|step| (step.seq, step.outcome)).collect();
    assert_eq!(changed, [(1, Some(Outcome::Skipped)), (2, None)], "what only its end had closed goes on");
}

#[test]
fn a_step_with_successors_is_not_resettled() {
    let failed_at = Step { outcome: Some(Outcome::Failed), ord: Some(0), error: Some(error(false)), ..row(1, UNDO) };
    let asked_since =
        Step { issued_after: 1, outcome: Some(Outcome::Failed), error: Some(error(false)), ..row(2, UNDO) };
    let facts = failed(vec![failed_at, asked_since]);
    for action in [Verb::Skip { seq: 1, direction: None, output: None }, Verb::Retry { policy: None }] {
        let refused = rule(&facts, &action).expect_err("step 2 was asked for because step 1 had failed");
        assert!(matches!(&refused, Refusal::WrongState(why) if why.contains("step 2 has built on")), "{refused:?}");
    }
}
