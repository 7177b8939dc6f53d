//! `backstitch run retry`, `cancel`, `pause` …: operators' verbs on one run.
//!
//! Dangerous verbs need a reason; on a terminal they show their plan and ask for confirmation.

use std::io::IsTerminal;

use reqwest::Method;
use serde_json::{Map, Value};

use super::bulk::{self, Bulk, FilterArgs};
use crate::{
    cli::{
        answer::{read, show},
        args::{ConditionArgs, optional_json, parse_word},
        client::Client,
        output::{Out, confirm, cut, table, tell},
    },
    engine::{ActionPlan, Declared, Direction, ForkPlan, PlannedUndo, PolicyOverride, Verb},
};

/// Width of an undo's summary in a table.
const LONGEST_SUMMARY: usize = 30;

/// Arguments of a verb that can be reversed or safely repeated.
#[derive(Debug, clap::Args)]
pub(crate) struct PlainArgs {
    /// The run's id, or a beginning that no other run has
    #[arg(required_unless_present_any = ConditionArgs::IDS, conflicts_with_all = ConditionArgs::IDS)]
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
    /// The run's id, or a beginning that no other run has
    #[arg(required_unless_present_any = ConditionArgs::IDS, conflicts_with_all = ConditionArgs::IDS)]
    id: Option<String>,
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Arguments of `run skip`.
#[derive(Debug, clap::Args)]
pub(crate) struct SkipArgs {
    /// The run's id, or a beginning that no other run has
    id: String,
    /// The step's number in `run show`
    seq: u32,
    /// The step or its undo; by default the unresolved one
    #[arg(long, value_parser = parse_word::<Direction>(Direction::WORDS))]
    direction: Option<Direction>,
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
    /// The run's id, or a beginning that no other run has
    id: String,
    /// The step's number in `run show`
    seq: u32,
    /// The step's outcome
    #[arg(long, value_parser = parse_word::<Declared>(Declared::WORDS))]
    outcome: Declared,
    /// The step or its undo; by default the unknown one
    #[arg(long, value_parser = parse_word::<Direction>(Direction::WORDS))]
    direction: Option<Direction>,
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
    /// The run's id, or a beginning that no other run has
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
    /// Carries the verb out on the run, or on all runs that the filter matches.
    async fn apply(self, verb: &Verb, client: &Client, out: Out) -> anyhow::Result<()> {
        let Self { id, reason, dry_run, yes, filter } = self;
        let Some(id) = id else {
            return apply_to_many(verb, reason.as_deref(), (dry_run, yes), filter, client, out).await;
        };
        let request = Request::new(verb, &client.run_id(&id).await?, reason.as_deref())?;
        finish(&request.send(client, dry_run).await?, out)
    }
}

async fn apply_to_many(
    verb: &Verb,
    reason: Option<&str>,
    (dry_run, yes): (bool, bool),
    filter: FilterArgs,
    client: &Client,
    out: Out,
) -> anyhow::Result<()> {
    let many = Bulk { action: verb.word(), arguments: fields(verb)?, reason, dry_run, yes };
    bulk::run(many, filter, client, out).await
}

/// A verb's own fields, as the API takes them.
fn fields(verb: &Verb) -> anyhow::Result<Map<String, Value>> {
    let mut fields: Map<String, Value> = serde_json::from_value(serde_json::to_value(verb)?)?;
    fields.remove("action");
    Ok(fields)
}

/// A request, sent first as a preview and then for real.
struct Request {
    /// What is done, for the question.
    what: String,
    path: String,
    body: Map<String, Value>,
}

impl Request {
    fn new(verb: &Verb, id: &str, reason: Option<&str>) -> anyhow::Result<Self> {
        let mut body = fields(verb)?;
        let word = verb.word();
        let path = match body.remove("seq") {
            Some(seq) => format!("/v1/runs/{id}/steps/{seq}/{word}"),
            None => format!("/v1/runs/{id}/{word}"),
        };
        body.extend(reason.map(|reason| ("reason".to_owned(), reason.into())));
        Ok(Self { what: format!("{word} run {id}"), path, body })
    }

    async fn send(&self, client: &Client, dry_run: bool) -> anyhow::Result<Value> {
        let mut body = self.body.clone();
        body.insert("dry_run".to_owned(), dry_run.into());
        client.send(Method::POST, &self.path, Some(&body.into()), None).await
    }

