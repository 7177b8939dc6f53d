//! The pools of providers, one per channel: the first that takes a message carries it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;

use super::{Channel, Message, SendError, Trouble};

/// A provider that takes longer has failed.
const WITHIN: Duration = Duration::from_secs(15);

/// Failures in a row after which a provider is left alone.
const FAILURES: u32 = 5;

/// For how long; then one message tries it.
const LEFT_ALONE: Duration = Duration::from_secs(20);

/// Somebody who carries messages.
pub trait Provider: Send + Sync + 'static {
    /// Its name, for operators.
    fn name(&self) -> &str;

    /// Hands a message over. It gives up by itself after some seconds.
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>>;
}

/// Writes messages to the log, without address and text.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogProvider;

impl Provider for LogProvider {
    fn name(&self) -> &str {
        "log"
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
        Box::pin(async move {
            let Message { id, about, order_id, recipient, subject, .. } = message;
            let order = order_id.map(tracing::field::display);
            tracing::info!(%id, about, order, recipient = recipient.word(), subject, "notice");
            Ok(())
        })
    }
}

/// Whether a provider may be asked: closed until it has failed so often in a row, then open, then one message tries it.
#[derive(Clone, Copy, Debug, Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Whether a message may try. One that may, after a pause, is the only one for another pause.
    fn admit(&mut self, now: Instant) -> bool {
        match self.open_until {
            Some(until) if now < until => false,
            Some(_) => {
                self.open_until = Some(now + LEFT_ALONE);
                true
            }
            None => true,
        }
    }

    fn record(&mut self, works: bool, now: Instant) {
        if works {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.open_until = Some(now + LEFT_ALONE);
        }
    }
}

struct Slot {
    provider: Arc<dyn Provider>,
    breaker: Mutex<Breaker>,
}

impl Slot {
    fn breaker(&self) -> std::sync::MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, message: &Message) -> Result<(), SendError> {
        let sent = tokio::time::timeout(WITHIN, self.provider.send(message)).await;
        let sent = sent.unwrap_or_else(|_| Err(SendError::passing(format!("no answer within {WITHIN:?}"))));
        // A refusal of one message is an answer: the provider works.
        let works = !matches!(&sent, Err(error) if error.trouble == Trouble::Passing);
        self.breaker().record(works, Instant::now());
        sent
    }
}

/// The providers of all channels. Cheap to clone.
#[derive(Clone, Default)]
pub struct Post {
    pools: Arc<BTreeMap<Channel, Vec<Slot>>>,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.pools.iter().map(|(channel, pool)| (channel, pool.len()))).finish()
    }
}

impl Post {
    /// With these providers, the ones to ask first at the front.
    pub fn new(pools: impl IntoIterator<Item = (Channel, Vec<Arc<dyn Provider>>)>) -> Self {
        let slot = |provider| Slot { provider, breaker: Mutex::default() };
        let pools = pools.into_iter().map(|(channel, pool)| (channel, pool.into_iter().map(slot).collect()));
        Self { pools: Arc::new(pools.collect()) }
    }

    /// Hands a message to the first provider of the channel that takes it; gives that one's name.
    ///
    /// # Errors
    /// None took it. The failure that most speaks for trying again is given.
    pub async fn send(&self, channel: Channel, message: &Message) -> Result<String, SendError> {
        let pool = self.pools.get(&channel).map(Vec::as_slice).unwrap_or_default();
        if pool.is_empty() {
            return Err(SendError::lasting(format!("no provider for {}", channel.word())));
        }
        let mut failed: Vec<(Trouble, String)> = Vec::new();
        for slot in pool {
            let name = slot.provider.name();
            if !slot.breaker().admit(Instant::now()) {
                failed.push((Trouble::Unasked, format!("{name}: left alone, after {FAILURES} failures in a row")));
                continue;
            }
            match slot.send(message).await {
                Ok(()) => return Ok(name.to_owned()),
                Err(SendError { trouble, message }) => failed.push((trouble, format!("{name}: {message}"))),
            }
        }
        let has = |trouble| failed.iter().any(|(found, _)| *found == trouble);
        let trouble = [Trouble::Passing, Trouble::Unasked].into_iter().find(|trouble| has(*trouble));
        let message = failed.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; ");
        Err(SendError { trouble: trouble.unwrap_or(Trouble::Lasting), message })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use uuid::Uuid;

    use super::*;
    use crate::notices::Recipient;

    /// Fails as it is told, and counts.
    struct Fails(&'static str, Option<Trouble>, AtomicU32);

    impl Provider for Fails {
        fn name(&self) -> &str {
            self.0
        }

        fn send<'a>(&'a self, _: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
            self.2.fetch_add(1, Ordering::Relaxed);
            let result = self.1.map_or(Ok(()), |trouble| Err(SendError { trouble, message: "no".to_owned() }));
            Box::pin(async move { result })
        }
    }

    fn message() -> Message {
        let (to, text) = (String::new(), String::new());
        let (about, subject) = ("order.placed".to_owned(), "s".to_owned());
        Message { id: Uuid::nil(), about, order_id: None, recipient: Recipient::Customer, to, subject, text }
    }

    fn pool(providers: &[&Arc<Fails>]) -> Post {
        let pool = providers.iter().map(|provider| Arc::clone(provider) as Arc<dyn Provider>).collect();
        Post::new([(Channel::Email, pool)])
    }

    #[tokio::test]
    async fn the_next_provider_takes_what_the_first_can_not() {
        for trouble in [Trouble::Passing, Trouble::Lasting] {
            let (bad, good) = (Arc::new(Fails("a", Some(trouble), 0.into())), Arc::new(Fails("b", None, 0.into())));
            assert_eq!(pool(&[&bad, &good]).send(Channel::Email, &message()).await, Ok("b".to_owned()));
        }
    }

    #[tokio::test]
    async fn one_passing_failure_is_enough_to_try_again() {
        let (passing, lasting) = (
            Arc::new(Fails("a", Some(Trouble::Passing), 0.into())),
            Arc::new(Fails("b", Some(Trouble::Lasting), 0.into())),
        );
        let error = pool(&[&passing, &lasting]).send(Channel::Email, &message()).await.expect_err("it fails");
        assert_eq!((error.trouble, error.message.as_str()), (Trouble::Passing, "a: no; b: no"));
        let error = pool(&[&lasting]).send(Channel::Email, &message()).await.expect_err("it fails");
        assert_eq!(error.trouble, Trouble::Lasting);
        assert!(pool(&[]).send(Channel::Sms, &message()).await.is_err());
    }

    #[tokio::test]
    async fn a_provider_that_keeps_failing_is_left_alone() {
        let bad = Arc::new(Fails("a", Some(Trouble::Passing), 0.into()));
        let post = pool(&[&bad]);
        for _ in 0..FAILURES + 3 {
            let _ = post.send(Channel::Email, &message()).await;
        }
        assert_eq!(bad.2.load(Ordering::Relaxed), FAILURES);
        let error = post.send(Channel::Email, &message()).await.expect_err("it is open");
        assert_eq!(error.trouble, Trouble::Unasked);
    }

    #[test]
    fn after_a_pause_one_message_tries() {
        let (mut breaker, now) = (Breaker::default(), Instant::now());
        (0..FAILURES).for_each(|_| breaker.record(false, now));
        let later = now + LEFT_ALONE;
        assert_eq!([now, later, later].map(|at| breaker.admit(at)), [false, true, false]);
        breaker.record(true, later);
        assert!(breaker.admit(later) && breaker.admit(later));
    }
}
