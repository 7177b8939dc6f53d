//! Settings of notices, and who is told what, by which channels.

use std::{
    collections::{BTreeMap, HashSet},
    path::PathBuf,
    sync::Arc,
};

use lettre::message::Mailbox;
use serde::Deserialize;

use super::{
    Channel, LogProvider, Post, Provider, Recipient, TEMPLATES, Templates, address,
    alerts::{AlertSettings, Targets},
    bad::{BadNotices, bad},
    http::HttpProvider,
    smtp::Smtp,
};
use crate::secret::Secret;

/// What customers and sellers are told unless a file says otherwise: every change of the order's state.
fn is_change_of_state(about: &str) -> bool {
    about.starts_with("order.") && about != "order.updated"
}

/// The longest name of a provider: its breaker has it, and addresses.
const LONGEST_NAME: usize = 40;

/// How people are told of orders.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct NoticeSettings {
    /// The mail server, as smtp://USER:PASSWORD@HOST:PORT; without it, mails are lines in the log
    #[cfg_attr(feature = "cli", arg(long, value_name = "URL", env = "BACKSTITCH_SMTP_URL", hide_env_values = true))]
    pub smtp_url: Option<Secret>,
    /// Whom mails are from
    #[cfg_attr(feature = "cli", arg(long, value_name = "ADDRESS", env = "BACKSTITCH_MAIL_FROM"))]
    pub mail_from: Option<String>,
    /// A URL that is told every change of an order
    #[cfg_attr(feature = "cli", arg(long, value_name = "URL", env = "BACKSTITCH_NOTICES_URL", hide_env_values = true))]
    pub notices_url: Option<Secret>,
    /// Folder of templates that override the built-in ones
    #[cfg_attr(feature = "cli", arg(long, value_name = "DIR", env = "BACKSTITCH_TEMPLATES"))]
    pub templates: Option<PathBuf>,
    /// File of who is told what by which channel, and of the channels' providers
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", env = "BACKSTITCH_NOTICES"))]
    pub notices: Option<PathBuf>,
    /// Who is told when something is wrong.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub alerts: AlertSettings,
}

/// What notices and alerts are sent with, and to whom.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The providers.
    pub post: Post,
    /// The texts.
    pub templates: Templates,
    /// Who is told what of orders.
    pub routes: Routes,
    /// Who is told what is wrong.
    pub targets: Targets,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    recipients: Option<BTreeMap<String, BTreeMap<Recipient, Vec<Channel>>>>,
    operator: OperatorAddress,
    providers: BTreeMap<Channel, Vec<ProviderEntry>>,
}

/// Where operators are reached.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OperatorAddress {
    email: Option<String>,
    phone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderEntry {
    name: String,
    url: String,
    #[serde(default)]
    key: Option<String>,
}

/// Who is told what by which channels.
#[derive(Clone, Debug)]
pub struct Routes {
    table: BTreeMap<String, BTreeMap<Recipient, Vec<Channel>>>,
    operator: OperatorAddress,
}

impl Default for Routes {
    fn default() -> Self {
        Self::usual(false)
    }
}

impl Routes {
    /// Customer and seller by mail; the webhook, where there is one.
    fn usual(has_webhook: bool) -> Self {
        let mut by_recipient =
            BTreeMap::from([Recipient::Customer, Recipient::Seller].map(|who| (who, vec![Channel::Email])));
        if has_webhook {
            by_recipient.insert(Recipient::Operator, vec![Channel::Webhook]);
        }
        let states = TEMPLATES.iter().filter(|about| is_change_of_state(about));
        let table = states.map(|about| ((*about).to_owned(), by_recipient.clone())).collect();
        Self { table, operator: OperatorAddress::default() }
    }

    /// The channels by which somebody is told of something.
    pub fn channels(&self, about: &str, recipient: Recipient) -> &[Channel] {
        let by_recipient = self.table.get(about).and_then(|by_recipient| by_recipient.get(&recipient));
        by_recipient.map(Vec::as_slice).unwrap_or_default()
    }

    /// The operator's address in a channel; none where the channel needs one that is not set.
    pub fn operator_address(&self, channel: Channel) -> Option<String> {
        match channel {
            Channel::Email => self.operator.email.clone(),
            Channel::Sms => self.operator.phone.clone(),
            Channel::Push => None,
            Channel::Webhook | Channel::Log => Some(String::new()),
        }
    }

