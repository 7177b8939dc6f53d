//! Rate limits: what a server lets through of a subject without asking the database, and what it has to draw for.
//!
//! A subject (an API key, a customer) has one bucket of tokens in the database, which all servers share. A server draws tokens
//! in blocks, and lets some requests through on credit before it draws at all: a subject that asks for less than a quarter of its
//! rate costs no write. A draw pays the credit that is owed by then; what is not is forgotten as time goes by, a quarter of a bucket
//! while a bucket fills. So with `n` servers a subject gets at most `n` quarters beyond its rate.

use std::{str::FromStr, time::Duration};

/// A block is a quarter of a bucket, but no more than so many tokens …
const LARGEST_BLOCK: u32 = 50;
/// … or than what comes to a bucket within this time: what a server has drawn, the others have to do without.
const LONGEST_BLOCK: Duration = Duration::from_millis(250);

/// How often something may be done: a bucket of so many tokens, which fills again within a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The tokens of a full bucket.
    pub burst: u32,
    /// How long an empty bucket takes to fill.
    pub per: Duration,
}

impl Rate {
    /// How long one token takes.
    pub(crate) fn per_token(self) -> Duration {
        self.per.checked_div(self.burst).unwrap_or(self.per)
    }

    /// What a server lets through by itself while a bucket fills: a quarter of it, at least one token.
    fn credit(self) -> u32 {
        self.burst.div_euclid(4).max(1)
    }

    /// What is drawn at once.
    fn block(self) -> u32 {
        let soon = LONGEST_BLOCK.as_nanos().checked_div(self.per_token().as_nanos()).unwrap_or_default();
        self.credit().min(u32::try_from(soon).unwrap_or(u32::MAX).max(LARGEST_BLOCK))
    }
}

impl FromStr for Rate {
    type Err = String;

    /// `100/s`, `30/m`, `5/h`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no rate: write 1 to 1000000 per second, minute or hour, as 100/s, 30/m or 5/h");
        let (burst, unit) = text.split_once('/').ok_or_else(wrong)?;
        let per = match unit {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_mins(1),
            "h" => Duration::from_hours(1),
            _ => return Err(wrong()),
        };
        let digits = burst.bytes().all(|byte| byte.is_ascii_digit());
        match burst.parse() {
            Ok(burst @ 1..=1_000_000) if digits => Ok(Self { burst, per }),
            _ => Err(wrong()),
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It may go on; so many more may follow at once.
    Yes {
        /// Tokens that are left, as far as this server knows.
        left: u32,
    },
    /// It may not, before so much time has passed.
    No {
        /// When there is a token again.
        after: Duration,
    },
    /// The database has to give so many tokens.
    Draw {
        /// Tokens.
        want: u32,
    },
}

/// What a draw has brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    /// Tokens, at most as many as were wanted.
    pub(crate) granted: u32,
    /// Tokens that the bucket has left.
    pub(crate) left: u32,
    /// How long until the bucket has a token, where it has none.
    pub(crate) next: Duration,
}

/// A server's account of one subject. Times are spans since any moment that stays the same.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Account {
    /// Let through on credit, as it stood at `owed_at`.
    owed: u32,
    owed_at: Duration,
    /// Nothing more on credit: it asks often.
    has_drawn: bool,
    /// Of `block`, which was drawn, and good until `good_until`: by then the bucket has filled by as many.
    drawn: u32,
    block: u32,
    good_until: Duration,
    /// What the bucket had left.
    left: u32,
    refused_until: Duration,
    /// The database did not answer.
    free_until: Duration,
    /// When it was last used; none: it never was.
    used_at: Option<Duration>,
}

impl Account {
    /// For one request.
    pub(crate) fn take(&mut self, rate: Rate, now: Duration) -> Taken {
        if self.is_settled(rate, now) {
            *self = Self { left: rate.burst, ..Self::default() };
        }
        self.used_at = Some(now);
        if self.free_until > now {
            return Taken::Yes { left: self.left };
        }
        if self.refused_until > now {
            return Taken::No { after: self.refused_until.saturating_sub(now) };
        }
        if self.drawn > 0 && self.good_until > now {
            self.drawn = self.drawn.saturating_sub(1);
            return Taken::Yes { left: self.left.saturating_add(self.drawn) };
        }
        if self.has_drawn && self.drawn > self.block / 2 {
            // It did not need half of the last block: it asks for less than half of its rate.
            (self.has_drawn, self.owed_at, self.left) = (false, now, rate.burst);
        }
        self.drawn = 0;
        if !self.has_drawn {
            self.forget_owed(rate, now);
            if self.owed < rate.credit() {
                self.owed = self.owed.saturating_add(1);
                return Taken::Yes { left: self.left.saturating_sub(self.owed) };
            }
        }
        Taken::Draw { want: self.owed.saturating_add(rate.block()) }
    }

