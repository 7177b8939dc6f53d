//! Live updates: `GET /live?view=ADDRESS` is a stream of a view's newest pictures.
//!
//! One hub per process renders each view that somebody looks at, in turn, at most [`EVERY`] apart, whoever and however many
//! look: two hundred browsers on one page cost the database what one does. A picture is sent when it differs from the last
//! one. A view that nobody looks at any more is forgotten.

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
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::view::View;
use crate::http::{App, problem::Problem};

/// Between two renders, of whatever view: four a second in all.
const EVERY: Duration = Duration::from_millis(250);

/// A view is not rendered again sooner than this.
const SOONEST: Duration = Duration::from_secs(1);

/// A render that takes longer is given up; the view keeps its last picture.
const PATIENCE: Duration = Duration::from_secs(5);

/// More views than this at a time are refused.
const MOST_VIEWS: usize = 512;

/// A comment is sent this often, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

type Picture = Option<Arc<str>>;

/// What renders views.
pub(super) trait Render: Clone + Send + Sync + 'static {
    /// The view's picture; none when it can't be had now.
    fn render(&self, view: &View) -> impl Future<Output = Option<String>> + Send;
}

impl Render for App {
    async fn render(&self, view: &View) -> Option<String> {
        let rendered = view.render(self).await;
        rendered
            .inspect_err(|problem| {
                tracing::debug!(view = view.address(), code = problem.code(), "a view was not rendered")
            })
            .ok()
            .map(|fragment| fragment.html)
    }
}

/// Who looks at what.
#[derive(Debug, Default)]
struct Watched {
    views: BTreeMap<String, One>,
    /// A task refreshes them.
    refreshed: bool,
}

#[derive(Debug)]
struct One {
    view: View,
    picture: watch::Sender<Picture>,
    rendered: Option<Instant>,
}

/// The hub. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Hub<R> {
    renderer: R,
    watched: Arc<Mutex<Watched>>,
    renders: Arc<AtomicU64>,
}

impl<R: Render> Hub<R> {
    /// A hub that nobody looks at yet.
    pub(super) fn new(renderer: R) -> Self {
        Self { renderer, watched: Arc::default(), renders: Arc::default() }
    }

    /// How many renders there were.
    #[cfg(test)]
    fn renders(&self) -> u64 {
        self.renders.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at a view; it is kept up to date as long as the receiver lives. None when there are too many views.
    fn watch(&self, view: View) -> Option<watch::Receiver<Picture>> {
        let mut watched = self.lock();
        let address = view.address();
        if !watched.views.contains_key(&address) && watched.views.len() >= MOST_VIEWS {
            return None;
        }
        let new = || One { view, picture: watch::Sender::new(None), rendered: None };
        let receiver = watched.views.entry(address).or_insert_with(new).picture.subscribe();
        if !std::mem::replace(&mut watched.refreshed, true) {
            tokio::spawn(self.clone().refresh());
        }
        Some(receiver)
    }

    /// Renders one view per tick, the one that waits longest; ends when nobody looks any more.
    async fn refresh(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.next() {
                None => return,
                Some(None) => {}
                Some(Some((address, view))) => {
                    self.renders.fetch_add(1, Ordering::Relaxed);
                    let picture = timeout(PATIENCE, self.renderer.render(&view)).await.ok().flatten();
                    self.show(&address, picture);
                }
            }
        }
    }

    /// The view that is due, if one is; none at all when nobody looks.
    #[allow(clippy::option_option, reason = "no view is due, and no view is left, are two answers")]
    fn next(&self) -> Option<Option<(String, View)>> {
        let mut watched = self.lock();
        watched.views.retain(|_, one| one.picture.receiver_count() > 0);
        watched.refreshed = !watched.views.is_empty();
        if !watched.refreshed {
            return None;
        }
        let oldest = watched.views.iter().min_by_key(|(_, one)| one.rendered);
        let due = oldest.filter(|(_, one)| one.rendered.is_none_or(|at| at.elapsed() >= SOONEST));
        Some(due.map(|(address, one)| (address.clone(), one.view.clone())))
    }

