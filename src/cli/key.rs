//! `backstitch key`: make, list and revoke API keys, on the database itself: the first key has to come from somewhere.
//!
//! Whoever can write to the database may do this; the server's own way is `/v1/keys`, for admins.

use std::{env, time::Duration};

use anyhow::Context;

use super::output::{Out, now, relative, say, table, tell};
use crate::{
    config::DatabaseArgs,
    engine::{ApiKey, CreatedKey, Engine, NewKey, Registry, Role},
};

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Make a key; its token is printed on stdout, once
    Create(CreateArgs),
    /// List all keys, without their secrets
    List(ListArgs),
    /// Revoke a key for good; servers notice within five seconds
    Revoke(RevokeArgs),
}

/// A key to be made.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Who or what is to have it, as the audit will say
    name: String,
    /// What it may: viewer, starter, operator or admin; each may do what those before it may
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// For how long, as 90d; until it is revoked unless given
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Where keys are.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// A key to be revoked.
#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// Its id, as the list shows it: the part of the token between bsk_ and the next _
    id: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Carries a verb out.
pub(super) async fn run(verb: Verb, out: Out) -> anyhow::Result<()> {
    match verb {
        Verb::Create(args) => {
            let new = NewKey { name: args.name, role: args.role, expires_in: args.expires };
            let created = engine(&args.database)?.create_key(&new, &actor()).await.context("the key was not made")?;
            show_created(&created, out)
        }
        Verb::List(args) => {
            let keys = engine(&args.database)?.keys().await.context("the keys can't be read")?;
            out.show(&serde_json::json!({ "items": keys }), || list(&keys, out))
        }
        Verb::Revoke(args) => {
            // A token pasted whole says which key it is.
            let id = args.id.strip_prefix("bsk_").and_then(|rest| rest.split('_').next()).unwrap_or(&args.id);
            let revoked = engine(&args.database)?.revoke_key(id, &actor()).await;
            let key = revoked.context("nothing was revoked; `backstitch key list` shows the ids")?;
            tell(format!("the key `{}` is revoked; servers notice within five seconds", key.name));
            if out.json() { out.show(&key, String::new) } else { Ok(()) }
        }
    }
}

fn engine(database: &DatabaseArgs) -> anyhow::Result<Engine> {
    Ok(Engine::new(database.pool(2)?, Registry::new()))
}

fn actor() -> String {
    env::var("USER").ok().filter(|user| !user.is_empty()).map_or_else(|| "cli".to_owned(), |user| format!("cli:{user}"))
}

fn show_created(created: &CreatedKey, out: Out) -> anyhow::Result<()> {
    let key = &created.key;
    if out.json() {
        out.show(created, String::new)?;
    } else {
        say(&created.token);
    }
    let until =
        key.expires_at.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {}", at.format("%F")));
    tell(format!("key {}: `{}` is {}, {until}", key.id, key.name, key.role.with_article()));
    tell("This is the only time that the token is shown. Use it as BACKSTITCH_API_KEY, or to sign in.");
    Ok(())
}

fn list(keys: &[ApiKey], out: Out) -> String {
    if keys.is_empty() {
        return "no keys; `backstitch key create NAME --role ROLE` makes one".to_owned();
    }
    let now = now();
    let row = |key: &ApiKey| {
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), |at| relative(at, now));
        let expires = key.expires_at.map_or_else(|| "-".to_owned(), |at| relative(at, now));
        vec![key.id.clone(), key.name.clone(), key.role.to_string(), out.paint(&key.state), used, expires]
    };
    table(&["ID", "NAME", "ROLE", "STATE", "USED", "EXPIRES"], keys.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Format, WIDTH};

    #[test]
    fn a_list_of_keys_fits_the_terminal() {
        let key = ApiKey {
            id: "0123456789ab".to_owned(),
            name: "n".repeat(100),
            role: Role::Operator,
            state: "revoked".to_owned(),
            created_by: "cli:anna".to_owned(),
            created_at: now(),
            expires_at: Some(now()),
            revoked_at: None,
            last_used_at: None,
        };
        let text = list(&[key], Out { format: Format::Table, colour: false });
        assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
        assert!(text.contains("0123456789ab") && text.contains("revoked"), "{text}");
    }
}
