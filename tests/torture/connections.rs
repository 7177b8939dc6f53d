//! The network between us and Postgres: connections are cut, half closed, delayed by a second, frozen while new ones pass, and
//! frozen altogether for longer than a takeover takes, in a random order. Nothing is mended until work goes on, where it can.

use std::time::Duration;

use crate::{
    books,
    customers::Crowd,
    rng::Rng,
    stage::{Stage, TAKEOVER_AFTER, dice, rounds},
    support::Way,
};

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Cut,
    HalfClosed(Way),
    Frozen,
    AnswersFrozen,
    Delayed,
    AllFrozen,
}

const ALL: [Trouble; 7] = [
    Trouble::Cut,
    Trouble::HalfClosed(Way::ToServer),
    Trouble::HalfClosed(Way::ToClient),
    Trouble::Frozen,
    Trouble::AnswersFrozen,
    Trouble::Delayed,
    Trouble::AllFrozen,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_break_in_every_way() {
    let mut dice = dice();
    let mut stage = Stage::set("connections", 2).await;
    let crowd = Crowd::come(&stage.front, &mut dice, true);
    for _ in 0..rounds() {
        for trouble in shuffled(&mut dice) {
            make(trouble, &stage).await;
            books::work_goes_on(&mut stage, &format!("{trouble:?}")).await;
        }
    }
    crowd.go().await;
    books::close(stage).await;
}

fn shuffled(dice: &mut Rng) -> Vec<Trouble> {
    let mut left = ALL.to_vec();
    std::iter::from_fn(|| {
        (!left.is_empty()).then(|| left.swap_remove(usize::try_from(dice.below(left.len() as u64)).unwrap_or(0)))
    })
    .collect()
}

async fn make(trouble: Trouble, stage: &Stage) {
    let proxy = &stage.proxy;
    match trouble {
        Trouble::Cut => proxy.cut(),
        Trouble::HalfClosed(way) => proxy.half_close(way),
        Trouble::Frozen => proxy.freeze(),
        Trouble::AnswersFrozen => proxy.freeze_way(Way::ToClient),
        Trouble::Delayed => {
            proxy.delay(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_secs(3)).await;
            proxy.heal();
        }
        Trouble::AllFrozen => {
            proxy.freeze_all();
            tokio::time::sleep(TAKEOVER_AFTER + Duration::from_secs(2)).await;
            proxy.heal();
        }
    }
}
