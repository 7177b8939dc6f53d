//! The walk over both sides' lists, in pages: what does not look right is a suspect.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    Compared, Looked, Progress, Scope, Sides, Span, Unreadable, Verdict,
    judge::{Glance, glance, look, order_of},
};
use crate::{
    engine::Time,
    orders::{
        difference::Mismatch,
        store::{
            self,
            books::{self, Booked, Unended},
        },
    },
    payments::{Intent, Listed, Refund, RefundStatus},
};

/// Orders per page, and payments that are asked for at a time.
const PER_PAGE: i64 = 200;
const AT_A_TIME: usize = 8;

/// Suspects of one comparison. The next one finds the rest.
const MOST_SUSPECTS: usize = 2_000;

/// Payments of the gateway's list that are remembered, by a hash: of others that our books have the gateway is asked again.
const MOST_REMEMBERED: usize = 500_000;

struct Walk<'a> {
    sides: Sides<'a>,
    span: Span,
    progress: Progress,
    tell: &'a watch::Sender<Progress>,
    seen: HashSet<u64>,
    suspects: BTreeSet<String>,
}

/// Compares both sides. `known` are payments that differed before: they are looked at again, whatever their age.
pub(crate) async fn compare(
    sides: Sides<'_>,
    scope: Scope,
    known: Vec<String>,
    tell: &watch::Sender<Progress>,
) -> Result<Compared, Unreadable> {
    let began = Instant::now();
    let span = scope.span(sides.pool).await?;
    let (progress, seen) = (Progress::default(), HashSet::new());
    let mut walk = Walk { sides, span, progress, tell, seen, suspects: known.into_iter().collect() };
    walk.payments().await?;
    walk.orders().await?;
    walk.refunds().await?;
    let (first_books, _, _) = walk.books().await?;
    walk.enter("second_look");
    if !walk.suspects.is_empty() || !first_books.is_empty() {
        tokio::time::sleep(scope.second_look.saturating_sub(began.elapsed())).await;
    }
    let mut looked = Vec::new();
    for payment_id in std::mem::take(&mut walk.suspects) {
        // Short: what is said of a payment is recorded soon after it was read.
        let one = look(sides, span, &payment_id).await?;
        match one.verdict {
            Verdict::UnderWay => walk.progress.under_way += 1,
            Verdict::Unknown => walk.progress.unknown += 1,
            Verdict::Settled(_) => {}
        }
        looked.push(one);
    }
    let (mut books, books_read_at, books_whole) = walk.books().await?;
    books.retain(|found| first_books.contains(found));
    walk.enter("done");
    Ok(Compared { progress: walk.progress, looked, books, books_read_at, books_whole })
}

