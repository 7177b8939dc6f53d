//! `backstitch gateway-sim`: the payment gateway simulator as a process of its own.
//!
//! Prints `ready: http://HOST:PORT` on stdout once it listens, and serves until Ctrl-C or SIGTERM. Its behaviour is
//! described in [`crate::gateway_sim`].

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    gateway_sim::{self, Config, LateCancel, RefundFailure},
    payments::{Secret, VendorKind},
};

/// Run a simulated payment gateway (a subset of Stripe's HTTP API) with fault modes
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What it speaks: Stripe's API, or that of an acquirer, which authorises and captures apart
    #[arg(long, value_enum, default_value = "stripe")]
    pub kind: VendorKind,

    /// Listen address; port 0 picks a free port
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,

    /// File that keeps the ledger over a restart
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,

    /// Webhook URL for events; without it, none are sent
    #[arg(long, value_name = "URL")]
    pub webhook_url: Option<String>,

    /// Webhook signing secret
    #[arg(long, value_name = "SECRET", env = "BACKSTITCH_WEBHOOK_SECRET", hide_env_values = true)]
    pub webhook_secret: Option<Secret>,

    /// How long to hold an unanswered call before dropping its connection
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub hold: Duration,

    /// tok_late_success: delay from the cancel to the capture
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    pub late_after: Duration,

    /// tok_late_success: delay from the confirm to the capture without a cancel
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = humantime::parse_duration)]
    pub late_at_most: Duration,

    /// tok_late_success: answer to a cancel before the capture
    #[arg(long, value_enum, default_value = "accepted")]
    pub late_cancel: LateCancel,

    /// Duration of a pending refund
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    pub refund_settles_after: Duration,

    /// tok_refund_fails: refused at once, or accepted and failed later
    #[arg(long, value_enum, default_value = "refused")]
    pub refund_failure: RefundFailure,
}

impl Args {
    fn config(self) -> Config {
        Config {
            kind: self.kind,
            ledger: self.ledger,
            webhook_url: self.webhook_url,
            webhook_secret: self.webhook_secret.unwrap_or_else(|| Secret::new("")),
            hold: self.hold,
            late_after: self.late_after,
            late_at_most: self.late_at_most,
            late_cancel: self.late_cancel,
            refund_settles_after: self.refund_settles_after,
            refund_failure: self.refund_failure,
            ..Config::default()
        }
    }
}

/// Serves until a stop signal.
///
/// # Errors
/// When the address is in use, or a webhook URL is given without a signing secret.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let listen = args.listen;
    let config = args.config();
    if config.webhook_url.is_some() && config.webhook_secret.is_empty() {
        anyhow::bail!("--webhook-url needs --webhook-secret (or BACKSTITCH_WEBHOOK_SECRET)");
    }
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    super::output::say(&format!("ready: http://{}", listener.local_addr()?))?;
    let told_to_stop = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    gateway_sim::serve(listener, config, told_to_stop).await.context("the gateway simulator failed")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["gateway-sim", "--webhook-secret", "whsec_hidden"]);
        assert_eq!(cli.args.listen.to_string(), "127.0.0.1:8081");
        assert!(!format!("{:?}", cli.args).contains("whsec_hidden"));
        let (config, fixed) = (cli.args.config(), Config::default());
        assert_eq!(config.hold, fixed.hold);
        assert_eq!(config.late_after, fixed.late_after);
        assert_eq!(config.late_at_most, fixed.late_at_most);
        assert_eq!(config.refund_settles_after, fixed.refund_settles_after);
    }
}
