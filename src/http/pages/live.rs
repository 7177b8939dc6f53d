//! Live updates: `GET /live?view=ADDRESS` is a stream of a page's newest content.
//!
//! One hub per process renders each page that browsers follow, in turn, at most [`EVERY`] apart, however many they are: two
//! hundred browsers on one page cost the database as much as one. Content is sent when it differs from what was sent last.
//! A page that no browser follows is dropped, and one whose rendering panics. Should the hub's own task die, it is started
//! again.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{Query, State},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use serde::Deserialize;
use tokio::{
    sync::watch,
    task::JoinError,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use tokio_util::task::AbortOnDropHandle;

use super::{address::Address, registry};
use crate::http::{App, problem::Problem};

/// Between two renderings, of any page: four a second in all.
const EVERY: Duration = Duration::from_millis(250);

/// A page is not rendered again sooner than this.
const SOONEST: Duration = Duration::from_secs(1);

/// A rendering that takes longer is given up; the page keeps its last content.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most pages that are followed at a time.
const MOST_PAGES: usize = 512;

/// A comment is sent this often, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A page's content; none before the first rendering.
type Content = Option<Arc<str>>;

/// Renders pages.
pub(super) trait Render: Clone + Send + Sync + 'static {
    /// The content of a page; none when it can't be rendered now.
    fn render(&self, address: &Address) -> impl Future<Output = Option<String>> + Send;

    /// Counts a death of a task of the hub.
    fn died(&self) {
        metrics::counter!("backstitch_tasks_died_total", "task" => "live").increment(1);
    }
}

impl Render for App {
    async fn render(&self, address: &Address) -> Option<String> {
        let rendered = registry::render(self, address).await;
        rendered
            .inspect_err(|problem| {
                tracing::debug!(page = address.text(), code = problem.code(), "a page was not rendered")
            })
            .ok()
            .map(|fragment| fragment.html)
    }
}

/// The pages that are followed.
#[derive(Debug, Default)]
struct Followed {
    pages: BTreeMap<String, Page>,
    /// Whether a task refreshes them.
    refreshed: bool,
}

#[derive(Debug)]
struct Page {
    address: Address,
    content: watch::Sender<Content>,
    rendered: Option<Instant>,
}

/// The hub. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Hub<R> {
    renderer: R,
    followed: Arc<Mutex<Followed>>,
    renderings: Arc<AtomicU64>,
}

impl<R: Render> Hub<R> {
    /// A hub without followers.
    pub(super) fn new(renderer: R) -> Self {
        Self { renderer, followed: Arc::default(), renderings: Arc::default() }
    }

