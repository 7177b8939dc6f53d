//! The plans of what a flush writes: every row is looked up by its key, in the settings that lanes and steps flush with, whatever
//! the tables look like when the plan is made.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use crate::support::{engine::*, script::*};

const FLUSH: &str = include_str!("../../src/engine/store/sql/flush.sql");

/// Keeps the settings in which steps are recorded.
const NOTE_SETTINGS: &str = "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO seen SELECT NEW.name, name, setting FROM pg_settings
    WHERE name LIKE 'enable%' OR name IN ('plan_cache_mode', 'random_page_cost', 'jit', 'search_path');
    RETURN NULL; END $$";

/// The statement with all its parts and this fence's, with numbers for names; and how many values it takes.
fn flush_behind(fence: &str) -> (String, usize) {
    let (mut text, mut left_out, mut names) = (String::new(), false, Vec::new());
    for line in FLUSH.lines() {
        match line.strip_prefix("-- part ") {
            Some(part) => left_out = ["lane", "step"].contains(&part) && part != fence,
            None if line == "-- end" => left_out = false,
            None if left_out || line.starts_with("--") => {}
            None => {
                let mut pieces = line.split('$');
                text.extend(pieces.next());
                for piece in pieces {
                    let end = piece.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(piece.len());
                    let (name, rest) = piece.split_at(end);
                    let at = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                        names.push(name);
                        names.len() - 1
                    });
                    text.push_str(&format!("${}{rest}", at + 1));
                }
                text.push('\n');
            }
        }
    }
    (rendered(&text).0, names.len())
}

/// What a flush behind this fence is planned as, in the settings in which the step `of` was recorded.
async fn plan(conn: &mut PgConnection, fence: &str, of: &str) -> Value {
    let settings = sqlx::query("SELECT setting, value FROM seen WHERE step = $1").bind(of).fetch_all(&mut *conn).await;
    for row in settings.expect("they were kept") {
        let (setting, value): (String, String) = (row.get(0), row.get(1));
        let set = sqlx::query("SELECT set_config($1, $2, false)").bind(setting).bind(value);
        set.execute(&mut *conn).await.expect("it is set");
    }
    let (text, values) = flush_behind(fence);
    let values = vec!["NULL"; values].join(", ");
    let prepare = AssertSqlSafe(format!("PREPARE flush AS {text}"));
    sqlx::raw_sql(prepare).execute(&mut *conn).await.expect("it is a statement");
    let explain = AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) EXECUTE flush ({values})"));
    let plan = sqlx::raw_sql(explain).fetch_one(&mut *conn).await.expect("it is planned").get(0);
    sqlx::raw_sql("DEALLOCATE flush").execute(conn).await.expect("it is forgotten");
    plan
}

/// Each look at a table, and by what: nothing is a look at all of it. The rows of `p` are locked, and joined to nothing.
fn looks<'a>(node: &'a Value, found: &mut Vec<(&'a str, &'a str)>) {
    if node["Subplan Name"] == "CTE p" {
        return;
    }
    if let Some(table) = node["Relation Name"].as_str().filter(|_| node["Operation"].is_null()) {
        found.push((table, node["Index Cond"].as_str().unwrap_or("nothing")));
    }
    node["Plans"].as_array().into_iter().flatten().for_each(|below| looks(below, found));
}

#[tokio::test]
async fn a_flush_looks_each_row_up_by_its_key() {
    let t = TestEngine::new().await;
    t.execute("CREATE TABLE seen (step text, setting text, value text)").await;
    t.execute("CREATE TABLE effect (n int)").await;
    t.execute(NOTE_SETTINGS).await;
    t.execute("CREATE TRIGGER note AFTER INSERT ON backstitch.step FOR EACH ROW EXECUTE FUNCTION note()").await;
    t.script.on("book", Side::Run, [Do::Sql("INSERT INTO effect VALUES (1)".to_owned(), Do::Ok.into())]);
    t.ends(&[call("note"), call("book")], "completed").await;
    let mut conn = t.engine.pool().acquire().await.expect("a connection");
    for state in ["SELECT 1", "TRUNCATE backstitch.run, backstitch.step, backstitch.ready CASCADE", "VACUUM ANALYZE"] {
        t.execute(state).await;
        for (fence, step) in [("lane", "note"), ("step", "book")] {
            let plan = plan(&mut conn, fence, step).await;
            let mut found = Vec::new();
            looks(&plan[0]["Plan"], &mut found);
            assert!(found.len() > 30, "{} looks", found.len());
            // Rows of runs and steps are joined to what is written of each: a list of keys would be compared with all of that.
            let is_list = |table: &str, by: &str| {
                (table.starts_with("run_2") || table.starts_with("step_2")) && by.contains("ANY ($")
            };
            found.retain(|(table, by)| *by == "nothing" && *table != "paused" || is_list(table, by));
            assert!(found.is_empty(), "{fence}, {state}: {found:?}");
        }
    }
    drop(conn);
    t.finish().await;
}
