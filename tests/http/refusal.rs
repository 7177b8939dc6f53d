//! The binary itself: it does not serve other machines without keys, and its own commands make the first one.

use std::{process::Stdio, time::Duration};

use reqwest::Method;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::{TestDatabase, wait_for};

fn backstitch(database: &TestDatabase, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstitch"));
    command.args(arguments).env("DATABASE_URL", database.url()).env_remove("BACKSTITCH_NO_AUTH").env("USER", "anna");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn output(database: &TestDatabase, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = tokio::time::timeout(Duration::from_secs(60), backstitch(database, arguments).output());
    let output = output.await.expect("it ends").expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Starts a server and gives the port that it says it is ready on.
async fn serving(database: &TestDatabase, arguments: &[&str]) -> (Child, u16) {
    let mut child = backstitch(database, arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = lines.next_line().await.expect("reads").expect("it says that it is ready");
    let port = line.rsplit(':').next().and_then(|port| port.parse().ok());
    (child, port.unwrap_or_else(|| panic!("{line}")))
}

async fn status(port: u16, token: Option<&str>) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.request(Method::GET, format!("http://127.0.0.1:{port}/v1/runs"));
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn other_machines_need_a_key_or_no_auth() {
    backstitch::tls::install_crypto_provider();
    let database = TestDatabase::new().await;
    let serve = ["serve", "--listen", "0.0.0.0:0", "--no-worker"];
    let dev = ["dev", "--listen", "0.0.0.0:0", "--gateway-listen", "127.0.0.1:0"];
    for arguments in [&serve[..], &dev[..]] {
        let (code, stdout, stderr) = output(&database, arguments).await;
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
        assert!(stderr.contains("backstitch key create") && stderr.contains("--no-auth"), "{stderr}");
    }
    let (_told, port) = serving(&database, &["serve", "--listen", "0.0.0.0:0", "--no-worker", "--no-auth"]).await;
    assert_eq!(status(port, None).await, 200);

    let (code, stdout, stderr) = output(&database, &["key", "create", "night shift", "--role", "viewer"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let token = stdout.trim_end();
    assert!(token.starts_with("bsk_") && stdout.lines().count() == 1, "the token and nothing else: {stdout}");
    assert!(!stderr.contains(token), "the token stands on stdout only: {stderr}");

    let (_keyed, port) = serving(&database, &serve).await;
    assert_eq!((status(port, None).await, status(port, Some(token)).await), (401, 200));

    let id = token["bsk_".len()..].split('_').next().expect("an id");
    let (_, list, _) = output(&database, &["key", "list"]).await;
    assert!(list.contains(id) && list.contains("night shift") && !list.contains(token), "{list}");
    let (code, _, stderr) = output(&database, &["key", "revoke", token]).await;
    assert_eq!(code, Some(0), "{stderr}");
    wait_for("the server has noticed", async || match status(port, Some(token)).await {
        401 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    let (code, _, stderr) = output(&database, &["key", "revoke", "nobodys"]).await;
    assert!(code == Some(1) && stderr.contains("backstitch key list"), "{stderr}");
    let (code, _, stderr) = output(&database, &["key", "create", "x", "--role", "root"]).await;
    assert!(code == Some(2) && stderr.contains("viewer, starter, operator, admin"), "{stderr}");
}
