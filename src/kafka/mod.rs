//! How this process reaches Kafka: the client of a pure-Rust library, for what is sent and what is read.
//!
//! Where each reader is in a topic is kept in our own database, in the transaction that handles what it has read: consumer groups
//! are not needed.

use std::{str::FromStr, time::Duration};

use rskafka::{
    BackoffConfig,
    client::{Client, ClientBuilder, error::Error},
};

/// How long the library tries again by itself; after that our own loops say what is wrong and go on.
const RETRIES_WITHIN: Duration = Duration::from_secs(10);
/// The largest answer of a broker, in bytes: it is garbage if it says that it is larger.
const LARGEST_ANSWER: usize = 32 << 20;

/// Bootstrap servers, as `host:port,host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brokers(Vec<String>);

impl FromStr for Brokers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let servers: Vec<String> = text.split(',').map(|server| server.trim().to_owned()).collect();
        let is_server = |server: &String| {
            let port = server.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains('/'));
            port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0))
        };
        match servers.iter().find(|server| !is_server(server)) {
            Some(odd) => Err(format!("{odd:?} is no server; write them as host:9092,host:9092")),
            None => Ok(Self(servers)),
        }
    }
}

impl Brokers {
    /// Connects. What does not answer within ten seconds is an error.
    ///
    /// # Errors
    /// When no broker can be reached, or what answers is none.
    pub async fn connect(&self) -> Result<Client, Error> {
        let retries = BackoffConfig { deadline: Some(RETRIES_WITHIN), ..BackoffConfig::default() };
        let builder = ClientBuilder::new(self.0.clone()).client_id("backstitch");
        builder.backoff_config(retries).max_message_size(LARGEST_ANSWER).build().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_written_with_their_port() {
        let parse = |text: &str| text.parse::<Brokers>();
        assert_eq!(parse("a:9092, b:1"), Ok(Brokers(vec!["a:9092".to_owned(), "b:1".to_owned()])));
        for bad in ["", "a", "a:", "a:0", ":9092", "a:9092,", "kafka://a:9092", "a:99999"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
