//! One run: how it stands, and its result.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use crate::engine::{
    api::engine::Engine,
    core::model::RunId,
    error::Error,
    hints::Watch,
    read_models::{Run, RunResult},
    store::{give_back, reads, search},
};

/// Digits of an id that one has to give at least.
const SHORTEST_BEGINNING: usize = 4;

/// A look-out for news of a run: see [`Engine::watch`].
pub struct RunWatch(Watch);

impl std::fmt::Debug for RunWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RunWatch").field(&self.0.run).finish()
    }
}

impl RunWatch {
    /// Done when the run ends or waits after this call. To be called before a look at what one waits for, so that nothing in
    /// between is missed; and awaited with a limit, because only looking finds what happens in other processes.
    pub fn news(&self) -> impl Future<Output = ()> + Send + '_ {
        let mut notified = Box::pin(self.0.stirred().notified());
        notified.as_mut().enable();
        notified
    }
}

impl Engine {
    /// Tells when a run ends or waits, where that happens in this process: for a caller who looks now and then for what the run
    /// does.
    pub fn watch(&self, run: RunId) -> RunWatch {
        RunWatch(self.hints().watch(run))
    }

    /// One run with its steps, and why it needs attention.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn run(&self, run: RunId) -> Result<Run, Error> {
        let mut conn = self.acquire().await?;
        let mut found = reads::load_run(self.schema(), &mut conn, run).await?;
        found.steps = Some(reads::load_steps(self.schema(), &mut conn, run).await?);
        found.attention = Some(search::attention::of_run(self.schema(), &mut conn, run).await?);
        found.children = Some(reads::load_children(self.schema(), &mut conn, run).await?);
        give_back(conn);
        Ok(found)
    }

    /// Those of these runs that have ended, or are not kept: nothing will be done by them.
    ///
    /// # Errors
    /// When the database can't be reached.
    pub async fn ended_among(&self, runs: &[RunId]) -> Result<HashSet<RunId>, Error> {
        let mut conn = self.acquire().await?;
        let ended = reads::ended_among(self.schema(), &mut conn, runs).await?;
        give_back(conn);
        Ok(ended)
    }

    /// The run whose id begins like this, if there is one; dashes may be left out.
    ///
    /// # Errors
    /// `invalid_request` when several do.
    pub async fn find_run(&self, beginning: &str) -> Result<Option<RunId>, Error> {
        let Some(range) = ids_beginning_with(beginning) else { return Ok(None) };
        let found = reads::ids_between(self.schema(), &mut *self.acquire().await?, range).await?;
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(Error::InvalidRequest(format!(
                "several runs have ids that begin with {beginning}: give more of it"
            ))),
        }
    }

    /// How the run stands; waits up to `wait` for its end.
    ///
    /// # Errors
    /// `unknown_run`.
    pub async fn result(&self, run: RunId, wait: Duration) -> Result<RunResult, Error> {
        let began = Instant::now();
        let watch = self.watch(run);
        let mut pause = Duration::from_millis(25);
        loop {
            let news = watch.news();
            // Watching began before this look, so that an end in between is not missed.
            let mut conn = self.acquire().await?;
            let looked = reads::find_result(self.schema(), &mut conn, run).await?;
            give_back(conn);
            let left = wait.saturating_sub(began.elapsed());
            match looked {
                Some(ended) => return Ok(ended),
                None if left.is_zero() => {
                    return reads::load_result(self.schema(), &mut *self.acquire().await?, run).await;
                }
                None => {}
            }
            // The end may come in another process: then only polling finds it.
            let has_news = tokio::time::timeout(pause.min(left), news).await.is_ok();
            if has_news && let Some(known) = watch.0.result() {
                return Ok(known);
            }
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}

/// The first and the last id that begin like this; none where none can, or where it is so short that it says nothing.
fn ids_beginning_with(text: &str) -> Option<(RunId, RunId)> {
    let digits = text.replace('-', "");
    if !(SHORTEST_BEGINNING..=32).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let known = u128::from_str_radix(&digits, 16).ok()?;
    let open = 128 - 4 * u32::try_from(digits.len()).ok()?;
    let first = known.checked_shl(open).unwrap_or(0);
    let rest = u128::MAX.checked_shr(128 - open).unwrap_or(0);
    Some((RunId::from_u128(first), RunId::from_u128(first | rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_range_of_ids() {
        let range = |text: &str| ids_beginning_with(text).map(|(first, last)| (first.to_string(), last.to_string()));
        let whole = "01998877-6655-7443-8221-100000000000";
        assert_eq!(range(whole), Some((whole.to_owned(), whole.to_owned())));
        let (first, last) =
            ("01998877-6000-0000-0000-000000000000".to_owned(), "01998877-6fff-ffff-ffff-ffffffffffff".to_owned());
        assert_eq!(range("01998877-6"), Some((first.clone(), last.clone())));
        assert_eq!(range("019988776"), Some((first, last)));
        for none in ["", "019", "nonsense", "+1998877", "01998877665574438221100000000000f", "é1998877"] {
            assert_eq!(range(none), None, "{none}");
        }
    }
}
