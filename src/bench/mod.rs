//! What `backstitch bench` measures: loads that anybody can run on a database of theirs (docs/benchmarks.md).
//!
//! | file | does |
//! |---|---|
//! | `place`, `parts` | where and how much to run; what the workflows of several scenarios are made of |
//! | `scenario`, `closed` | what a load has to say of itself; starts its runs, executes them, times some on the idle engine |
//! | `plain`, `saga`, `transactional`, `park`, `payload` | such loads |
//! | `idle`, `mixed`, `large` | single runs: on the idle engine, in the middle of others, of very many steps |
//! | `pace`, `timers`, `history`, `soak` | very many that are parked, or have ended, or come for long |
//! | `beside_few` | a schema that has many, compared in turn with one that has few |
//! | `orders`, `shop` | the shop through REST |
//! | `peers` | the order saga that bench/peers has for other engines |
//! | `rest`, `workers` | with processes beside this one |
//! | `floor` | what Postgres and disk do without any engine |
//! | `turns`, `rival`, `compare` | rounds of ours and of other programs in turn; such a program; what came of them |
//! | `chart` | a comparison or a soak as SVG |
//! | `measure` | counts in the database and in this process, from outside of the engine |
//! | `report` | the figures, as they are printed and written as JSON |

mod beside_few;
mod chart;
mod closed;
mod compare;
mod floor;
mod history;
mod idle;
mod large;
mod measure;
mod mixed;
#[cfg(feature = "shop")]
mod orders;
mod pace;
mod park;
mod parts;
mod payload;
#[cfg(feature = "shop")]
mod peers;
mod place;
mod plain;
mod report;
mod rest;
mod rival;
mod saga;
mod scenario;
#[cfg(feature = "shop")]
mod shop;
mod soak;
mod timers;
mod transactional;
mod turns;
mod workers;

pub use chart::draw;
pub use compare::{Comparison, Contender, OURS, Spread};
pub use floor::{Floor, measure as measure_floor};
pub use place::{Place, Size};
pub use report::{Figures, Report};
pub use rest::{Posted, Posting, post_runs};
pub use rival::Rival;
pub use turns::{Turns, run_in_turn};
pub use workers::work;

/// The scenarios, in the order in which `all` runs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    /// Five plain steps: the standard load
    Plain,
    /// Orders through REST, from POST to placed
    #[cfg(feature = "shop")]
    Orders,
    /// The same, with one item in every order
    #[cfg(feature = "shop")]
    HotItem,
    /// The order saga that bench/peers has for other engines
    #[cfg(feature = "shop")]
    Peers,
    /// Five steps, each one INSERT in the caller's table
    Transactional,
    /// Five undoable and verifiable steps
    Saga,
    /// The same, the last fails and four are undone
    Compensate,
    /// Two steps, a sleep, a signal, three steps
    Park,
    /// One run at a time
    Idle,
    /// Runs through REST from another process
    Rest,
    /// Single runs while 2,000 a second pass through
    Mixed,
    /// Plain runs beside very many parked ones; timers that fire
    Timers,
    /// Plain runs after very many have ended
    History,
    /// Runs of 10,000 steps
    Large,
    /// Payloads of 100 kB
    Payload,
    /// One, two and four worker processes
    Workers,
    /// 2,000 runs a second for long
    Soak,
}

/// Makes a database of its own for a scenario, on the server of this pool; gives its name.
///
/// # Errors
/// When the server refuses.
pub async fn create_database(pool: &sqlx::PgPool, scenario: Name) -> anyhow::Result<String> {
    let name = format!("bench_{scenario:?}").to_lowercase();
    measure::create_database(pool, &name).await?;
    Ok(name)
}

/// Runs one scenario.
///
/// # Errors
/// When the database fails, or when what the scenario claims did not happen: then there are no figures.
pub async fn run_scenario(name: Name, place: &Place) -> anyhow::Result<Figures> {
    match name {
        Name::Plain => closed::run(plain::Plain::new()?, place).await,
        #[cfg(feature = "shop")]
        Name::Orders => orders::run(place).await,
        #[cfg(feature = "shop")]
        Name::HotItem => orders::run_hot_item(place).await,
        #[cfg(feature = "shop")]
        Name::Peers => {
            let (peers, place) = peers::Peers::open(place).await?;
            closed::run(peers, &place).await
        }
        Name::Transactional => closed::run(transactional::Transactional::new()?, place).await,
        Name::Saga => closed::run(saga::Saga::new()?, place).await,
        Name::Compensate => closed::run(saga::Compensate::new()?, place).await,
        Name::Park => closed::run(park::Park::new()?, place).await,
        Name::Idle => idle::run(place).await,
        Name::Rest => rest::run(place).await,
        Name::Mixed => mixed::run(place).await,
        Name::Timers => timers::run(place).await,
        Name::History => history::run(place).await,
        Name::Large => large::run(place).await,
        Name::Payload => {
            let figures = closed::run(payload::Payload::new()?, place).await?;
            let bytes = figures.runs_per_s * payload::Payload::BYTES_PER_RUN;
            Ok(figures.with("payload_mb_per_s", bytes / 1e6))
        }
        Name::Workers => workers::run(place).await,
        Name::Soak => soak::run(place).await,
    }
}

/// Runs the standard load, and reports on it as ever.
///
/// # Errors
/// As [`run_scenario`].
pub async fn run(place: &Place) -> anyhow::Result<Report> {
    let figures = run_scenario(Name::Plain, place).await?;
    Ok(Report {
        runs: figures.runs,
        seconds: figures.seconds,
        runs_per_s: figures.runs_per_s,
        steps_per_s: figures.more.get("steps_per_s").and_then(serde_json::Value::as_f64).unwrap_or_default(),
        latency_ms_p50: figures.latency_ms_p50,
        latency_ms_p99: figures.latency_ms_p99,
        wal_bytes_per_run: figures.wal_bytes_per_run,
        commits_per_run: figures.commits_per_run,
        db_bytes_per_run: figures.db_bytes_per_run,
        rss_mb: figures.rss_mb,
        postgres: measure::read_settings(&place.pool).await?,
    })
}
