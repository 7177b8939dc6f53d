//! A provider that takes messages by HTTP: for text messages, push messages, and the shop's own webhook.

use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::{Client, StatusCode, Url};

use super::{Message, Provider, SendError};
use crate::{secret::Secret, tls};

/// From connecting to the last byte.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// One provider's API: a POST of the message as JSON, with its id as `Idempotency-Key`.
pub(super) struct HttpProvider {
    name: String,
    url: Url,
    key: Option<Secret>,
    client: Client,
}

impl HttpProvider {
    pub(super) fn new(name: &str, url: &str, key: Option<Secret>) -> Result<Self, String> {
        let url: Url = url.parse().map_err(|_| "not a URL".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("its URL begins with http:// or https://".to_owned());
        }
        let client = tls::client(&url, ANSWERS_WITHIN).map_err(|error| error.to_string())?;
        Ok(Self { name: name.to_owned(), url, key, client })
    }
}

impl Provider for HttpProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let request = self.client.post(self.url.clone()).header("idempotency-key", message.id.to_string());
            let request = match &self.key {
                Some(key) => request.bearer_auth(key.expose()),
                None => request,
            };
            // Without the URL: it may have a token in it.
            let sent = request.json(message).send().await;
            let status = sent.map_err(|error| SendError::passing(error.without_url().to_string()))?.status();
            match status {
                status if status.is_success() => Ok(()),
                StatusCode::BAD_REQUEST
                | StatusCode::GONE
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY => Err(SendError::lasting(format!("it answered {status}"))),
                // A wrong key or address of the API is ours to set right; the message is good.
                status => Err(SendError::passing(format!("it answered {status}"))),
            }
        })
    }
}
