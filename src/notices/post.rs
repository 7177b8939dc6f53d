//! The pools of providers, one per channel: the first that takes a message carries it. Before each a gate is asked, which holds
//! messages back from one that fails.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::sync::OnceCell;

use super::{Channel, Message, SendError, Trouble, background::Background};

/// A provider that takes longer has failed.
const WITHIN: Duration = Duration::from_secs(15);

/// Somebody who carries messages.
pub trait Provider: Send + Sync + 'static {
    /// Its name, for operators.
    fn name(&self) -> &str;

    /// Hands a message over, on a thread that all messages share: it doesn't block that, and gives up by itself after some seconds.
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

/// Holds messages back from a provider that fails, and hears what comes of them.
pub trait Gate: Send + Sync {
    /// Whether a message may go; why not.
    fn admit<'a>(&'a self, channel: Channel, provider: &'a str) -> Admission<'a>;
}

/// Whether a message may go.
pub type Admission<'a> = BoxFuture<'a, Result<Box<dyn Passed>, String>>;

/// A message that may go.
pub trait Passed: Send {
    /// Tells whether the provider works.
    fn record(self: Box<Self>, works: bool);
}

/// The providers of all channels. Cheap to clone.
#[derive(Clone, Default)]
pub struct Post {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    pools: BTreeMap<Channel, Vec<Arc<dyn Provider>>>,
    gate: OnceLock<Arc<dyn Gate>>,
    /// From the first message on; where no thread could be had, the next one tries again.
    background: OnceCell<Background>,
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.inner.pools.iter().map(|(channel, pool)| (channel, pool.len()))).finish()
    }
}

impl Post {
    /// With these providers, the ones to ask first at the front.
    pub fn new(pools: impl IntoIterator<Item = (Channel, Vec<Arc<dyn Provider>>)>) -> Self {
        Self { inner: Arc::new(Inner { pools: pools.into_iter().collect(), ..Inner::default() }) }
    }

    /// Has messages pass this gate from now on. The first one stays.
    pub fn guard(&self, gate: Arc<dyn Gate>) {
        let _ = self.inner.gate.set(gate);
    }

    /// All providers by name, with their channels, the ones to ask first at the front.
    pub fn providers(&self) -> Vec<(String, Vec<Channel>)> {
        let mut all: Vec<(String, Vec<Channel>)> = Vec::new();
        for (channel, pool) in &self.inner.pools {
            for provider in pool {
                match all.iter_mut().find(|(name, _)| name == provider.name()) {
                    Some((_, channels)) => channels.push(*channel),
                    None => all.push((provider.name().to_owned(), vec![*channel])),
                }
            }
        }
        all
    }

    /// Hands a message to the first provider of the channel that takes it; gives that one's name.
    ///
    /// # Errors
    /// None took it. The failure that most speaks for trying again is given.
    pub async fn send(&self, channel: Channel, message: &Message) -> Result<String, SendError> {
        let pool = self.inner.pools.get(&channel).map(Vec::as_slice).unwrap_or_default();
        if pool.is_empty() {
            return Err(SendError::lasting(format!("no provider for {}", channel.word())));
        }
        let mut failed: Vec<(Trouble, String)> = Vec::new();
        for provider in pool {
            let name = provider.name();
            match self.send_by(channel, provider, message).await {
                Ok(()) => return Ok(name.to_owned()),
                Err(SendError { trouble, message }) => failed.push((trouble, format!("{name}: {message}"))),
            }
        }
        let has = |trouble| failed.iter().any(|(found, _)| *found == trouble);
        let trouble = [Trouble::Passing, Trouble::Unasked].into_iter().find(|trouble| has(*trouble));
        let message = failed.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("; ");
        Err(SendError { trouble: trouble.unwrap_or(Trouble::Lasting), message })
    }

