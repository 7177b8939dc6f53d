//! The settings of the server that tests share. Also used by `examples/with_postgres.rs`.

use backstitch::embedded::Options;

/// fsync is off: what these databases hold is worth nothing after a crash of the machine, and a test run makes thousands of commits.
/// Nothing else is traded away; a crash of Postgres alone loses nothing. Tests of durability start a server of their own, with fsync on.
pub(crate) fn fast_but_not_crash_safe() -> Options {
    Options::default()
        .set("fsync", "off")
        .set("full_page_writes", "off")
        .set("max_connections", "400")
        .set("shared_buffers", "128MB")
}