    fn show(&self, address: &str, picture: Option<String>) {
        let mut watched = self.lock();
        let Some(one) = watched.views.get_mut(address) else { return };
        one.rendered = Some(Instant::now());
        if let Some(fresh) = picture {
            one.picture.send_if_modified(|old| {
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

/// The handler.
pub(super) async fn follow(
    State(app): State<App>,
    axum::Extension(hub): axum::Extension<Hub<App>>,
    Query(params): Query<Params>,
) -> Result<Response, Problem> {
    let view = View::parse(&params.view)?;
    let many = || {
        Problem::new(
            "too_many_views",
            format!("{MOST_VIEWS} pages are followed live already; this one is as it was when it was loaded"),
        )
    };
    let mut pictures = hub.watch(view).ok_or_else(many)?;
    pictures.mark_changed(); // what others see already is sent at once
    let events = stream::unfold((pictures, app.draining), |(mut pictures, draining)| async move {
        loop {
            tokio::select! {
                changed = pictures.changed() => changed.ok()?,
                () = draining.cancelled() => return None,
            }
            let picture = pictures.borrow_and_update().clone();
            if let Some(html) = picture {
                let event = Event::default().event("view").data(&*html);
                return Some((Ok::<_, Infallible>(event), (pictures, draining)));
            }
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a picture that changes with each of `changes` renders, and then stays.
    #[derive(Clone, Debug)]
    struct Painter {
        painted: Arc<AtomicU64>,
        changes: u64,
    }

    impl Render for Painter {
        async fn render(&self, view: &View) -> Option<String> {
            let painted = self.painted.fetch_add(1, Ordering::Relaxed);
            Some(format!("{} {}", view.address(), painted.min(self.changes)))
        }
    }

    fn hub(changes: u64) -> Hub<Painter> {
        Hub::new(Painter { painted: Arc::default(), changes })
    }

    fn view(address: &str) -> View {
        View::parse(address).expect("a view")
    }

    #[tokio::test(start_paused = true)]
    async fn two_hundred_browsers_on_one_page_cost_what_one_does() {
        let hub = hub(u64::MAX);
        let receivers: Vec<_> = (0..200).filter_map(|_| hub.watch(view("/runs?status=stuck"))).collect();
        assert_eq!(receivers.len(), 200);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!((9..=12).contains(&hub.renders()), "{} renders in 10 s", hub.renders());
        assert!(receivers.iter().all(|one| one.borrow().is_some()), "all of them see it");
    }

    #[tokio::test(start_paused = true)]
    async fn two_hundred_different_pages_are_rendered_in_turn_and_not_faster() {
        let hub = hub(u64::MAX);
        let receivers: Vec<_> = (0..200).filter_map(|page| hub.watch(view(&format!("/runs/{page}")))).collect();
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!((38..=42).contains(&hub.renders()), "{} renders in 10 s", hub.renders());
        tokio::time::sleep(Duration::from_secs(41)).await;
        assert!(receivers.iter().all(|one| one.borrow().is_some()), "each had its turn");
    }

    #[tokio::test(start_paused = true)]
    async fn a_picture_that_did_not_change_is_not_sent_again() {
        let hub = hub(2);
        let mut receiver = hub.watch(view("/")).expect("room");
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
    async fn nothing_is_rendered_while_nobody_looks() {
        let hub = hub(u64::MAX);
        drop(hub.watch(view("/")));
        tokio::time::sleep(Duration::from_secs(5)).await;
        let before = hub.renders();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(hub.renders(), before);
        let receiver = hub.watch(view("/")).expect("room");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(receiver.borrow().is_some(), "and it begins again when somebody does");
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_a_limit_to_what_is_followed() {
        let hub = hub(0);
        let all: Vec<_> = (0..MOST_VIEWS).filter_map(|page| hub.watch(view(&format!("/runs/{page}")))).collect();
        assert_eq!(all.len(), MOST_VIEWS);
        assert!(hub.watch(view("/one-more")).is_none());
        assert!(hub.watch(view("/runs/1")).is_some(), "a known view costs nothing more");
    }
}
