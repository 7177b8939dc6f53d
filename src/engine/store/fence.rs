//! flush.sql behind each of its two fences.

use std::sync::LazyLock;

/// With the fence of a lane's own connection.
pub(super) static OF_LANE: LazyLock<String> = LazyLock::new(|| compose(include_str!("sql/fence_of_lane.sql"), ""));
/// With that of the transactions of its steps.
pub(super) static OF_STEP: LazyLock<String> =
    LazyLock::new(|| compose(include_str!("sql/fence_of_step.sql"), include_str!("sql/hold_of_step.sql")));

/// What pins the plans of a step's flush, as they are on a lane's connection, for the rest of its transaction.
pub(super) const PIN_PLANS: &str = "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off;
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

fn compose(fence: &str, hold: &str) -> String {
    let lines = |text: &str| text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    let flush = lines(include_str!("sql/flush.sql"));
    flush.replace("{fence}", &lines(fence)).replace("{hold}", &lines(hold))
}
