//! Finding: which runs, what needs attention, what operators did, who is there. Nothing here writes.
//!
//! | file | finds |
//! |---|---|
//! | `matching` | runs by a filter: the one place that knows how |
//! | `attention` | what needs an operator, grouped by error |
//! | `audit` | what operators did |
//! | `fleet` | queues, workers, workflows, counts |

pub(crate) mod attention;
pub(crate) mod audit;
pub(crate) mod fleet;
mod matching;

use sqlx::{PgConnection, Postgres, QueryBuilder, postgres::PgRow};

pub(crate) use self::matching::{Matching, find_matching};
use super::schema::Schema;
use crate::engine::{core::model::RunId, error::Error, read_models::RunFilter};

/// How many of the newest runs are looked through before what may be rare is looked up by its index, which gives all there
/// are and in no order: good for few, slow for many. What is common shows up among the first, what is less so among the second.
const NEAR: [i64; 2] = [2_000, 20_000];

/// As many among the newest make it common: the rest of the page is not far either.
const COMMON: usize = 5;

/// The plans of lists are told what the planner can't know: that a page ends soon. So nothing is hashed, compiled or handed
/// to parallel workers first. In one round trip, and for this transaction only. (Not `enable_seqscan`: the small tables that
/// have no other way would cost so much by it that the planner could no longer tell good plans from bad ones.)
const FOR_A_PAGE: &str = "SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0;
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

/// The rows of up to `limit` runs before a cursor, newest first. Inside of a transaction of the caller's. `columns`: a statement's rest, which reads them for the
/// ids of `page`; the same statement, so that what is listed is what was matched.
pub(super) async fn fetch_rows(
    schema: &Schema,
    conn: &mut PgConnection,
    filter: &RunFilter,
    before: Option<RunId>,
    limit: i64,
    columns: &'static str,
) -> Result<Vec<PgRow>, Error> {
    let matching = find_matching(schema, conn, filter).await?;
    sqlx::raw_sql(FOR_A_PAGE).execute(&mut *conn).await?;
    let mut reach = Reach::InOrder;
    if matching.may_be_rare() {
        reach = Reach::ByIndex;
        for runs in NEAR {
            let near = fetch(schema, conn, &matching, Reach::Near(runs), before, limit, columns).await?;
            if near.len() as i64 == limit {
                return Ok(near);
            }
            if near.len() >= COMMON {
                reach = Reach::InOrder;
                break;
            }
        }
    }
    fetch(schema, conn, &matching, reach, before, limit, columns).await
}

/// How a page is come by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// In the order of the ids, as far as it takes.
    InOrder,
    /// The same, but no further than so many runs.
    Near(i64),
    /// All that match, by whatever index finds them; then sorted.
    ByIndex,
}

async fn fetch(
    schema: &Schema,
    conn: &mut PgConnection,
    matching: &Matching,
    reach: Reach,
    before: Option<RunId>,
    limit: i64,
    columns: &'static str,
) -> Result<Vec<PgRow>, Error> {
    let id = matching.id();
    let mut query = QueryBuilder::<Postgres>::new("WITH ");
    if reach == Reach::ByIndex {
        // Materialized: with the limit in sight the planner would go through the runs in their order after all.
        query.push("found AS MATERIALIZED (SELECT r.id");
    } else {
        query.push(format_args!("page AS MATERIALIZED (SELECT {id} AS id"));
    }
    matching.push_to(schema, &mut query);
    if let Some(before) = before {
        query.push(format_args!(" AND {id} < ")).push_bind(before);
    }
    match reach {
        Reach::InOrder => query.push(format_args!(" ORDER BY {id} DESC LIMIT ")).push_bind(limit),
        Reach::Near(runs) => {
            query.push(schema.text(" AND r.id > coalesce((SELECT n.id FROM {schema}.run n"));
            if let Some(before) = before {
                query.push(" WHERE n.id < ").push_bind(before);
            }
            query.push(format_args!(" ORDER BY n.id DESC OFFSET {runs} LIMIT 1), '{}')", RunId::nil()));
            query.push(" ORDER BY r.id DESC LIMIT ").push_bind(limit)
        }
        Reach::ByIndex => {
            query.push("), page AS MATERIALIZED (SELECT id FROM found ORDER BY id DESC LIMIT ").push_bind(limit)
        }
    };
    query.push(") ").push(schema.text(columns));
    Ok(query.build().persistent(false).fetch_all(conn).await?)
}