    fn check(&self, has_provider: impl Fn(Channel) -> bool) -> Result<(), String> {
        for (about, by_recipient) in &self.table {
            if !TEMPLATES.contains(&about.as_str()) {
                return Err(format!("recipients: {about:?} is not one of {}", TEMPLATES.join(", ")));
            }
            for (who, channel) in
                by_recipient.iter().flat_map(|(who, channels)| channels.iter().map(move |channel| (who, channel)))
            {
                let (who, channel) = (*who, *channel);
                if !has_provider(channel) {
                    return Err(format!("recipients: {about} by {0}, and {0} has no provider", channel.word()));
                }
                if who == Recipient::Operator && self.operator_address(channel).is_none() {
                    return Err(format!(
                        "recipients: {about} to the operator, who has no address for {}",
                        channel.word()
                    ));
                }
                if who == Recipient::Seller && matches!(channel, Channel::Sms | Channel::Push) {
                    return Err(format!(
                        "recipients: {about} to sellers by {}; they have only a mail address",
                        channel.word()
                    ));
                }
            }
        }
        Ok(())
    }
}

impl NoticeSettings {
    /// Opens what the settings name. Connects to nobody yet.
    ///
    /// # Errors
    /// A setting can't be used.
    pub fn open(&self) -> Result<Opened, BadNotices> {
        let templates = match &self.templates {
            Some(folder) => {
                let opened = Templates::built_in().with_folder(folder);
                opened.map_err(|error| bad("BACKSTITCH_TEMPLATES")(error.to_string()))?
            }
            None => Templates::built_in(),
        };
        let file = self.read_file().map_err(bad("BACKSTITCH_NOTICES"))?;
        let mut pools = self.own_providers()?;
        self.add_providers(file.providers, &mut pools).map_err(bad("BACKSTITCH_NOTICES"))?;
        let targets = self.alerts.open(pools.contains_key(&Channel::Email))?;
        // Somebody who only looks sees what would have been sent.
        pools.entry(Channel::Email).or_insert_with(|| vec![Arc::new(LogProvider)]);
        pools.insert(Channel::Log, vec![Arc::new(LogProvider)]);
        let mut routes = Routes::usual(pools.contains_key(&Channel::Webhook));
        routes.operator = file.operator;
        routes.table = file.recipients.unwrap_or(routes.table);
        routes.check(|channel| pools.contains_key(&channel)).map_err(bad("BACKSTITCH_NOTICES"))?;
        Ok(Opened { post: Post::new(pools), templates, routes, targets })
    }

    fn read_file(&self) -> Result<File, String> {
        let Some(path) = &self.notices else { return Ok(File::default()) };
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file: File = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let OperatorAddress { email, phone } = &file.operator;
        email.as_deref().map_or(Ok(()), address::check_email).map_err(|error| format!("operator.email {error}"))?;
        phone.as_deref().map_or(Ok(()), address::check_phone).map_err(|error| format!("operator.phone {error}"))?;
        Ok(file)
    }

    fn from(&self) -> Result<Mailbox, BadNotices> {
        let wrong = bad("BACKSTITCH_MAIL_FROM");
        let text = self
            .mail_from
            .as_deref()
            .ok_or_else(|| wrong("a mail server is named, and whom mails are from is not".to_owned()))?;
        text.parse().map_err(|_| wrong(format!("{text:?} is not an address, such as shop@example.com")))
    }

    /// The providers that settings of their own name.
    fn own_providers(&self) -> Result<BTreeMap<Channel, Vec<Arc<dyn Provider>>>, BadNotices> {
        let mut pools: BTreeMap<Channel, Vec<Arc<dyn Provider>>> = BTreeMap::new();
        if let Some(url) = &self.smtp_url {
            let smtp = Smtp::new("smtp", url.expose(), self.from()?).map_err(bad("BACKSTITCH_SMTP_URL"))?;
            pools.insert(Channel::Email, vec![Arc::new(smtp)]);
        }
        if let Some(url) = &self.notices_url {
            let webhook = HttpProvider::new("webhook", url.expose(), None).map_err(bad("BACKSTITCH_NOTICES_URL"))?;
            pools.insert(Channel::Webhook, vec![Arc::new(webhook)]);
        }
        Ok(pools)
    }

