//! Reading bodies, before anything else looks at a request: each within its limit and in time, and all of them together within
//! the memory that there is for bodies, however many come at once.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{finish::to_the_end, problem::Problem};
use crate::engine::Error;

/// A body has to arrive within this time.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Memory is counted in units of this many bytes.
const UNIT: usize = 1024;

/// The memory for all bodies together. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    /// So many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS))))
    }

    /// With what is taken grown to so many bytes. Nobody waits for room: all could wait for each other's.
    fn grow(&self, taken: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Problem> {
        let has = taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let lacks = u32::try_from(bytes.div_ceil(UNIT).saturating_sub(has)).unwrap_or(u32::MAX);
        if lacks == 0 {
            return Ok(());
        }
        let full = |_| Problem::new("too_many_bodies", "there is no memory for more just now; ask again shortly");
        let more = Arc::clone(&self.0).try_acquire_many_owned(lacks).map_err(full)?;
        match taken {
            Some(taken) => taken.merge(more),
            None => *taken = Some(more),
        }
        Ok(())
    }
}

/// What [`bounded`] holds to.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// The largest body, in bytes.
    pub(super) limit: usize,
    pub(super) room: Room,
}

/// A layer that reads the whole body first, so that its size is checked before anything else. Its room is kept until the answer.
/// It also refuses NULs in the address: Postgres can neither store them nor search for them.
pub(super) async fn bounded(State(bounds): State<Bounds>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if parts.uri.path_and_query().is_some_and(|address| address.as_str().contains("%00")) {
        return Problem::invalid("the address has a NUL character").into_response();
    }
    match tokio::time::timeout(BODY_WITHIN, read(&parts.headers, body, &bounds)).await {
        Ok(Ok((bytes, _taken))) => to_the_end(Request::from_parts(parts, Body::from(bytes)), next).await,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::new("request_timeout", "the body did not arrive within 30 s").into_response(),
    }
}

async fn read(
    headers: &HeaderMap,
    body: Body,
    Bounds { limit, room }: &Bounds,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Problem> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let too_large = |size: usize| Problem::from(Error::PayloadTooLarge { size, limit: *limit });
    if let Some(size) = announced.filter(|size| size > limit) {
        return Err(too_large(size));
    }
    let mut chunks = body.into_data_stream();
    // Neither allocated nor counted ahead: what is announced need never come.
    let (mut bytes, mut taken) = (Vec::new(), None);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::invalid("the body broke off"))?;
        let size = bytes.len() + chunk.len();
        if size > *limit {
            return Err(too_large(size));
        }
        room.grow(&mut taken, size)?;
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes.into(), taken))
}

#[cfg(test)]
mod tests {
    use axum::{Router, middleware::from_fn_with_state};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;
    use tokio::sync::mpsc;

    use super::*;

    /// A body that comes piece by piece, as it is told.
    fn body() -> (mpsc::UnboundedSender<Bytes>, Body) {
        let (send, mut pieces) = mpsc::unbounded_channel();
        let pieces = futures_util::stream::poll_fn(move |cx| pieces.poll_recv(cx));
        (send, Body::from_stream(pieces.map(Ok::<Bytes, std::convert::Infallible>)))
    }

    #[tokio::test]
    async fn all_bodies_together_have_bounded_memory() {
        let room = Room::new(100 * UNIT);
        let bounds = Bounds { limit: 80 * UNIT, room: room.clone() };
        let router = Router::new()
            .fallback(async |body: Bytes| body.len().to_string())
            .layer(from_fn_with_state(bounds, bounded));
        let post = |body: Body| {
            let request = axum::http::Request::post("/").body(body).expect("a request");
            tokio::spawn(TowerToHyperService::new(router.clone()).call(request))
        };
        let (send, slow) = body();
        let first = post(slow);
        send.send(vec![0; 60 * UNIT].into()).expect("it is read");
        while room.0.available_permits() > 40 {
            tokio::task::yield_now().await;
        }
        let second = post(Body::from(vec![0; 41 * UNIT])).await.expect("no panic").expect("an answer");
        assert_eq!(second.status(), 503);
        assert!(second.headers().contains_key(header::RETRY_AFTER));
        let small = post(Body::from(vec![0; 40 * UNIT])).await.expect("no panic").expect("an answer");
        assert_eq!(small.status(), 200, "there is room for this one");
        drop(send);
        assert_eq!(first.await.expect("no panic").expect("an answer").status(), 200);
        assert_eq!(room.0.available_permits(), 100, "all of it is given back");
        let second = post(Body::from(vec![0; 41 * UNIT])).await.expect("no panic").expect("an answer");
        assert_eq!(second.status(), 200);
    }
}
