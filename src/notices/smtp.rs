//! A mail server as a provider.

use std::time::Duration;

use futures_util::future::BoxFuture;
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::PoolConfig,
};

use super::{Message, Provider, SendError};
use crate::tls::install_crypto_provider;

/// For each command of the server's.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Connections that are kept. One more is made for each mail that finds none, and thrown away after it.
const KEPT: u32 = 16;

/// One mail server.
pub(super) struct Smtp {
    name: String,
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
}

impl Smtp {
    /// The server of a URL: `smtp://`, or `smtps://` for TLS from the first byte; `?tls=required` for STARTTLS.
    pub(super) fn new(name: &str, url: &str, from: Mailbox) -> Result<Self, String> {
        if !url.starts_with("smtp://") && !url.starts_with("smtps://") {
            return Err("a mail server's URL begins with smtp:// or smtps://".to_owned());
        }
        install_crypto_provider();
        // Not the library's words: they may repeat a password.
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url);
        let builder = builder.map_err(|_| "not the URL of a mail server, such as smtp://user:password@host:25")?;
        let builder = builder.timeout(Some(ANSWERS_WITHIN)).pool_config(PoolConfig::new().max_size(KEPT));
        Ok(Self { name: name.to_owned(), from, transport: builder.build() })
    }

    async fn lets_us_in(&self) -> bool {
        self.transport.test_connection().await.unwrap_or(false)
    }

    fn mail(&self, message: &Message) -> Result<Mail, SendError> {
        let unusable = |error: &dyn std::fmt::Display| SendError::lasting(format!("not a mail: {error}"));
        let to: Mailbox = message.to.parse().map_err(|error: lettre::address::AddressError| unusable(&error))?;
        let built = Mail::builder()
            .from(self.from.clone())
            .to(to)
            .subject(&message.subject)
            .message_id(Some(format!("<{}@{}>", message.id, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(message.text.clone());
        built.map_err(|error| unusable(&error))
    }
}

impl Provider for Smtp {
    fn name(&self) -> &str {
        &self.name
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            match self.transport.send(self.mail(message)?).await {
                Ok(_) => Ok(()),
                // 5xx by a server that lets us in: it refuses this mail and will again. One that refuses us (a wrong password)
                // says nothing about the mail, and whatever else is odd may pass.
                Err(error) if error.is_permanent() && self.lets_us_in().await => {
                    Err(SendError::lasting(describe(&error)))
                }
                Err(error) => Err(SendError::passing(describe(&error))),
            }
        })
    }
}

/// An error with its causes.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