    /// Sends it; on a terminal, only after a preview and confirmation.
    async fn confirm_and_send(
        &self,
        sure: &Sure,
        client: &Client,
        render: impl FnOnce(&Value) -> anyhow::Result<String>,
    ) -> anyhow::Result<Value> {
        if !sure.dry_run && !sure.yes && std::io::stdin().is_terminal() {
            tell(render(&self.send(client, true).await?)?);
            anyhow::ensure!(confirm(&format!("{}?", self.what))?, "nothing was changed");
        }
        self.send(client, sure.dry_run).await
    }
}

pub(super) async fn plain(verb: Verb, args: PlainArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    args.apply(&verb, client, out).await
}

pub(super) async fn retry(args: RetryArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let RetryArgs { plain, max_attempts, first_ms, longest_ms, attempt_timeout_ms } = args;
    let policy = PolicyOverride { max_attempts, first_ms, longest_ms, attempt_timeout_ms };
    let policy = Some(policy).filter(|policy| *policy != PolicyOverride::default());
    plain.apply(&Verb::Retry { policy }, client, out).await
}

pub(super) async fn dangerous(verb: Verb, args: DangerousArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let DangerousArgs { id, sure, filter } = args;
    match id {
        Some(id) => apply(&verb, &id, &sure, client, out).await,
        None => apply_to_many(&verb, Some(&sure.reason), (sure.dry_run, sure.yes), filter, client, out).await,
    }
}

pub(super) async fn skip(args: SkipArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let SkipArgs { id, seq, direction, output, sure } = args;
    let output = optional_json("--output", output.as_deref())?;
    apply(&Verb::Skip { seq, direction, output }, &id, &sure, client, out).await
}

pub(super) async fn resolve(args: ResolveArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let ResolveArgs { id, seq, outcome, direction, output, evidence, sure } = args;
    let output = optional_json("--output", output.as_deref())?;
    apply(&Verb::Resolve { seq, direction, outcome, output, evidence }, &id, &sure, client, out).await
}

async fn apply(verb: &Verb, id: &str, sure: &Sure, client: &Client, out: Out) -> anyhow::Result<()> {
    let request = Request::new(verb, &client.run_id(id).await?, Some(&sure.reason))?;
    finish(&request.confirm_and_send(sure, client, |preview| Ok(render(&read(preview)?))).await?, out)
}

pub(super) async fn fork(args: ForkArgs, client: &Client, out: Out) -> anyhow::Result<()> {
    let ForkArgs { id, from, input, sure } = args;
    let id = client.run_id(&id).await?;
    let input = optional_json("--input", input.as_deref())?;
    let mut body =
        Map::from_iter([("reason".to_owned(), sure.reason.clone().into()), ("from_step".to_owned(), from.into())]);
    body.extend(input.map(|input| ("input".to_owned(), input)));
    let request = Request { what: format!("fork run {id}"), path: format!("/v1/runs/{id}/fork"), body };
    let answer = request.confirm_and_send(&sure, client, |preview| Ok(render_fork(&read(preview)?))).await?;
    if let Some(new) = show(&answer, out, render_fork)?.and_then(|plan| plan.new_run) {
        tell(format!("`backstitch run watch {new}` follows the new run."));
    }
    Ok(())
}

fn finish(answer: &Value, out: Out) -> anyhow::Result<()> {
    if let Some(plan) = show(answer, out, render)?.filter(|plan| !plan.dry_run) {
        tell(format!("accepted; `backstitch run show {}` shows its state.", plan.run));
    }
    Ok(())
}

fn render(plan: &ActionPlan) -> String {
    let would = if plan.dry_run { "would be" } else { "is" };
    let mut text = format!("{} {would} applied to run {}\n- its status is {}", plan.action, plan.run, plan.status);
    for sentence in &plan.says {
        text.push_str(&format!("\n- {sentence}"));
    }
    if !plan.undo.is_empty() {
        text.push('\n');
        text.push_str(&render_undos("UNDO", &plan.undo));
    }
    if !plan.stays.is_empty() {
        text.push('\n');
        text.push_str(&render_undos("STAYS", &plan.stays));
    }
    text
}

fn render_undos(title: &str, undos: &[PlannedUndo]) -> String {
    let rows = undos.iter().enumerate().map(|(at, undo)| {
        let after: Vec<String> = undo.after.iter().map(u32::to_string).collect();
        vec![
            (at + 1).to_string(),
            undo.seq.to_string(),
            undo.activity.clone(),
            undo.outcome.to_string(),
            after.join(","),
            cut(undo.summary.as_deref().unwrap_or_default(), LONGEST_SUMMARY),
        ]
    });
    table(&[title, "STEP", "ACTIVITY", "OUTCOME", "AFTER", "MEANS"], rows)
}

fn render_fork(plan: &ForkPlan) -> String {
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
    use serde_json::json;

    use super::*;
    use crate::engine::samples;

    #[test]
    fn a_plan_lists_its_undos_in_order() {
        let plan = json!({
            "status": "waiting", "retry": [], "stays": [], "says": ["2 steps are undone, the last first"],
            "undo": [
                {"seq": 2, "activity": "charge", "outcome": "unknown", "input": 1, "after": [],
                    "summary": "give 25.00 EUR back"},
                {"seq": 0, "activity": "reserve_stock", "outcome": "ok", "input": 1, "after": [2], "summary": null},
            ],
        });
        let plan = samples::with(samples::plan_json(), plan);
        insta::assert_snapshot!(render(&plan), @r"
        cancel would be applied to run 01998877-6655-7443-8221-100000000000
        - its status is waiting
        - 2 steps are undone, the last first
        UNDO  STEP  ACTIVITY       OUTCOME  AFTER  MEANS
        1     2     charge         unknown         give 25.00 EUR back
        2     0     reserve_stock  ok       2
        ");
    }

    #[test]
    fn a_fork_says_what_is_kept_and_what_runs() {
        let plan = samples::with(samples::fork_json(), json!({}));
        insta::assert_snapshot!(render_fork(&plan), @r"
        a run would start from step 2 of run 01998877-6655-7443-8221-100000000000
        - the new run has the results of 2 steps
        kept: step 0, 1
        executed again: step 2
        ");
    }
}
