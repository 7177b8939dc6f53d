//! Whose fault an error of the database is, sorted once for everybody. Source: Postgres's manual, appendix A (error codes); an
//! entry of five characters goes before its class.
//!
//! | whose | what a lane does | what a bulk operation does | what a request gets |
//! |---|---|---|---|
//! | the row's | splits the batch; what fails alone, and again, costs its run | refuses this run | 500 `database_error` |
//! | the statement's | tries again; then the rest first | leaves the run for later | 503, or 500 where it lasts |
//! | the server's | waits | waits | 503 |
//! | the connection's | connects again, checks its lease, sends again | waits | 503; `outcome_unknown` for a write |
//!
//! Only a row's fault may cost a run at once. Anything else costs one only if it fails alone, repeatedly, while others get
//! through (see `worker::commit`).

use self::Trouble::{Connection, Row, Server, Statement};

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// What was to be written is refused, and will be again.
    Row,
    /// This execution: a conflict or a time limit, or a statement that this database can't carry out.
    Statement,
    /// Nobody gets anything written just now: no space, no memory, read-only, starting up.
    Server,
    /// The session is gone or not usable: another one may be.
    Connection,
}

/// Codes and classes, whose fault they are, and whether the same may go well a moment later.
const TABLE: &[(&str, Trouble, bool)] = &[
    ("08", Connection, true),    // connection exceptions
    ("09", Row, false),          // a trigger's action
    ("0A", Connection, true),    // "cached plan must not change result type": a new session has no cached plan
    ("20", Row, false),          // case not found, in a function
    ("21", Row, false),          // cardinality
    ("22", Row, false),          // data exceptions
    ("23", Row, false),          // constraints
    ("25006", Server, true),     // read-only: a standby, or somebody's maintenance window
    ("25P02", Row, false),       // the transaction failed earlier, and its author passed over that
    ("25", Connection, true),    // the session is in another state than we take it for
    ("26", Connection, true),    // a pooler has lost the prepared statement
    ("27", Row, false),          // a trigger's change of data
    ("28", Server, true),        // who may connect
    ("2F", Row, false),          // SQL routines
    ("38", Row, false),          // external routines
    ("39", Row, false),          // external routines' invocation
    ("3D", Server, true),        // there is no such database (yet)
    ("40002", Row, false),       // a constraint at commit
    ("40003", Connection, true), // completion unknown
    ("40", Statement, true),     // serialization, deadlock
    ("44", Row, false),          // WITH CHECK OPTION
    ("53", Server, true),        // disk, memory, connections
    ("54", Row, false),          // program limits: too large, too deep
    ("55006", Statement, true),  // object in use
    ("55P03", Statement, true),  // lock_timeout, NOWAIT
    ("57014", Statement, true),  // statement_timeout, an operator's cancel
    ("57P03", Server, true),     // starting up, shutting down
    ("57", Connection, true),    // shut down, crashed, dropped, idle too long
    ("58", Server, true),        // system errors: I/O
    ("72", Statement, true),     // snapshot too old
    ("F0", Server, true),        // configuration file
    ("HV", Server, true),        // foreign data wrappers
    ("P0", Row, false),          // PL/pgSQL: somebody's trigger
    ("XX", Server, false),       // internal error, corrupted data
];

/// Whose fault a SQLSTATE is, and whether it passes. What is not listed (syntax, missing tables and rights, ..) is the
/// statement's, and stays.
pub(crate) fn sort(code: &str) -> (Trouble, bool) {
    let entry = |length: usize| {
        let code = code.get(..length)?;
        TABLE.iter().find(|(known, ..)| *known == code)
    };
    entry(5).or_else(|| entry(2)).map_or((Statement, false), |(_, trouble, passes)| (*trouble, *passes))
}

/// The same for any error of the client.
pub(crate) fn sort_error(error: &sqlx::Error) -> (Trouble, bool) {
    match error {
        sqlx::Error::Database(database) => sort(&database.code().unwrap_or_default()),
        sqlx::Error::PoolTimedOut => (Server, true),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => (Connection, true),
        sqlx::Error::Encode(_) => (Row, false),
        _ => (Statement, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_goes_before_its_class() {
        for (code, whose) in [
            ("23505", Row),
            ("22P05", Row),
            ("54001", Row),
            ("40001", Statement),
            ("40P01", Statement),
            ("57014", Statement),
            ("55P03", Statement),
            ("42P01", Statement),
            ("53100", Server),
            ("53200", Server),
            ("58030", Server),
            ("25006", Server),
            ("57P03", Server),
            ("57P01", Connection),
            ("08P01", Connection),
            ("25P03", Connection),
            ("25P02", Row),
            ("", Statement),
            ("é", Statement),
        ] {
            assert_eq!(sort(code).0, whose, "{code}");
        }
    }

    #[test]
    fn what_costs_a_run_never_passes() {
        assert!(TABLE.iter().all(|(_, whose, passes)| *whose != Row || !passes));
    }

    #[test]
    fn the_table_says_each_code_once() {
        let codes: Vec<&str> = TABLE.iter().map(|(code, ..)| *code).collect();
        let mut unique = codes.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(codes.len(), unique.len());
        assert!(codes.iter().all(|code| matches!(code.len(), 2 | 5)));
    }
}
