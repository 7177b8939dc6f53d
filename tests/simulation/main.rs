//! The pure core, simulated: random programs, random faults, thousands of seeds in seconds.
//!
//! A seed makes a program (`program`), a world that answers its calls and keeps a ledger (`world`), an in-memory store that
//! commits as the SQL does (`store`), and workers that crash at every point (`sim`, `follow_ups`). The promises are checked
//! after every step (`check`), whatever callers and operators do (`outside`, `operator`). Whatever fails prints its seed, its program and its story.
//!
//! `BACKSTITCH_SEED=n` replays one seed with its story; `BACKSTITCH_SEEDS=n` sets how many are run.

mod check;
mod follow_ups;
mod interpreter;
mod kinds;
mod operator;
mod outside;
mod program;
mod regressions;
mod rng;
mod sim;
mod store;
mod world;

use backstitch::engine::{Verb, core::model::Status};
use sim::{Checked, Sim};

/// Seeds that are run unless `BACKSTITCH_SEEDS` says otherwise.
const SEEDS: u64 = 4_000;
/// Steps after which a run without faults must have come to its end.
const PATIENCE: u32 = 5_000;

/// What a seed came to.
struct Played {
    status: Status,
    commits: u64,
    crashes: u32,
}

fn play(sim: &mut Sim) -> Checked<Played> {
    let chaos = 20 + sim.rng.below(400);
    for _ in 0..chaos {
        sim.step()?;
    }
    sim.calm_down();
    let mut interventions = 0;
    for _ in 0..PATIENCE {
        if sim.store.paused_at.is_some() {
            // Nobody leaves a run paused for ever.
            let resumed = sim.store.apply_verb(&Verb::Resume).is_ok();
            sim.note(|| format!("an operator: resume: {resumed}"));
        }
        if sim.store.status == Status::Stuck && sim.active.is_none() && sim.store.ready.is_none() {
            interventions += 1;
            if interventions > 30 {
                return Err(format!("an operator can't get it going: {:?}", sim.store.failure));
            }
            sim.apply_verb();
        } else if sim.store.status.is_end() && sim.active.is_none() && sim.store.ready.is_none() {
            sim.world.settle();
            sim.check()?;
            sim.check_end()?;
            if interventions > 0 || !sim.reopen() {
                let (status, commits, crashes) = (sim.store.status, sim.commits, sim.crashes);
                return Ok(Played { status, commits, crashes });
            }
            interventions += 1;
        } else if sim.active.is_none() && sim.store.ready.is_none() && sim.store.timer.is_none() {
            sim.send_what_it_waits_for();
        }
        sim.step()?;
    }
    Err(format!("the faults have stopped, and the run does not end: it is {}", sim.store.status))
}

fn run(seed: u64, keep_story: bool) -> (Sim, Result<Played, String>) {
    let mut sim = Sim::new(seed, keep_story);
    let played = play(&mut sim);
    (sim, played)
}

/// Plays a seed again for its story, and fails with it.
fn explain(seed: u64, breach: &str) -> ! {
    let (sim, _) = run(seed, true);
    let story = sim.story.unwrap_or_default();
    let skip = story.len().saturating_sub(120);
    let (program, story) = (&sim.program, story[skip..].join("\n"));
    panic!("{program:#?}\n{story}\n\nseed {seed}: {breach}\nagain with BACKSTITCH_SEED={seed}");
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Workflows that panic on purpose should not fill the output.
fn quiet_panics() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let meant = info.payload().downcast_ref::<&str>().is_some_and(|text| *text == "the program ends so");
        if !meant {
            loud(info);
        }
    }));
}

#[test]
fn every_promise_is_kept_by_random_programs_under_random_faults() {
    quiet_panics();
    if let Some(seed) = number("BACKSTITCH_SEED") {
        let (sim, played) = run(seed, true);
        let story = sim.story.clone().unwrap_or_default();
        println!("{:#?}\n{}", sim.program, story.join("\n"));
        match played {
            Ok(played) => {
                println!("seed {seed}: {}, {} commits, {} crashes", played.status, played.commits, played.crashes)
            }
            Err(breach) => explain(seed, &breach),
        }
        return;
    }
    let seeds = number("BACKSTITCH_SEEDS").unwrap_or(SEEDS);
    let (mut ends, mut commits, mut crashes) = ([0_u64; 9], 0, 0);
    for seed in 0..seeds {
        match run(seed, false).1 {
            Ok(played) => {
                ends[played.status as usize] += 1;
                commits += played.commits;
                crashes += u64::from(played.crashes);
            }
            Err(breach) => explain(seed, &breach),
        }
    }
    println!("{seeds} seeds, {commits} commits, {crashes} crashes; ends by status: {ends:?}");
    // The generator must not drift into programs that prove nothing.
    if seeds >= 1_000 {
        assert!(ends[5] > seeds / 20 && ends[6] > seeds / 20 && ends[7] > seeds / 50, "{ends:?}");
        assert!(crashes > seeds, "{crashes} crashes");
    }
}