    /// The file's, behind those.
    fn add_providers(
        &self,
        entries: BTreeMap<Channel, Vec<ProviderEntry>>,
        pools: &mut BTreeMap<Channel, Vec<Arc<dyn Provider>>>,
    ) -> Result<(), String> {
        let mut names = HashSet::from(["smtp".to_owned(), "webhook".to_owned(), "log".to_owned()]);
        for (channel, entries) in entries {
            for ProviderEntry { name, url, key } in entries {
                let wrong = |why: String| format!("provider {name:?} of {}: {why}", channel.word());
                let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_plain) {
                    return Err(wrong(format!(
                        "a name has 1 to {LONGEST_NAME} letters, digits, dots, dashes and underscores"
                    )));
                }
                if !names.insert(name.clone()) {
                    return Err(wrong("each has a name of its own, and not smtp, webhook or log".to_owned()));
                }
                let provider: Arc<dyn Provider> = match channel {
                    Channel::Log => return Err(wrong("the log needs none".to_owned())),
                    Channel::Email => {
                        let from = self.from().map_err(|error| wrong(error.to_string()))?;
                        Arc::new(Smtp::new(&name, &url, from).map_err(wrong)?)
                    }
                    _ => Arc::new(HttpProvider::new(&name, &url, key.map(Secret::from)).map_err(wrong)?),
                };
                pools.entry(channel).or_default().push(provider);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> Result<Routes, String> {
        let path = std::env::temp_dir().join(format!("notices-{}.json", uuid::Uuid::now_v7()));
        std::fs::write(&path, text).expect("a file");
        let settings = NoticeSettings { notices: Some(path.clone()), ..NoticeSettings::default() };
        let opened = settings.open().map(|opened| opened.routes).map_err(|error| error.to_string());
        let _ = std::fs::remove_file(path);
        opened
    }

    #[test]
    fn settings_that_cant_be_used_say_which() {
        let sms = r#""providers": {"sms": [{"name": "a", "url": "http://127.0.0.1:1/"}]}"#;
        for (text, why) in [
            (r#"{"recipients": {"order.lost": {}}}"#.to_owned(), "order.lost"),
            (r#"{"recipients": {"order.placed": {"customer": ["sms"]}}}"#.to_owned(), "sms has no provider"),
            (r#"{"recipients": {"order.placed": {"customer": ["fax"]}}}"#.to_owned(), "fax"),
            (r#"{"recipients": {"order.placed": {"operator": ["email"]}}}"#.to_owned(), "no address"),
            (format!(r#"{{"recipients": {{"order.placed": {{"seller": ["sms"]}}}}, {sms}}}"#), "only a mail address"),
            (r#"{"operator": {"email": "a@example.com\nBcc: b@example.com"}}"#.to_owned(), "line break"),
            (r#"{"providers": {"email": [{"name": "a", "url": "smtp://h"}]}}"#.to_owned(), "whom mails are from"),
            (r#"{"providers": {"sms": [{"name": "a", "url": "ftp://h"}]}}"#.to_owned(), "http://"),
            (r#"{"providers": {"push": [{"name": "a/b", "url": "http://h"}]}}"#.to_owned(), "letters, digits"),
            (r#"{"providers": {"push": [{"name": "log", "url": "http://h"}]}}"#.to_owned(), "name of its own"),
            (r#"{"recipient": {}}"#.to_owned(), "unknown field"),
        ] {
            let error = open(&text).expect_err(&text);
            assert!(error.starts_with("BACKSTITCH_NOTICES: ") && error.contains(why), "{text}: {error}");
        }
        let smtp = NoticeSettings {
            smtp_url: Some(Secret::new("http://u:hidden@h")),
            mail_from: Some("a@b.c".to_owned()),
            ..NoticeSettings::default()
        };
        let error = smtp.open().expect_err("no mail server").to_string();
        assert!(error.starts_with("BACKSTITCH_SMTP_URL") && !error.contains("hidden"), "{error}");
    }

    #[test]
    fn a_table_of_recipients_stands_instead_of_the_usual_one() {
        let only = open(r#"{"recipients": {"order.placed": {"customer": ["log"]}}}"#).expect("usable");
        assert_eq!(only.channels("order.placed", Recipient::Customer), [Channel::Log]);
        assert!(only.channels("order.shipped", Recipient::Customer).is_empty());
    }
}
