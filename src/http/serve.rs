//! Serving a router until the process is to stop.

use std::{future::Future, io, time::Duration};

use axum::{Router, middleware::from_fn};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{App, health, metrics, request, router};

/// How long open requests may take after the server was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

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
    serve_until(listener, router(app), draining, shutdown).await
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
    serve_until(listener, router, draining, shutdown).await
}

async fn serve_until(
    listener: TcpListener,
    router: Router,
    draining: CancellationToken,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let stopping = draining.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        stopping.cancel();
    });
    let too_late = async {
        draining.cancelled().await;
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        served = server => served,
        () = too_late => {
            tracing::warn!("requests were still open ten seconds after the server was asked to stop");
            Ok(())
        }
    }
}
