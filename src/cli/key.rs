//! `backstitch key`: create, list and revoke API keys directly in the database, which is how the first key is made.
//!
//! Anybody who can write to the database may do this; on a server, `/v1/keys` is for admins.

use std::{env, time::Duration};

use anyhow::Context;

use super::output::{LOST, Out, now, print, relative, table, tell};
use crate::{
    config::DatabaseArgs,
    engine::{ApiKey, CreatedKey, NewKey, Role},
};

/// The subcommands.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// Create a key and print its token on stdout, once
    Create(CreateArgs),
    /// List all keys, without their secrets
    List(ListArgs),
    /// Revoke a key permanently; servers notice within five seconds
    Revoke(RevokeArgs),
}

/// Arguments of `create`.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// Its holder's name, as shown in the audit log
    name: String,
    /// Role: viewer, starter, operator or admin, each including those before it
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// Lifetime, such as 90d; without it, the key is valid until revoked
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The database of the keys.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Arguments of `revoke`.
#[derive(Debug, clap::Args)]
pub(super) struct RevokeArgs {
    /// Its id from the list: the part of the token between bsk_ and the next _
    id: String,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Carries out a subcommand.
pub(super) async fn run(verb: Verb, out: Out) -> anyhow::Result<()> {
    match verb {
        Verb::Create(args) => create(args, out).await,
        Verb::List(args) => {
            let keys = args.database.engine()?.keys().await.context("could not read the keys")?;
            out.show(&serde_json::json!({ "items": keys }), || list(&keys, out))
        }
        Verb::Revoke(args) => {
            // A whole token contains the key's id.
            let id = args.id.strip_prefix("bsk_").and_then(|rest| rest.split('_').next()).unwrap_or(&args.id);
            let revoked = args.database.engine()?.revoke_key(id, &actor()).await;
            let key = revoked.context("nothing was revoked; `backstitch key list` shows the ids")?;
            tell(format!("the key `{}` is revoked; servers notice within five seconds", key.name));
            if out.json() { out.show(&key, String::new) } else { Ok(()) }
        }
    }
}

fn actor() -> String {
    env::var("USER").ok().filter(|user| !user.is_empty()).map_or_else(|| "cli".to_owned(), |user| format!("cli:{user}"))
}

/// A key whose token could not be shown must not stay valid: nobody has it, or somebody has a part of it.
async fn create(args: CreateArgs, out: Out) -> anyhow::Result<()> {
    let engine = args.database.engine()?;
    let new = NewKey { name: args.name, role: args.role, expires_in: args.expires };
    let created = engine.create_key(&new, &actor()).await.context("could not create the key")?;
    let text = if out.json() { serde_json::to_string_pretty(&created)? } else { created.token.clone() };
    if let Err(lost) = print(&text) {
        let id = &created.key.id;
        let undone = match engine.revoke_key(id, &actor()).await {
            Ok(_) => format!("key {id} is revoked: its token could not be shown"),
            Err(error) => format!(
                "key {id} is active, and its token could not be shown; revoking it failed: {error}\n\
                 `backstitch key revoke {id}` revokes it."
            ),
        };
        return Err(anyhow::Error::new(lost).context(LOST).context(undone));
    }
    describe_created(&created);
    Ok(())
}

fn describe_created(created: &CreatedKey) {
    let key = &created.key;
    let until =
        key.expires_at.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {}", at.format("%F")));
    tell(format!("key {}: `{}` is {}, {until}", key.id, key.name, key.role.with_article()));
    tell("This is the only time that the token is shown. Use it as BACKSTITCH_API_KEY, or to sign in.");
}

fn list(keys: &[ApiKey], out: Out) -> String {
    if keys.is_empty() {
        return "no keys; `backstitch key create NAME --role ROLE` creates one".to_owned();
    }
    let now = now();
    let row = |key: &ApiKey| {
        let used = key.last_used_at.map_or_else(|| "never".to_owned(), |at| relative(at, now));
        let expires = key.expires_at.map_or_else(|| "-".to_owned(), |at| relative(at, now));
        vec![key.id.clone(), key.name.clone(), key.role.to_string(), out.paint(key.state.word()), used, expires]
    };
    table(&["ID", "NAME", "ROLE", "STATE", "USED", "EXPIRES"], keys.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::output::{Format, WIDTH},
        engine::KeyState,
    };

    #[test]
    fn a_list_of_keys_fits_the_terminal() {
        let key = ApiKey {
            id: "0123456789ab".to_owned(),
            name: "n".repeat(100),
            role: Role::Operator,
            state: KeyState::Revoked,
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