    /// Hands it to one provider, unless the gate is shut.
    async fn send_by(
        &self,
        channel: Channel,
        provider: &Arc<dyn Provider>,
        message: &Message,
    ) -> Result<(), SendError> {
        let background = self.inner.background.get_or_try_init(async || Background::start()).await;
        let background = background.map_err(|error| SendError::passing(error.to_string()))?;
        let admitted = match self.inner.gate.get() {
            Some(gate) => Some(gate.admit(channel, provider.name()).await),
            None => None,
        };
        let passed = admitted.transpose().map_err(|message| SendError { trouble: Trouble::Unasked, message })?;
        let sending = {
            let (provider, message) = (Arc::clone(provider), message.clone());
            async move { provider.send(&message).await }
        };
        // Here, and not on that thread, which a provider may block.
        let sent = match tokio::time::timeout(WITHIN, background.run(sending)).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(error)) => Err(SendError::passing(error.to_string())),
            Err(_) => Err(SendError::passing(format!("no answer within {WITHIN:?}"))),
        };
        // A refusal of one message is an answer: the provider works.
        let works = !matches!(&sent, Err(error) if error.trouble == Trouble::Passing);
        passed.into_iter().for_each(|passed| passed.record(works));
        sent
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    };

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
        let [first, second] = ["a", "b"].map(|name| Arc::new(Fails(name, None, 0.into())));
        assert_eq!(pool(&[&first, &second]).send(Channel::Email, &message()).await, Ok("a".to_owned()));
        assert_eq!(second.2.load(Ordering::Relaxed), 0, "nobody gets it twice");
    }

    /// Can't cope with any message.
    struct Panics;

    impl Provider for Panics {
        fn name(&self) -> &'static str {
            "panics"
        }

        fn send<'a>(&'a self, _: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
            Box::pin(async { panic!("a fault in a provider") })
        }
    }

    #[tokio::test]
    async fn a_provider_that_panics_has_failed() {
        let post = Post::new([(Channel::Email, vec![Arc::new(Panics) as Arc<dyn Provider>])]);
        let error = post.send(Channel::Email, &message()).await.expect_err("it fails");
        assert_eq!(error.trouble, Trouble::Passing, "{error}");
    }

    /// Blocks the thread until its test lets go of it.
    struct Blocks(Mutex<mpsc::Receiver<()>>);

    impl Provider for Blocks {
        fn name(&self) -> &'static str {
            "blocks"
        }

        fn send<'a>(&'a self, _: &'a Message) -> BoxFuture<'a, Result<(), SendError>> {
            Box::pin(async {
                let _ = self.0.lock().expect("no panic").recv();
                Ok(())
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_blocks_is_given_up() {
        let (_held, blocks) = mpsc::channel();
        let post = Post::new([(Channel::Email, vec![Arc::new(Blocks(Mutex::new(blocks))) as Arc<dyn Provider>])]);
        let error = post.send(Channel::Email, &message()).await.expect_err("it is given up");
        assert_eq!((error.trouble, error.message.as_str()), (Trouble::Passing, "blocks: no answer within 15s"));
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

    /// Shut for one provider; what it hears of the others.
    #[derive(Default)]
    struct Shut(&'static str, Arc<Mutex<Vec<bool>>>);

    struct Records(Arc<Mutex<Vec<bool>>>);

    impl Passed for Records {
        fn record(self: Box<Self>, works: bool) {
            self.0.lock().expect("no panic").push(works);
        }
    }

    impl Gate for Shut {
        fn admit<'a>(&'a self, _: Channel, provider: &'a str) -> Admission<'a> {
            let is_shut = provider == self.0;
            let passed = Box::new(Records(Arc::clone(&self.1))) as Box<dyn Passed>;
            Box::pin(async move { if is_shut { Err("shut".to_owned()) } else { Ok(passed) } })
        }
    }

    #[tokio::test]
    async fn nobody_is_asked_behind_a_shut_gate() {
        let (shut, good) = (Arc::new(Fails("a", None, 0.into())), Arc::new(Fails("b", None, 0.into())));
        let post = pool(&[&shut, &good]);
        let recorded = Arc::default();
        post.guard(Arc::new(Shut("a", Arc::clone(&recorded))));
        assert_eq!(post.send(Channel::Email, &message()).await, Ok("b".to_owned()));
        assert_eq!((shut.2.load(Ordering::Relaxed), recorded.lock().expect("no panic").clone()), (0, vec![true]));
        let alone = pool(&[&shut]);
        alone.guard(Arc::new(Shut("a", Arc::default())));
        let error = alone.send(Channel::Email, &message()).await.expect_err("it is shut");
        assert_eq!((error.trouble, error.message.as_str()), (Trouble::Unasked, "a: shut"));
    }

    #[tokio::test]
    async fn only_passing_trouble_speaks_against_a_provider() {
        for (trouble, works) in [(None, true), (Some(Trouble::Lasting), true), (Some(Trouble::Passing), false)] {
            let provider = Arc::new(Fails("a", trouble, 0.into()));
            let (post, recorded) = (pool(&[&provider]), Arc::default());
            post.guard(Arc::new(Shut("", Arc::clone(&recorded))));
            let _ = post.send(Channel::Email, &message()).await;
            assert_eq!(recorded.lock().expect("no panic").clone(), [works], "{trouble:?}");
        }
    }
}
