//! Where operators are told that something is wrong: mail addresses and URLs of `BACKSTITCH_ALERTS`.

use std::{collections::BTreeMap, fmt, time::Duration};

use reqwest::{Client, Url, header::CONTENT_TYPE};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    Channel, Message, Post, Recipient, address,
    bad::{BadNotices, bad},
};
use crate::{secret::Secret, signing::sign, tls};

const ALERTS: &str = "BACKSTITCH_ALERTS";

/// From connecting to the last byte.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Who is told when something is wrong.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct AlertSettings {
    /// Mail addresses and URLs that are told what needs an operator, separated by commas
    #[cfg_attr(feature = "cli", arg(long, value_name = "LIST", env = "BACKSTITCH_ALERTS", hide_env_values = true))]
    pub alerts: Option<Secret>,
    /// What alerts to URLs are signed with: a text, or `whsec_` and base64
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SECRET", env = "BACKSTITCH_ALERTS_SECRET", hide_env_values = true)
    )]
    pub alerts_secret: Option<Secret>,
    /// Where people reach the dashboard, for links in alerts
    #[cfg_attr(feature = "cli", arg(long, value_name = "URL", env = "BACKSTITCH_PUBLIC_URL"))]
    pub public_url: Option<String>,
}

/// What an operator is told.
#[derive(Clone, PartialEq)]
pub struct Alarm {
    /// The same each time it is sent.
    pub id: Uuid,
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same for a machine.
    pub body: Value,
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Where alarms go, by the names under which they are kept: an address itself, a URL without what may be secret in it.
#[derive(Clone, Default)]
pub struct Targets {
    all: BTreeMap<String, Target>,
    public_url: String,
}

#[derive(Clone)]
enum Target {
    Email(String),
    Url { url: Url, secret: Option<Secret>, client: Client },
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Targets").field("count", &self.all.len()).finish_non_exhaustive()
    }
}

impl AlertSettings {
    /// Opens what the settings name. Connects to nobody yet.
    ///
    /// # Errors
    /// A setting can't be used, or mails are to be sent and `has_mail_server` says that nothing sends them.
    pub(super) fn open(&self, has_mail_server: bool) -> Result<Targets, BadNotices> {
        let public_url = self.public_url.as_deref().map_or(Ok(String::new()), read_public_url)?;
        let secret = self.alerts_secret.clone();
        if secret.as_ref().is_some_and(|secret| secret.is_empty() || sign(secret, "", "", b"").is_none()) {
            let why = "it is empty, or begins with `whsec_` and is not base64 behind that";
            return Err(bad("BACKSTITCH_ALERTS_SECRET")(why.to_owned()));
        }
        let list = self.alerts.as_ref().map(Secret::expose).unwrap_or_default();
        let mut all = BTreeMap::new();
        for text in list.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let (name, target) = read_target(text, secret.as_ref())?;
            all.insert(name, target);
        }
        let has_address = all.values().any(|target| matches!(target, Target::Email(_)));
        if has_address && !has_mail_server {
            return Err(bad("BACKSTITCH_SMTP_URL")(format!("{ALERTS} names an address, and no mail server is set")));
        }
        Ok(Targets { all, public_url })
    }
}

fn read_public_url(text: &str) -> Result<String, BadNotices> {
    let is_one =
        |url: &Url| matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    let url = Url::parse(text).ok().filter(is_one);
    let wrong = || bad("BACKSTITCH_PUBLIC_URL")(format!("{text:?} is not a URL such as https://orders.example.com"));
    Ok(url.ok_or_else(wrong)?.as_str().trim_end_matches('/').to_owned())
}

fn read_target(text: &str, secret: Option<&Secret>) -> Result<(String, Target), BadNotices> {
    if !text.contains("://") {
        address::check_email(text).map_err(|error| bad(ALERTS)(format!("{text:?} {error}, and no URL")))?;
        return Ok((text.to_owned(), Target::Email(text.to_owned())));
    }
    // Without the text: it may have a token in it.
    let wrong = || bad(ALERTS)("a URL in it is not one of http or https".to_owned());
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or_else(wrong)?;
    let client = tls::client(&url, ANSWERS_WITHIN).map_err(|error| bad(ALERTS)(error.to_string()))?;
    let hash = hex::encode(Sha256::digest(url.as_str().as_bytes()));
    let name = format!("{} #{}", url.host_str().unwrap_or_default(), hash.get(..12).unwrap_or_default());
    Ok((name, Target::Url { url, secret: secret.cloned(), client }))
}

