//! `backstitch run retry`, `cancel`, `pause` …: operators' verbs on one run.
//!
//! Dangerous verbs need a reason; on a terminal they show their plan and ask for confirmation.

use std::io::IsTerminal;

use anyhow::Context;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    bulk::{self, Bulk, FILTERS, FilterArgs},
    json_argument,
};
use crate::cli::{
    client::Client,
    output::{Out, confirm, cut, table, tell},
    shapes::{Forked, Plan, PlannedUndo},
};

/// Width of an undo's summary in a table.
const LONGEST_SUMMARY: usize = 30;

/// Arguments of a verb that can be reversed or safely repeated.
#[derive(Debug, clap::Args)]
pub(crate) struct PlainArgs {
    /// The run's id
    #[arg(required_unless_present_any = FILTERS, conflicts_with_all = FILTERS)]
    id: Option<String>,
    /// Reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only show what would happen
    #[arg(long)]
    dry_run: bool,
    /// Don't ask for confirmation, even for many runs
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Arguments of `run retry`.
#[derive(Debug, clap::Args)]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    plain: PlainArgs,
    /// Maximum number of attempts, instead of the activity's
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Delay before the second attempt, in milliseconds
    #[arg(long, value_name = "MS")]
    first_ms: Option<u64>,
    /// Maximum delay between attempts, in milliseconds
    #[arg(long, value_name = "MS")]
    longest_ms: Option<u64>,
    /// Timeout of an attempt, in milliseconds
    #[arg(long, value_name = "MS")]
    attempt_timeout_ms: Option<u64>,
}

/// Common arguments of verbs that can't be reversed.
#[derive(Debug, clap::Args)]
pub(crate) struct Sure {
    /// Reason, for the audit log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Only show what would happen
    #[arg(long)]
    dry_run: bool,
    /// Don't ask for confirmation
    #[arg(long, short = 'y')]
    yes: bool,
}

/// Arguments of a verb that can't be reversed.
#[derive(Debug, clap::Args)]
pub(crate) struct DangerousArgs {
    /// The run's id
    #[arg(required_unless_present_any = FILTERS, conflicts_with_all = FILTERS)]
    id: Option<String>,
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Arguments of `run skip`.
#[derive(Debug, clap::Args)]
pub(crate) struct SkipArgs {
    /// The run's id
    id: String,
    /// The step's number in `run show`
    seq: u32,
    /// The step or its undo; by default the unresolved one
    #[arg(long, value_parser = ["forward", "undo"])]
    direction: Option<String>,
    /// Output for the workflow: JSON, @FILE, or - for stdin; null by default
    #[arg(long, value_name = "JSON")]
    output: Option<String>,
    #[command(flatten)]
    sure: Sure,
}

/// Arguments of `run resolve`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "backstitch run resolve [OPTIONS] --outcome <OUTCOME> --reason <TEXT>
                              <ID> <SEQ>")]
pub(crate) struct ResolveArgs {
    /// The run's id
    id: String,
    /// The step's number in `run show`
    seq: u32,
    /// The step's outcome
    #[arg(long, value_parser = ["ok", "failed"])]
    outcome: String,
    /// The step or its undo; by default the unknown one
    #[arg(long, value_parser = ["forward", "undo"])]
    direction: Option<String>,
    /// Its output, if it took effect: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    output: Option<String>,
    /// How you know, for the audit log
    #[arg(long, value_name = "TEXT")]
    evidence: Option<String>,
    #[command(flatten)]
    sure: Sure,
}

/// Arguments of `run fork`.
#[derive(Debug, clap::Args)]
pub(crate) struct ForkArgs {
    /// The run's id
    id: String,
    /// The first step to execute again
    #[arg(long, value_name = "SEQ")]
    from: u32,
    /// New input, only with --from 0: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    #[command(flatten)]
    sure: Sure,
}

impl PlainArgs {
    /// The same for all runs that the filter matches.
    async fn many(&self, verb: &str, arguments: Value, client: &Client, out: Out) -> anyhow::Result<()> {
        let (reason, dry_run, yes) = (self.reason.as_deref(), self.dry_run, self.yes);
        bulk::run(Bulk { action: verb, arguments, reason, dry_run, yes }, &self.filter, client, out).await
    }
}

/// A request, sent first as a preview and then for real.
struct Request {
    verb: &'static str,
    id: String,
    path: String,
    body: Value,
}

impl Request {
    fn of_run(verb: &'static str, id: &str, body: Value) -> Self {
        Self { verb, id: id.to_owned(), path: format!("/v1/runs/{id}/{verb}"), body }
    }

