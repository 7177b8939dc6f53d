//! How busy this machine is: the demo's windows are as much longer as a trial took longer than on an idle one.
//!
//! The trial is [`super::stage::Stage::measure`].

use std::time::Duration;

/// What the trial takes where nothing else runs.
const USUAL: Duration = Duration::from_millis(300);
/// Beyond that, the demo would not end while anybody looks.
const SLOWEST: f64 = 20.0;

/// A factor, from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace(f64);

impl Pace {
    /// That of an idle machine.
    pub(super) const IDLE: Self = Self(1.0);

    /// What this machine takes for what an idle one does in that time.
    pub(super) fn of(self, idle: Duration) -> Duration {
        idle.mul_f64(self.0)
    }

    pub(super) fn measured(trial: Duration) -> Self {
        Self((trial.as_secs_f64() / USUAL.as_secs_f64()).clamp(1.0, SLOWEST))
    }

    /// What to say of it; nothing where the demo takes its usual time.
    pub(super) fn notice(self) -> Option<String> {
        (self.0 >= 1.5).then(|| format!("this machine is busy: all windows are {:.0} times as long as usual", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stretch_with_the_trial_and_never_shrink() {
        let window = Duration::from_secs(4);
        assert_eq!(Pace::measured(Duration::from_millis(1)), Pace::IDLE);
        assert_eq!(Pace::measured(USUAL * 6).of(window), window * 6);
        assert_eq!(Pace::measured(Duration::from_hours(1)).of(window), window * 20);
        assert_eq!((Pace::IDLE.notice(), Pace::measured(USUAL * 3).notice().is_some()), (None, true));
    }
}