impl Targets {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.keys().map(String::as_str)
    }

    /// A page of the dashboard, as people reach it.
    pub fn link(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    /// Hands an alarm over.
    ///
    /// # Errors
    /// Why it was not taken. It may have been.
    pub async fn send(&self, post: &Post, name: &str, alarm: &Alarm) -> Result<(), String> {
        match self.all.get(name) {
            Some(Target::Email(to)) => {
                let Alarm { id, subject, text, .. } = alarm.clone();
                let (about, to, recipient) = ("alert".to_owned(), to.clone(), Recipient::Operator);
                let message = Message { id, about, order_id: None, recipient, to, subject, text };
                post.send(Channel::Email, &message).await.map(drop).map_err(|error| error.message)
            }
            Some(Target::Url { url, secret, client }) => send_to_url(client, url, secret.as_ref(), alarm).await,
            None => Err("it is no longer among the targets".to_owned()),
        }
    }
}

/// One POST, signed as Standard Webhooks says.
async fn send_to_url(client: &Client, url: &Url, secret: Option<&Secret>, alarm: &Alarm) -> Result<(), String> {
    let body = serde_json::to_vec(&alarm.body).map_err(|error| error.to_string())?;
    // The receiver compares it with its own clock.
    let at = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()).to_string();
    let id = alarm.id.to_string();
    let mut request = client.post(url.clone()).header(CONTENT_TYPE, "application/json");
    if let Some(secret) = secret {
        let signature = sign(secret, &id, &at, &body).ok_or("the secret can't be read")?;
        request = request.header("webhook-signature", format!("v1,{signature}"));
    }
    let sent = request.header("webhook-id", id).header("webhook-timestamp", at).body(body).send().await;
    // Without the URL: it may have a token in it.
    let status = sent.map_err(|error| error.without_url().to_string())?.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(alerts: &str, has_mail_server: bool) -> Result<Vec<String>, String> {
        let settings = AlertSettings { alerts: Some(Secret::from(alerts)), ..AlertSettings::default() };
        let opened = settings.open(has_mail_server).map_err(|error| error.to_string())?;
        Ok(opened.names().map(str::to_owned).collect())
    }

    #[test]
    fn targets_that_cant_be_used_are_named() {
        for (alerts, why) in [
            ("ops", "BACKSTITCH_ALERTS: \"ops\" is not an e-mail address"),
            ("a@b.c, mailto:a@b.c", "BACKSTITCH_ALERTS: \"mailto:a@b.c\""),
            ("a@b.c\nBcc: d@e.f", "BACKSTITCH_ALERTS"),
            ("ftp://hidden@h/", "BACKSTITCH_ALERTS: a URL"),
            ("http://", "BACKSTITCH_ALERTS: a URL"),
        ] {
            let error = open(alerts, true).expect_err(alerts);
            assert!(error.starts_with(why) && !error.contains("hidden"), "{error}");
        }
        assert!(open("a@b.c", false).expect_err("no mail server").starts_with("BACKSTITCH_SMTP_URL"));
        let settings = AlertSettings { alerts_secret: Some(Secret::from("whsec_%")), ..AlertSettings::default() };
        assert!(settings.open(true).expect_err("no base64").to_string().starts_with("BACKSTITCH_ALERTS_SECRET"));
        for url in ["orders.example.com", "ftp://h/", "https://h/?a=b"] {
            let settings = AlertSettings { public_url: Some(url.to_owned()), ..AlertSettings::default() };
            assert!(settings.open(true).expect_err(url).to_string().starts_with("BACKSTITCH_PUBLIC_URL"));
        }
    }

    #[test]
    fn a_url_is_kept_without_its_secret() {
        let names = open("ops@example.com, https://h.example/x?token=hidden,,ops@example.com", true).expect("targets");
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[0].starts_with("h.example #") && !names[0].contains("hidden"), "{names:?}");
        assert_eq!(open("http://h/a", false).expect("no mail is sent").len(), 1);
        assert_ne!(open("http://h/a", false), open("http://h/b", false));
    }

    #[test]
    fn links_begin_with_the_public_url() {
        let settings = AlertSettings { public_url: Some("https://h/ops/".to_owned()), ..AlertSettings::default() };
        assert_eq!(settings.open(false).expect("usable").link("/runs/1"), "https://h/ops/runs/1");
    }
}