impl Walk<'_> {
    fn enter(&mut self, phase: &'static str) {
        self.progress.phase = phase;
        self.tell.send_replace(self.progress);
    }

    fn suspect(&mut self, payment_id: &str) {
        if self.suspects.len() < MOST_SUSPECTS {
            self.suspects.insert(payment_id.to_owned());
        }
    }

    /// The gateway's payments, of each of its vendors.
    async fn payments(&mut self) -> Result<(), Unreadable> {
        self.enter("payments");
        for start in self.sides.gateway.list_starts() {
            self.payments_from(start).await?;
        }
        Ok(())
    }

    async fn payments_from(&mut self, start: Option<String>) -> Result<(), Unreadable> {
        let mut after = start;
        loop {
            let page = self.sides.gateway.list_intents(after.as_deref()).await?;
            self.progress.unknown += count(page.unreadable);
            let is_last = page.items.last().is_some_and(|last| is_before(last, self.span.since));
            self.glance_at(&page.items).await?;
            self.tell.send_replace(self.progress);
            after = page.next;
            if is_last || after.is_none() {
                return Ok(());
            }
        }
    }

    async fn glance_at(&mut self, listed: &[Listed<Intent>]) -> Result<(), Unreadable> {
        let owners: Vec<Uuid> = listed.iter().filter_map(|listed| order_of(&listed.item)).collect();
        let mut conn = self.sides.pool.acquire().await?;
        let booked = books::of_payments(&mut conn, self.span.until, &owners, &[]).await?;
        drop(conn);
        let booked = self.sides.without_run(booked).await?;
        let by_id: HashMap<Uuid, &Booked> = booked.iter().map(|order| (order.id, order)).collect();
        let since = self.span.since;
        for one in listed.iter().filter(|listed| !is_before(listed, since)) {
            let intent = &one.item;
            self.progress.payments += 1;
            if self.seen.len() < MOST_REMEMBERED {
                self.seen.insert(hash(&intent.id));
            }
            let Some(owner) = order_of(intent) else { continue };
            if !is_before(one, self.span.until) {
                self.progress.under_way += 1;
                continue;
            }
            match glance(intent, by_id.get(&owner).copied()) {
                Glance::Right => {}
                Glance::UnderWay => self.progress.under_way += 1,
                Glance::Suspect => self.suspect(&intent.id),
            }
        }
        Ok(())
    }

    /// Our orders: what the gateway did not list, and what was refunded.
    async fn orders(&mut self) -> Result<(), Unreadable> {
        self.enter("orders");
        let mut before = None;
        loop {
            let mut conn = self.sides.pool.acquire().await?;
            let page = books::page(&mut conn, self.span.until, self.span.since, before, PER_PAGE).await?;
            drop(conn);
            let page = self.sides.without_run(page).await?;
            self.progress.orders += count(page.len());
            let (moving, still): (Vec<&Booked>, Vec<&Booked>) = page.iter().partition(|order| order.under_way);
            self.progress.under_way += count(moving.len());
            let doubtful = still.into_iter().filter(|order| order.captured > 0);
            let doubtful = doubtful.filter_map(|order| Some((order.intent_id.as_deref()?, order.refunded)));
            let doubtful = doubtful.filter(|(id, refunded)| *refunded > 0 || !self.seen.contains(&hash(id)));
            let ids: Vec<String> = doubtful.map(|(id, _)| id.to_owned()).collect();
            self.look_at(ids).await?;
            self.tell.send_replace(self.progress);
            before = page.last().map(|order| order.id);
            if count(page.len()) < PER_PAGE {
                return Ok(());
            }
        }
    }

    /// A first look at payments that may well be right.
    async fn look_at(&mut self, ids: Vec<String>) -> Result<(), Unreadable> {
        let (sides, span) = (self.sides, self.span);
        let looks = ids.into_iter().map(|id| async move { look(sides, span, &id).await });
        let looked: Vec<Looked> = stream::iter(looks).buffer_unordered(AT_A_TIME).try_collect().await?;
        for one in looked {
            match one.verdict {
                Verdict::Settled(found) if found.is_empty() => {}
                Verdict::Settled(_) => self.suspect(&one.payment_id),
                Verdict::UnderWay => self.progress.under_way += 1,
                Verdict::Unknown => self.progress.unknown += 1,
            }
        }
        Ok(())
    }

    /// The gateway's refunds: those that our books don't have.
    async fn refunds(&mut self) -> Result<(), Unreadable> {
        self.enter("refunds");
        for start in self.sides.gateway.list_starts() {
            self.refunds_from(start).await?;
        }
        Ok(())
    }

    async fn refunds_from(&mut self, start: Option<String>) -> Result<(), Unreadable> {
        let mut after = start;
        loop {
            let page = self.sides.gateway.list_refunds(after.as_deref()).await?;
            self.progress.unknown += count(page.unreadable);
            let is_last = page.items.last().is_some_and(|last| is_before(last, self.span.since));
            self.match_refunds(&page.items).await?;
            self.tell.send_replace(self.progress);
            after = page.next;
            if is_last || after.is_none() {
                return Ok(());
            }
        }
    }

    async fn match_refunds(&mut self, listed: &[Listed<Refund>]) -> Result<(), Unreadable> {
        let mut back: HashMap<&str, i64> = HashMap::new();
        for one in listed.iter().filter(|one| !is_before(one, self.span.since)) {
            self.progress.refunds += 1;
            if one.item.status == RefundStatus::Succeeded
                && let Some(payment) = &one.item.intent_id
            {
                let sum = back.entry(payment).or_default();
                *sum = sum.saturating_add(one.item.amount);
            }
        }
        let payments: Vec<&str> = back.keys().copied().collect();
        let mut conn = self.sides.pool.acquire().await?;
        let booked = books::of_payments(&mut conn, self.span.until, &[], &payments).await?;
        drop(conn);
        let booked = self.sides.without_run(booked).await?;
        let differ = booked.iter().filter(|order| !order.under_way).filter_map(|order| {
            let payment = order.intent_id.as_deref()?;
            (back.get(payment) != Some(&order.refunded)).then(|| payment.to_owned())
        });
        self.look_at(differ.collect()).await
    }

    /// What our own records disagree about.
    async fn books(&mut self) -> Result<(Vec<Mismatch>, Time, bool), Unreadable> {
        self.enter("stock");
        let mut conn = self.sides.pool.acquire().await?;
        let read_at = store::now(&mut conn).await?;
        let (mut found, whole) = books::find_differences(&mut conn, self.span.since, self.span.until).await?;
        drop(conn);
        found.extend(self.left_alone().await?);
        Ok((found, read_at, whole))
    }

    /// Orders that have not come to their end, though their runs have: an operator abandoned those.
    async fn left_alone(&self) -> Result<Vec<Mismatch>, Unreadable> {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let mut conn = self.sides.pool.acquire().await?;
            let page = books::unended(&mut conn, self.span.until, self.span.since, before, PER_PAGE).await?;
            drop(conn);
            let runs: Vec<_> = page.iter().map(|order| order.run_id).collect();
            let ended = self.sides.ended_among(&runs).await?;
            found.extend(page.iter().filter(|order| ended.contains(&order.run_id)).map(Unended::left_alone));
            before = page.last().map(|order| order.id);
            if count(page.len()) < PER_PAGE {
                return Ok(found);
            }
        }
    }
}

fn is_before<T>(listed: &Listed<T>, moment: Time) -> bool {
    listed.made_at_s <= moment.timestamp()
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