    fn of_step(verb: &'static str, id: &str, seq: u32, body: Value) -> Self {
        Self { path: format!("/v1/runs/{id}/steps/{seq}/{verb}"), ..Self::of_run(verb, id, body) }
    }

    async fn send(&self, client: &Client, dry_run: bool) -> anyhow::Result<Value> {
        let mut body = self.body.clone();
        body["dry_run"] = dry_run.into();
        client.send(Method::POST, &self.path, Some(&body), None).await
    }
}

pub(super) async fn plain(verb: &'static str, args: PlainArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let Some(id) = &args.id else { return args.many(verb, json!({}), client, out).await };
    let request = Request::of_run(verb, id, json!({"reason": args.reason}));
    finish(&request.send(client, args.dry_run).await?, out)
}

pub(super) async fn retry(args: RetryArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let given = [
        ("max_attempts", args.max_attempts.map(u64::from)),
        ("first_ms", args.first_ms),
        ("longest_ms", args.longest_ms),
        ("attempt_timeout_ms", args.attempt_timeout_ms),
    ];
    let policy: serde_json::Map<String, Value> =
        given.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?.into()))).collect();
    let mut body = if policy.is_empty() { json!({}) } else { json!({"policy": policy}) };
    let Some(id) = &args.plain.id else { return args.plain.many("retry", body, client, out).await };
    body["reason"] = args.plain.reason.clone().into();
    let request = Request::of_run("retry", id, body);
    finish(&request.send(client, args.plain.dry_run).await?, out)
}

pub(super) async fn dangerous(
    verb: &'static str,
    args: DangerousArgs,
    client: &Client,
    out: Out,
) -> anyhow::Result<()> {
    let Some(id) = &args.id else {
        let Sure { reason, dry_run, yes } = &args.sure;
        let (arguments, reason) = (json!({}), Some(reason.as_str()));
        let many = Bulk { action: verb, arguments, reason, dry_run: *dry_run, yes: *yes };
        return bulk::run(many, &args.filter, client, out).await;
    };
    let request = Request::of_run(verb, id, json!({"reason": args.sure.reason}));
    finish(&asked_first(&request, &args.sure, client).await?, out)
}

pub(super) async fn skip(args: SkipArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let output = args.output.as_deref().map(|text| json_argument("--output", text)).transpose()?;
    let body = json!({"reason": args.sure.reason, "direction": args.direction, "output": output});
    let request = Request::of_step("skip", &args.id, args.seq, body);
    finish(&asked_first(&request, &args.sure, client).await?, out)
}

pub(super) async fn resolve(args: ResolveArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let output = args.output.as_deref().map(|text| json_argument("--output", text)).transpose()?;
    let (reason, evidence) = (&args.sure.reason, &args.evidence);
    let body = json!({"reason": reason, "outcome": args.outcome, "direction": args.direction, "output": output,
        "evidence": evidence});
    let request = Request::of_step("resolve", &args.id, args.seq, body);
    finish(&asked_first(&request, &args.sure, client).await?, out)
}

pub(super) async fn fork(args: ForkArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let input = args.input.as_deref().map(|text| json_argument("--input", text)).transpose()?;
    let body = json!({"reason": args.sure.reason, "from_step": args.from, "input": input});
    let request = Request::of_run("fork", &args.id, body);
    let answer = asked_first(&request, &args.sure, client).await?;
    let plan: Forked = serde_json::from_value(answer.clone()).context(UNREADABLE)?;
    out.show(&answer, || render_fork(&plan))?;
    if let Some(new) = plan.new_run.filter(|_| !out.json()) {
        tell(format!("`backstitch run watch {new}` follows the new run."));
    }
    Ok(())
}

