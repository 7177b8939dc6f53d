//! Serving a router until the process is to stop, with limits that no caller can stretch: how many connections, how long a
//! head may take to come, how long an answer may take to go.

use std::{future::Future, io, sync::Arc, time::Duration};

use axum::{Router, http::Request, middleware::from_fn, response::Response};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinError,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{App, health, metrics, patience::Patient, request, router};

/// How long open requests may take after the server was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Connections at a time; further ones wait until one is closed.
const MOST_CONNECTIONS: usize = 4096;

/// The head of a request has to come within this time, also after the answer to the one before.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// What is kept of a connection's input until it is read; no head is larger.
const LARGEST_HEAD: usize = 64 * 1024;

/// After an error of the listener itself, such as too many open files.
const BREATHER: Duration = Duration::from_millis(500);

/// Serves until `shutdown`, then lets open requests end, for ten seconds at most.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let app = app.listening_at(listener.local_addr()?.ip());
    let draining = app.draining.clone();
    serve_until(listener, router(app), draining, shutdown).await;
    Ok(())
}

/// The same for health and metrics alone: what a worker without an API shows.
///
/// # Errors
/// When the listener fails.
pub async fn serve_health(
    listener: TcpListener,
    app: App,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let draining = app.draining.clone();
    let (routes, _) = health::routes().merge(metrics::routes()).split_for_parts();
    let router = routes.layer(from_fn(request::observe)).with_state(app);
    serve_until(listener, router, draining, shutdown).await;
    Ok(())
}

async fn serve_until(
    listener: TcpListener,
    router: Router,
    draining: CancellationToken,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (open, cut) = (TaskTracker::new(), CancellationToken::new());
    // When this future is dropped, its connections are closed too.
    let _cut_at_last = cut.clone().drop_guard();
    let accepting = accept(listener, MOST_CONNECTIONS, |stream, room| {
        let one = serve_one(stream, router.clone(), draining.clone());
        let cut = cut.clone();
        open.spawn(async move {
            let _room = room;
            cut.run_until_cancelled(one).await
        });
    });
    tokio::select! {
        () = shutdown => {}
        () = accepting => {}
    }
    draining.cancel();
    open.close();
    if tokio::time::timeout(DRAIN, open.wait()).await.is_err() {
        tracing::warn!("requests were still open ten seconds after the server was asked to stop");
    }
}

/// Takes connections, as long as there is room for them.
async fn accept(listener: TcpListener, most: usize, take: impl Fn(TcpStream, OwnedSemaphorePermit)) {
    let free = Arc::new(Semaphore::new(most));
    let mut warned = false;
    loop {
        if free.available_permits() > 0 {
            warned = false;
        } else if !std::mem::replace(&mut warned, true) {
            tracing::warn!(connections = most, "no more connections are taken until one is closed");
        }
        let Ok(room) = Arc::clone(&free).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => take(stream, room),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken just now");
                tokio::time::sleep(BREATHER).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Begins a request. One that may change something is seen to even if its client hangs up before anybody has looked at it:
/// done, or refused and on record.
fn begin(
    answer: &TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response, JoinError>> + use<> {
    let reads = request.method().is_safe();
    let answering = answer.call(request);
    let task = if reads { Err(answering) } else { Ok(tokio::spawn(answering)) };
    async move {
        let answered = match task {
            Ok(task) => task.await?,
            Err(answering) => answering.await,
        };
        match answered {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }
}

/// Serves one connection. What goes wrong with it is its client's affair.
async fn serve_one(stream: TcpStream, router: Router, draining: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(LARGEST_HEAD);
    let io = TokioIo::new(Patient::new(stream));
    let answer = TowerToHyperService::new(router);
    let mut serving = std::pin::pin!(builder.serve_connection(io, service_fn(|request| begin(&answer, request))));
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = draining.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended before its time");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::{body::Bytes, middleware::from_fn_with_state};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::{Instant, timeout},
    };

    use super::*;
    use crate::http::bodies::{Bounds, Room, bounded};

    /// A server; it stops when the token is cancelled.
    async fn served() -> (std::net::SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new()
            .fallback(async |body: Bytes| format!("here: {} bytes", body.len()))
            .layer(from_fn_with_state(Bounds { limit: 1 << 20, room: Room::new(1 << 20) }, bounded));
        let stop = CancellationToken::new();
        tokio::spawn(serve_until(listener, router, CancellationToken::new(), stop.clone().cancelled_owned()));
        (address, stop)
    }

    /// Sends something, then nothing more, and gives what came until the server hung up.
    async fn send(address: std::net::SocketAddr, text: &str) -> (String, Duration) {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(text.as_bytes()).await.expect("it takes it");
        let (begun, mut answer) = (Instant::now(), String::new());
        stream.read_to_string(&mut answer).await.expect("an end");
        (answer, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_never_ends_is_given_up() {
        let (address, _stop) = served().await;
        for text in ["", "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
            let (answer, took) = send(address, text).await;
            assert!(took >= HEAD_WITHIN && took < HEAD_WITHIN * 2, "{text:?}: {took:?}");
            assert_eq!(answer.contains("here"), text.ends_with("\r\n\r\n"), "{text:?}: {answer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_comes_is_given_up() {
        let (address, _stop) = served().await;
        let head = "POST /body HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\nx";
        let (answer, took) = send(address, head).await;
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(took < Duration::from_secs(60), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_is_too_large_is_refused() {
        let (address, _stop) = served().await;
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head = format!("GET / HTTP/1.1\r\nhost: x\r\nx-large: {}\r\n\r\n", "x".repeat(4 * LARGEST_HEAD));
        let _ = stream.write_all(head.as_bytes()).await; // it may hang up first
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    }

    #[tokio::test]
    async fn connections_beyond_the_most_wait_for_room() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let taken = Arc::new(Mutex::new(Vec::new()));
        let held = Arc::clone(&taken);
        tokio::spawn(accept(listener, 2, move |stream, room| held.lock().expect("a lock").push((stream, room))));
        let clients: Vec<_> = futures_util::future::join_all((0..3).map(|_| TcpStream::connect(address))).await;
        assert!(clients.iter().all(Result::is_ok), "the system queues what is not taken yet");
        let count = || taken.lock().expect("a lock").len();
        let until = async |wanted: usize| {
            while count() < wanted {
                tokio::time::sleep(Duration::from_millis(5)).await
            }
        };
        timeout(Duration::from_secs(10), until(2)).await.expect("two are taken");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(count(), 2);
        drop(taken.lock().expect("a lock").remove(0));
        timeout(Duration::from_secs(10), until(2)).await.expect("the third has its place");
    }

    #[tokio::test]
    async fn a_stop_ends_idle_connections_at_once() {
        let (address, stop) = served().await;
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("it takes it");
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.expect("an answer");
        stop.cancel();
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok_and(|read| read.is_ok()), "it hangs up");
    }
}
