//! Each process is killed twice, at facts: so many orders have been placed, and it has done something since it was killed before. Some
//! more orders are placed before it is there again, but for the API, without which none are.

use crate::{
    arrivals::Arrivals,
    customers::Customers,
    stage::{Stage, Who},
};

/// In turn, twice.
const VICTIMS: [Who; 7] = [Who::Api, Who::North, Who::Mail, Who::Worker, Who::Broker, Who::Receiver, Who::Stripe];
const ROUNDS: usize = 2;

/// Kills all, and freezes the broker's connections in the end; gives how often each was killed.
pub(crate) async fn rage(
    stage: &mut Stage,
    arrivals: &mut Arrivals,
    customers: &mut Customers,
    orders: usize,
) -> Vec<(Who, usize)> {
    let turns = VICTIMS.len() * ROUNDS;
    let mut kills: Vec<(Who, usize)> = VICTIMS.iter().map(|who| (*who, 0)).collect();
    for turn in 0..turns {
        let at = |number: usize| orders * number / (2 * turns + 1);
        let who = VICTIMS[turn % VICTIMS.len()];
        customers.may_place(at(2 * turn + 2));
        customers.until_placed(at(2 * turn + 1)).await;
        stage.until_it_has_worked(who).await;
        stage.all_alive();
        stage.kill(who, arrivals).await;
        kills[turn % VICTIMS.len()].1 += 1;
        if who != Who::Api {
            customers.until_placed(at(2 * turn + 2)).await;
        }
        stage.start_again(who).await;
        assert_eq!(stage.engine.limbo().await.expect("reads"), [], "after {who:?} was killed");
    }
    stage.broker.proxy.freeze();
    customers.may_place(orders);
    kills
}