/// Sends it; on a terminal, only after a preview and confirmation.
async fn asked_first(request: &Request, sure: &Sure, client: &Client) -> anyhow::Result<Value> {
    if !sure.dry_run && !sure.yes && std::io::stdin().is_terminal() {
        let preview = request.send(client, true).await?;
        tell(match serde_json::from_value::<Forked>(preview.clone()) {
            Ok(fork) => render_fork(&fork),
            Err(_) => render(&read(&preview)?),
        });
        anyhow::ensure!(confirm(&format!("{} run {}?", request.verb, request.id))?, "nothing was changed");
    }
    request.send(client, sure.dry_run).await
}

fn finish(answer: &Value, out: Out) -> anyhow::Result<()> {
    let plan = read(answer)?;
    out.show(answer, || render(&plan))?;
    if !out.json() && !plan.dry_run {
        tell(format!("accepted; `backstitch run show {}` shows its state.", plan.run));
    }
    Ok(())
}

const UNREADABLE: &str = "the server's plan has an unknown form";

fn read(answer: &Value) -> anyhow::Result<Plan> {
    serde_json::from_value(answer.clone()).context(UNREADABLE)
}

fn render(plan: &Plan) -> String {
    let would = if plan.dry_run { "would be" } else { "is" };
    let mut text = format!("{} {would} applied to run {}\n- its status is {}", plan.action, plan.run, plan.status);
    for sentence in &plan.says {
        text.push_str(&format!("\n- {sentence}"));
    }
    if !plan.undo.is_empty() {
        text.push('\n');
        text.push_str(&undos("UNDO", &plan.undo));
    }
    if !plan.stays.is_empty() {
        text.push('\n');
        text.push_str(&undos("STAYS", &plan.stays));
    }
    text
}

fn undos(title: &str, undos: &[PlannedUndo]) -> String {
    let rows = undos.iter().enumerate().map(|(at, undo)| {
        let after: Vec<String> = undo.after.iter().map(u32::to_string).collect();
        vec![
            (at + 1).to_string(),
            undo.seq.to_string(),
            undo.activity.clone(),
            undo.outcome.clone(),
            after.join(","),
            cut(undo.summary.as_deref().unwrap_or_default(), LONGEST_SUMMARY),
        ]
    });
    table(&[title, "STEP", "ACTIVITY", "OUTCOME", "AFTER", "MEANS"], rows)
}

fn render_fork(plan: &Forked) -> String {
    let list = |steps: &[u32]| steps.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
    let mut text = match &plan.new_run {
        Some(new) => format!("run {new} starts from step {} of run {}", plan.from_step, plan.run),
        None => format!("a run would start from step {} of run {}", plan.from_step, plan.run),
    };
    for sentence in &plan.says {
        text.push_str(&format!("\n- {sentence}"));
    }
    for (what, steps) in [("kept", &plan.kept), ("executed again", &plan.again)] {
        if !steps.is_empty() {
            text.push_str(&format!("\n{what}: step {}", list(steps)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_lists_its_undos_in_the_order_in_which_they_are_made() {
        let plan = json!({
            "run": "r1", "action": "cancel", "dry_run": true, "status": "waiting", "retry": [], "stays": [],
            "says": ["2 steps are undone, the last first"],
            "undo": [
                {"seq": 2, "activity": "charge", "outcome": "unknown", "after": [], "summary": "give 25.00 EUR back"},
                {"seq": 0, "activity": "reserve_stock", "outcome": "ok", "after": [2], "summary": null},
            ],
        });
        insta::assert_snapshot!(render(&read(&plan).expect("a plan")), @r"
        cancel would be applied to run r1
        - its status is waiting
        - 2 steps are undone, the last first
        UNDO  STEP  ACTIVITY       OUTCOME  AFTER  MEANS
        1     2     charge         unknown         give 25.00 EUR back
        2     0     reserve_stock  ok       2
        ");
    }

    #[test]
    fn a_fork_says_what_is_kept_and_what_is_made_again() {
        let plan = json!({
            "run": "r1", "action": "fork", "dry_run": true, "status": "failed", "new_run": null, "from_step": 2,
            "kept": [0, 1], "again": [2], "says": ["the new run has the results of 2 steps"],
        });
        let plan: Forked = serde_json::from_value(plan).expect("a fork");
        insta::assert_snapshot!(render_fork(&plan), @r"
        a run would start from step 2 of run r1
        - the new run has the results of 2 steps
        kept: step 0, 1
        executed again: step 2
        ");
    }
}
