//! Delivery of events to the merchant: signed again at each attempt, retried a few times, unordered.
//!
//! Each delivery is its own task, so an event may arrive before an earlier event, or before the answer of the
//! call that caused it: merchants must cope. Without a `webhook_url` nothing is sent.

use std::{io, sync::Arc, time::Duration};

use reqwest::{Client, Url};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Config, acquirer_json, now_ms, objects::Event};
use crate::{
    Secret,
    payments::{self, ACQUIRER_SIGNATURE, ACQUIRER_TIMESTAMP, SIGNATURE_HEADER, VendorKind},
    tls,
};

/// Timeout of the merchant's answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Delays between attempts; after the last one the event is dropped, and the merchant has to ask.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(8),
];

/// Maximum number of concurrent deliveries. Each may take a while: the merchant may wait for something before it answers.
const CONCURRENCY: usize = 512;

#[derive(Clone)]
pub(super) struct Sender {
    target: Option<Target>,
    stop: CancellationToken,
}

#[derive(Clone)]
struct Target {
    url: Url,
    client: Client,
    kind: VendorKind,
    secret: Secret,
    permits: Arc<Semaphore>,
}

impl Sender {
    pub(super) fn new(config: &Config, stop: CancellationToken) -> io::Result<Self> {
        let target = match &config.webhook_url {
            None => None,
            Some(text) => {
                let url = Url::parse(text)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, format!("{text}: {error}")))?;
                Some(Target {
                    client: tls::client(&url, TIMEOUT).map_err(io::Error::other)?,
                    url,
                    kind: config.kind,
                    secret: config.webhook_secret.clone(),
                    permits: Arc::new(Semaphore::new(CONCURRENCY)),
                })
            }
        };
        Ok(Self { target, stop })
    }

    /// Starts the deliveries, which end by themselves or when the simulator stops.
    pub(super) fn send_all(&self, tasks: &TaskTracker, events: Vec<Event>) {
        let Some(target) = &self.target else {
            return;
        };
        for event in events {
            let body = match target.kind {
                VendorKind::Stripe => event.to_json(),
                VendorKind::Acquirer => acquirer_json::notice(&event),
            }
            .to_string();
            for _ in 0..event.deliveries {
                let delivery = target.clone().deliver(event.id.clone(), body.clone());
                let stop = self.stop.clone();
                tasks.spawn(async move { stop.run_until_cancelled(delivery).await });
            }
        }
    }
}

impl Target {
    async fn deliver(self, id: String, body: String) {
        for pause in PAUSES {
            if self.attempt(&body).await {
                return;
            }
            tokio::time::sleep(pause).await;
        }
        if !self.attempt(&body).await {
            tracing::warn!(event = %id, "webhook given up");
        }
    }

    /// Whether the merchant accepted it (2xx).
    async fn attempt(&self, body: &str) -> bool {
        let Ok(_permit) = self.permits.acquire().await else {
            return false;
        };
        let secrets = std::slice::from_ref(&self.secret);
        let now_s = now_ms() / 1000;
        let request = self.client.post(self.url.clone());
        let request = match self.kind {
            VendorKind::Stripe => request.header(SIGNATURE_HEADER, payments::sign(secrets, now_s, body.as_bytes())),
            VendorKind::Acquirer => request
                .header(ACQUIRER_TIMESTAMP, now_s)
                .header(ACQUIRER_SIGNATURE, payments::sign_detached(secrets, now_s, body.as_bytes())),
        };
        let sent = request.header("content-type", "application/json").body(body.to_owned()).send().await;
        sent.is_ok_and(|response| response.status().is_success())
    }
}