    /// How many renderings there were.
    #[cfg(test)]
    fn renderings(&self) -> u64 {
        self.renderings.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a page, which is kept up to date as long as the receiver lives. None when there are too many pages.
    fn follow(&self, address: Address) -> Option<watch::Receiver<Content>> {
        let mut followed = self.lock();
        let text = address.text();
        if !followed.pages.contains_key(&text) && followed.pages.len() >= MOST_PAGES {
            return None;
        }
        let new = || Page { address, content: watch::Sender::new(None), rendered: None };
        let receiver = followed.pages.entry(text).or_insert_with(new).content.subscribe();
        if !std::mem::replace(&mut followed.refreshed, true) {
            tokio::spawn(self.clone().keep_refreshing());
        }
        Some(receiver)
    }

    /// Refreshes as long as there are followers, whatever becomes of the task that does it.
    async fn keep_refreshing(self) {
        while let Err(death) = tokio::spawn(self.clone().refresh()).await {
            if death.is_cancelled() {
                return; // the process is about to end
            }
            tracing::error!(%death, "the task that renders live pages has died; it is started again");
            self.renderer.died();
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Renders one page per tick, the one that waits longest; ends when there are no followers.
    async fn refresh(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.next_page() {
                None => return,
                Some(None) => {}
                Some(Some((text, address))) => {
                    self.renderings.fetch_add(1, Ordering::Relaxed);
                    match self.render(address).await {
                        Ok(content) => self.publish(&text, content),
                        Err(panic) => {
                            tracing::error!(%panic, page = text, "rendering this page panicked: it is followed no longer");
                            self.renderer.died();
                            self.lock().pages.remove(&text);
                        }
                    }
                }
            }
        }
    }

    /// Renders a page, in a task of its own: a panic is that page's alone.
    async fn render(&self, address: Address) -> Result<Option<String>, JoinError> {
        let renderer = self.renderer.clone();
        let rendering = tokio::spawn(async move { renderer.render(&address).await });
        match timeout(PATIENCE, AbortOnDropHandle::new(rendering)).await {
            Ok(rendered) => rendered,
            Err(_) => Ok(None),
        }
    }

    /// The page that is due, if one is; none at all when there are no followers.
    #[allow(clippy::option_option, reason = "no page is due, and no page is left, are two answers")]
    fn next_page(&self) -> Option<Option<(String, Address)>> {
        let mut followed = self.lock();
        followed.pages.retain(|_, page| page.content.receiver_count() > 0);
        followed.refreshed = !followed.pages.is_empty();
        if !followed.refreshed {
            return None;
        }
        let oldest = followed.pages.iter().min_by_key(|(_, page)| page.rendered);
        let due = oldest.filter(|(_, page)| page.rendered.is_none_or(|at| at.elapsed() >= SOONEST));
        Some(due.map(|(text, page)| (text.clone(), page.address.clone())))
    }

    /// Gives the followers a page's new content, if it has changed.
    fn publish(&self, text: &str, content: Option<String>) {
        let mut followed = self.lock();
        let Some(page) = followed.pages.get_mut(text) else { return };
        page.rendered = Some(Instant::now());
        if let Some(fresh) = content {
            page.content.send_if_modified(|old| {
                let differs = old.as_deref() != Some(fresh.as_str());
                if differs {
                    *old = Some(fresh.into());
                }
                differs
            });
        }
    }
}

/// `?view=`.
#[derive(Debug, Deserialize)]
pub(super) struct Params {
    view: String,
}

/// Streams a page's content.
pub(super) async fn follow(
    State(app): State<App>,
    axum::Extension(hub): axum::Extension<Hub<App>>,
    Query(params): Query<Params>,
) -> Result<Response, Problem> {
    let address = Address::parse(&params.view)?;
    let too_many = || {
        let detail =
            format!("{MOST_PAGES} pages are followed live already; this one stays as it was when it was loaded");
        Problem::new("too_many_views", detail)
    };
    let mut contents = hub.follow(address).ok_or_else(too_many)?;
    contents.mark_changed(); // content that is there already is sent at once
    let events = stream::unfold((contents, app.draining), |(mut contents, draining)| async move {
        loop {
            tokio::select! {
                changed = contents.changed() => changed.ok()?,
                () = draining.cancelled() => return None,
            }
            let content = contents.borrow_and_update().clone();
            if let Some(html) = content {
                let event = Event::default().event("view").data(&*html);
                return Some((Ok::<_, Infallible>(event), (contents, draining)));
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renders content that changes the first `changes` times, and then stays. A page called `/panics` can't be rendered.
    #[derive(Debug)]
    struct Painter {
        painted: Arc<AtomicU64>,
        changes: u64,
        /// The hub's own task panics so many times.
        deaths: Arc<AtomicU64>,
    }

    impl Clone for Painter {
        /// The hub's task clones its renderer for each page.
        fn clone(&self) -> Self {
            let left = self.deaths.load(Ordering::Relaxed);
            if left > 0 && self.painted.load(Ordering::Relaxed) > 0 {
                self.deaths.store(left - 1, Ordering::Relaxed);
                panic!("as the test wants it");
            }
            Self { painted: self.painted.clone(), changes: self.changes, deaths: self.deaths.clone() }
        }
    }

    impl Render for Painter {
        async fn render(&self, address: &Address) -> Option<String> {
            assert_ne!(address.path(), "/panics");
            let painted = self.painted.fetch_add(1, Ordering::Relaxed);
            Some(format!("{} {}", address.text(), painted.min(self.changes)))
        }
    }

    fn hub(changes: u64) -> Hub<Painter> {
        Hub::new(Painter { painted: Arc::default(), changes, deaths: Arc::default() })
    }

    fn address(text: &str) -> Address {
        Address::parse(text).expect("an address")
    }

    #[tokio::test(start_paused = true)]
    async fn many_browsers_on_one_page_cost_one() {
        let hub = hub(u64::MAX);
        let receivers: Vec<_> = (0..200).filter_map(|_| hub.follow(address("/runs?status=stuck"))).collect();
        assert_eq!(receivers.len(), 200);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!((9..=12).contains(&hub.renderings()), "{} renderings in 10 s", hub.renderings());
        assert!(receivers.iter().all(|one| one.borrow().is_some()), "all of them see it");
    }

    #[tokio::test(start_paused = true)]
    async fn many_pages_are_rendered_in_turn() {
        let hub = hub(u64::MAX);
        let receivers: Vec<_> = (0..200).filter_map(|page| hub.follow(address(&format!("/runs/{page}")))).collect();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!((38..=42).contains(&hub.renderings()), "{} renderings in 10 s", hub.renderings());
        tokio::time::sleep(Duration::from_secs(41)).await;
        assert!(receivers.iter().all(|one| one.borrow().is_some()), "each had its turn");
    }

    #[tokio::test(start_paused = true)]
    async fn unchanged_content_is_not_sent_again() {
        let hub = hub(2);
        let mut receiver = hub.follow(address("/")).expect("room");
        let mut sent = 0;
        let _ = timeout(Duration::from_secs(30), async {
            while receiver.changed().await.is_ok() {
                sent += 1;
            }
        })
        .await;
        assert_eq!(sent, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_rendered_without_followers() {
        let hub = hub(u64::MAX);
        drop(hub.follow(address("/")));
        tokio::time::sleep(Duration::from_secs(5)).await;
        let before = hub.renderings();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(hub.renderings(), before);
        let receiver = hub.follow(address("/")).expect("room");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(receiver.borrow().is_some(), "rendering begins again with a follower");
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_panics_ends_for_itself_alone() {
        let hub = hub(u64::MAX);
        let mut bad = hub.follow(address("/panics")).expect("room");
        let mut good = hub.follow(address("/")).expect("room");
        assert!(timeout(Duration::from_secs(5), bad.changed()).await.is_ok_and(|changed| changed.is_err()), "it ends");
        for _ in 0..3 {
            assert!(timeout(Duration::from_secs(5), good.changed()).await.is_ok_and(|changed| changed.is_ok()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_hub_goes_on_after_its_task_died() {
        let hub = hub(u64::MAX);
        let mut receiver = hub.follow(address("/")).expect("room");
        receiver.changed().await.expect("a first rendering");
        let deaths = hub.renderer.deaths.clone();
        deaths.store(1, Ordering::Relaxed);
        for _ in 0..3 {
            assert!(timeout(Duration::from_secs(10), receiver.changed()).await.is_ok_and(|changed| changed.is_ok()));
        }
        assert_eq!(deaths.load(Ordering::Relaxed), 0, "it did die");
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_followed_pages_is_limited() {
        let hub = hub(0);
        let all: Vec<_> = (0..MOST_PAGES).filter_map(|page| hub.follow(address(&format!("/runs/{page}")))).collect();
        assert_eq!(all.len(), MOST_PAGES);
        assert!(hub.follow(address("/one-more")).is_none());
        assert!(hub.follow(address("/runs/1")).is_some(), "a page that is followed already costs nothing more");
    }
}
