//! `backstitch run list`: runs, newest first, one line each.

use crate::{
    cli::{
        answer::show_list,
        args::{ConditionArgs, SliceArgs},
        client::Client,
        output::{Out, WIDTH, age, cut, now, table},
    },
    engine::{Run, RunFilter, Time},
};

const LONGEST_WORKFLOW: usize = 10;

/// Filters for runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    conditions: ConditionArgs,
    /// Only the run with this key
    #[arg(long)]
    key: Option<String>,
    /// Only runs that an operator should look at
    #[arg(long)]
    attention: bool,
    #[command(flatten)]
    slice: SliceArgs,
}

pub(super) async fn run(args: Args, client: &Client, out: Out) -> anyhow::Result<()> {
    let Args { conditions, key, attention, slice } = args;
    let filter = RunFilter { key, attention, limit: Some(slice.limit), cursor: slice.cursor, ..conditions.filter() };
    let answer = client.find("/v1/runs", &filter).await?;
    show_list(&answer, out, "no runs", |runs| render(runs, out, now()))?;
    Ok(())
}

fn render(runs: &[Run], out: Out, now: Time) -> String {
    let age = |run: &Run| age(run.created_at, now);
    // What the other columns leave; columns are two spaces apart.
    let widest =
        |text: &dyn Fn(&Run) -> usize, header: &str| runs.iter().map(text).max().unwrap_or(0).max(header.len());
    let taken = widest(&|run| run.id.to_string().len(), "RUN")
        + widest(&|run| cut(&run.workflow, LONGEST_WORKFLOW).chars().count(), "WORKFLOW")
        + widest(&|run| run.status.word().len(), "STATUS")
        + widest(&|run| age(run).len(), "AGE");
    let room = usize::from(WIDTH).saturating_sub(taken + 10);
    let row = |run: &Run| {
        let workflow = cut(&run.workflow, LONGEST_WORKFLOW);
        vec![run.id.to_string(), workflow, out.paint(run.status.word()), age(run), cut(&note(run), room)]
    };
    table(&["RUN", "WORKFLOW", "STATUS", "AGE", "NOTE"], runs.iter().map(row))
}

/// Why it failed, or what it waits for, in a word.
fn note(run: &Run) -> String {
    match (&run.failure, &run.waiting_on) {
        (Some(failure), _) => failure.code.clone(),
        (None, Some(waiting)) => waiting.name.clone().unwrap_or_else(|| waiting.kind.to_string()),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cli::output::Format, engine::samples};

    #[test]
    fn a_list_fits_eighty_columns_and_keeps_ids_whole() {
        let run = |status: &str, workflow: &str| -> Run {
            samples::with(samples::waiting_run_json(), json!({"status": status, "workflow": workflow}))
        };
        let runs = [run("compensating", "order_fulfilment_of_the_shop"), run("waiting", "order")];
        let now = "2026-01-01T00:01:30Z".parse().expect("a time");
        let text = render(&runs, Out { format: Format::Table, colour: false }, now);
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        insta::assert_snapshot!(text, @r"
        RUN                                   WORKFLOW    STATUS        AGE    NOTE
        01998877-6655-7443-8221-100000000000  order_ful…  compensating  1m30s  cancel
        01998877-6655-7443-8221-100000000000  order       waiting       1m30s  cancel
        ");
    }
}