    /// Forgets what is owed, evenly, a credit in the time in which a bucket fills.
    fn forget_owed(&mut self, rate: Rate, now: Duration) {
        let each = rate.per.checked_div(rate.credit()).unwrap_or(rate.per);
        let forgotten =
            now.saturating_sub(self.owed_at).as_nanos().checked_div(each.as_nanos().max(1)).unwrap_or_default();
        let forgotten = u32::try_from(forgotten).unwrap_or(u32::MAX);
        if forgotten >= self.owed {
            (self.owed, self.owed_at) = (0, now);
        } else {
            self.owed = self.owed.saturating_sub(forgotten);
            self.owed_at = self.owed_at.saturating_add(each.saturating_mul(forgotten));
        }
    }

    /// The same request, after its draw: it pays what is owed, and what is left lets requests through.
    pub(crate) fn take_drawn(&mut self, rate: Rate, drawn: Drawn, now: Duration) -> Taken {
        self.has_drawn = true;
        let over = drawn.granted.saturating_sub(self.owed);
        self.owed = self.owed.saturating_sub(drawn.granted);
        self.left = drawn.left;
        let Some(rest) = over.checked_sub(1) else {
            let after = drawn.next.max(rate.per_token().min(Duration::from_secs(1)));
            self.refused_until = now.saturating_add(after);
            return Taken::No { after };
        };
        (self.drawn, self.block) = (rest, over);
        self.good_until = now.saturating_add(rate.per_token().saturating_mul(over));
        Taken::Yes { left: self.left.saturating_add(rest) }
    }

    /// The same request, where the database did not answer: nobody is refused, nor does the next one wait for an answer.
    pub(crate) fn take_undrawn(&mut self, now: Duration) -> Taken {
        self.free_until = now.saturating_add(Duration::from_secs(1));
        Taken::Yes { left: self.left }
    }

