//! Clients that hang up: hundreds send an order or a run and are gone a few milliseconds later, beside others that are answered.
//!
//! At the end the API is killed: an acknowledgement that stood in a transaction left open by somebody else is gone then.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::{
    books,
    customers::{self, Crowd},
    rng::Rng,
    stage::{Stage, dice, rounds},
};

const WAVES: usize = 8;
const AT_ONCE: usize = 15;
/// Each message takes so long: a request is a few of them, and is cut at each.
const DELAY: Duration = Duration::from_millis(4);
/// Of those who stay, so many at least are answered meanwhile.
const ANSWERED: usize = 10;
/// So many runs are started after that behind clients who hang up, before the API is killed, so often.
const AFTERWARDS: usize = 30;
const KILLS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_hang_up() {
    let mut dice = dice();
    let mut stage = Stage::set("hang_ups", 2).await;
    stage.proxy.delay(DELAY);
    let crowd = Crowd::come(&stage.front, &mut dice, true);
    for _ in 0..WAVES * rounds() {
        hang_up_at_once(&stage, &mut dice, AT_ONCE).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    let answered = {
        let answers = stage.front.answers();
        answers.orders.len() + answers.runs.len()
    };
    assert!(answered >= ANSWERED, "only {answered} were answered beside those who hung up");
    crowd.go().await;
    // On the connections that those leave behind, and with nobody after them whose commit could carry them along.
    for round in 0..KILLS {
        hang_up_at_once(&stage, &mut dice, 3 * AT_ONCE).await;
        let runs = (0..AFTERWARDS).map(|number| format!("afterwards-{round}-{number}"));
        join_all(runs.map(async |key| stage.front.run_without_key(&key).await)).await;
        stage.kill_and_replace_api().await;
    }
    stage.proxy.heal();
    books::close(stage).await;
}

async fn hang_up_at_once(stage: &Stage, dice: &mut Rng, clients: usize) {
    let mut gone = JoinSet::new();
    for number in 0..clients {
        let run = json!({"workflow": "transfer", "input": {"id": "1", "from": "ada", "to": "bob", "cents": 1}});
        let (path, body) = if number % 4 == 0 { ("/v1/runs", run) } else { ("/v1/orders", customers::order("tok_ok")) };
        gone.spawn(hang_up(stage.front.url.clone(), path, body, Rng::new(dice.next())));
    }
    while let Some(one) = gone.join_next().await {
        one.expect("no panic");
    }
}

/// Sends a request and is gone before the answer, at a random moment.
async fn hang_up(url: String, path: &str, body: Value, mut dice: Rng) {
    let address = url.trim_start_matches("http://");
    let Ok(mut connection) = TcpStream::connect(address).await else { return };
    let body = body.to_string();
    let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n");
    let request = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
    if connection.write_all(request.as_bytes()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(dice.below(60))).await;
    }
}
