//! Events to a URL, one POST each, signed as Standard Webhooks says: receivers have libraries for it.

use std::{error::Error as _, time::Duration};

use reqwest::{Client, Url, header::CONTENT_TYPE};

use super::CLOUD_EVENT;
use crate::{
    Secret,
    engine::outbox::{DELIVERED_WITHIN, Event, Sink, SinkError},
    signing::sign,
    tls,
};

/// A receiver has this long for an event.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// No further request is begun in a delivery that has taken so long: it has to end in time.
const BEGUN_WITHIN: Duration = DELIVERED_WITHIN.saturating_sub(ANSWER_WITHIN);

/// Why there can be no such sink.
#[derive(Debug, thiserror::Error)]
pub enum BadWebhook {
    /// It is no URL, or none of http or https.
    #[error("{0:?} is no http or https URL")]
    Url(String),
    /// Nobody could tell our events from others'.
    #[error("the secret is empty, or begins with `whsec_` and is not base64 behind that")]
    Secret,
    /// TLS can't be set up.
    #[error("TLS can't be set up")]
    Tls(#[from] reqwest::Error),
}

/// Sends events to a URL.
#[derive(Debug)]
pub struct WebhookSink {
    client: Client,
    url: Url,
    secret: Secret,
}

impl WebhookSink {
    /// A sink that signs with this secret, as text or as `whsec_` and base64.
    ///
    /// # Errors
    /// See [`BadWebhook`].
    pub fn new(url: &str, secret: Secret) -> Result<Self, BadWebhook> {
        let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = parsed.ok_or_else(|| BadWebhook::Url(url.to_owned()))?;
        if secret.is_empty() || sign(&secret, "", "", b"").is_none() {
            return Err(BadWebhook::Secret);
        }
        Ok(Self { client: tls::client(&url, ANSWER_WITHIN)?, url, secret })
    }

    async fn send(&self, event: &Event) -> Result<(), String> {
        let body = serde_json::to_vec(event).map_err(|error| error.to_string())?;
        // The receiver compares it with its own clock.
        let at = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()).to_string();
        let id = event.id.to_string();
        let signature = sign(&self.secret, &id, &at, &body).ok_or("the secret can't be read")?;
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, CLOUD_EVENT);
        let request = request.header("webhook-id", id).header("webhook-timestamp", at);
        let answer = request.header("webhook-signature", format!("v1,{signature}")).body(body).send().await;
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("the receiver answered {}", answer.status())),
            // Its own text has the URL, in which there may be a secret.
            Err(error) => {
                let error = error.without_url();
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                Err(format!("{error}{cause}"))
            }
        }
    }
}

impl Sink for WebhookSink {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), SinkError> {
        let began = std::time::Instant::now();
        for (at, event) in events.iter().enumerate() {
            if began.elapsed() > BEGUN_WITHIN {
                return Err(SinkError::unfinished(at));
            }
            self.send(event).await.map_err(|message| SinkError::new(message).after(at))?;
        }
        Ok(())
    }
}