    /// Whether it can be forgotten: since it was used a bucket has filled, whatever was owed.
    pub(crate) fn is_settled(&self, rate: Rate, now: Duration) -> bool {
        self.used_at.is_none_or(|at| now.saturating_sub(at) >= rate.per)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A bucket as the database keeps it.
    struct Bucket {
        tokens: f64,
        at: Duration,
    }

    impl Bucket {
        fn draw(&mut self, rate: Rate, want: u32, now: Duration) -> Drawn {
            let each = rate.per_token().as_secs_f64();
            self.tokens = (self.tokens + (now - self.at).as_secs_f64() / each).min(f64::from(rate.burst));
            self.at = now;
            let granted = want.min(self.tokens as u32);
            self.tokens -= f64::from(granted);
            let next = Duration::from_secs_f64(((1.0 - self.tokens) * each).max(0.0));
            Drawn { granted, left: self.tokens as u32, next }
        }
    }

    fn ask(account: &mut Account, bucket: &mut Bucket, rate: Rate, now: Duration) -> (bool, bool) {
        match account.take(rate, now) {
            Taken::Draw { want } => {
                let drawn = bucket.draw(rate, want, now);
                (matches!(account.take_drawn(rate, drawn, now), Taken::Yes { .. }), true)
            }
            taken => (matches!(taken, Taken::Yes { .. }), false),
        }
    }

    proptest! {
        /// In any span a subject gets its rate, a bucket, and a credit from each server.
        #[test]
        fn servers_together_keep_to_the_rate(
            burst in prop_oneof![1_u32..8, 8_u32..200],
            gaps in prop::collection::vec((0_u64..200, 0_usize..4), 1..400),
        ) {
            let rate = Rate { burst, per: Duration::from_secs(1) };
            let mut bucket = Bucket { tokens: f64::from(burst), at: Duration::ZERO };
            let mut accounts = [Account::default(); 4];
            let mut now = Duration::from_secs(10);
            bucket.at = now;
            let (begun, mut let_through) = (now, 0_u32);
            for (gap, server) in gaps {
                now += Duration::from_millis(gap);
                let_through += u32::from(ask(&mut accounts[server], &mut bucket, rate, now).0);
            }
            let spans = (now - begun).as_secs_f64();
            let own = f64::from(burst) * (spans + 1.0);
            let credits = f64::from(4 * rate.credit()) * (spans + 1.0);
            prop_assert!(f64::from(let_through) <= own + credits + 1.0, "{let_through} in {spans} s");
        }
    }

    #[test]
    fn who_asks_now_and_then_costs_no_draw() {
        let rate: Rate = "5/s".parse().expect("a rate");
        let mut bucket = Bucket { tokens: 5.0, at: Duration::ZERO };
        let mut account = Account::default();
        assert_eq!(account.take(rate, Duration::ZERO), Taken::Yes { left: 4 });
        for second in 1..100 {
            assert_eq!(ask(&mut account, &mut bucket, rate, Duration::from_secs(second)), (true, false));
        }
    }

    /// Draws of one who asks so many times a second for ten seconds.
    fn draws_of(per_s: u32, rate: &str) -> usize {
        let rate: Rate = rate.parse().expect("a rate");
        let mut bucket = Bucket { tokens: f64::from(rate.burst), at: Duration::ZERO };
        let mut account = Account::default();
        let mut draws = 0;
        for request in 0..10 * per_s {
            let at = Duration::from_secs(1) * request / per_s;
            let (may_go_on, drew) = ask(&mut account, &mut bucket, rate, at);
            assert!(may_go_on, "request {request} keeps to its rate");
            draws += usize::from(drew);
        }
        draws
    }

    #[test]
    fn less_than_a_quarter_of_a_rate_costs_no_draw() {
        assert_eq!(draws_of(20, "100/s"), 0);
        assert_eq!(draws_of(100, "100000/s"), 0);
        assert_eq!(draws_of(200, "60000/m"), 0);
    }

    #[test]
    fn more_than_that_costs_few_draws() {
        for (requests, rate) in [(30, "100/s"), (60, "100/s"), (100, "100/s"), (900, "1000/s"), (20_000, "60000/s")] {
            let draws = draws_of(requests, rate);
            assert!((1..=60).contains(&draws), "{requests} a second of {rate}: {draws} draws in 10 s");
        }
    }

    #[test]
    fn who_calms_down_costs_no_draw_again() {
        let rate: Rate = "100/s".parse().expect("a rate");
        let mut bucket = Bucket { tokens: 100.0, at: Duration::ZERO };
        let mut account = Account::default();
        let at_once: Vec<_> = (0..60).map(|_| ask(&mut account, &mut bucket, rate, Duration::ZERO)).collect();
        assert!(at_once.iter().any(|(_, drew)| *drew));
        let later =
            (1..100).map(|tenth| ask(&mut account, &mut bucket, rate, Duration::from_millis(500 + 100 * tenth)));
        assert_eq!(later.filter(|(_, drew)| *drew).count(), 0);
    }

    #[test]
    fn who_asks_too_much_is_refused_without_asking() {
        let rate: Rate = "100/s".parse().expect("a rate");
        let now = Duration::from_secs(5);
        let mut bucket = Bucket { tokens: 100.0, at: now };
        let mut account = Account::default();
        let answers: Vec<_> = (0..1_000).map(|_| ask(&mut account, &mut bucket, rate, now)).collect();
        assert_eq!(answers.iter().filter(|(yes, _)| *yes).count(), 100);
        assert!(answers.iter().filter(|(_, drew)| *drew).count() <= 4, "a block is a quarter of a bucket");
        let later = now + Duration::from_millis(100);
        assert_eq!(ask(&mut account, &mut bucket, rate, later), (true, true), "it has filled by ten");
    }

    #[test]
    fn rates_are_written_per_second_minute_or_hour() {
        assert_eq!("100/s".parse(), Ok(Rate { burst: 100, per: Duration::from_secs(1) }));
        assert_eq!("30/m".parse(), Ok(Rate { burst: 30, per: Duration::from_secs(60) }));
        for bad in ["", "5", "0/s", "-1/s", "+5/s", "5/d", "1.5/s", "1000001/s", "5/s/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }
}
