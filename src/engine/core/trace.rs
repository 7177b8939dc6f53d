//! Trace context as of W3C: a run is one trace. Its id is the caller's, where a `traceparent` came with the start; else it
//! follows from the run's id, and so costs nothing to keep. A span's id follows from its attempt, so that the attempt's
//! context and the exporter have the same one without sharing anything.

use super::model::{Direction, RunId};

/// The trace that a run belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trace {
    /// 16 bytes, never 0.
    pub id: u128,
    /// The caller's span; none where no context came.
    pub parent: Option<u64>,
    /// The caller's flags; sampled, where no context came.
    pub flags: u8,
}

impl Trace {
    /// Of a run, with the context that its start came with.
    pub fn of(run: RunId, traceparent: Option<&str>) -> Self {
        let own = || Self { id: run.as_u128(), parent: None, flags: 1 };
        traceparent.and_then(Self::parse).unwrap_or_else(own)
    }

    /// Reads a `traceparent`: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not all zeros. A later version may say more
    /// behind that. None: it is no context, and to be treated as if it had not come.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |part: &str, len: usize| {
            part.len() == len && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let mut parts = text.split('-');
        let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let well_formed = hex(version, 2) && hex(id, 32) && hex(parent, 16) && hex(flags, 2);
        if !well_formed || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let id = u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)?;
        let parent = u64::from_str_radix(parent, 16).ok().filter(|parent| *parent != 0)?;
        Some(Self { id, parent: Some(parent), flags: u8::from_str_radix(flags, 16).ok()? })
    }

    /// What is handed on to what a span calls.
    pub fn traceparent(&self, span: u64) -> String {
        format!("00-{:032x}-{span:016x}-{:02x}", self.id, self.flags)
    }

    /// The id as people see it.
    pub fn id_text(&self) -> String {
        format!("{:032x}", self.id)
    }
}

/// The id of the span of one attempt, or of one verification.
pub fn span_id(run: RunId, seq: u32, direction: Direction, attempt: u32, verifies: bool) -> u64 {
    let run = run.as_u128();
    let parts = [(run >> 64) as u64, run as u64, u64::from(seq), direction as u64, u64::from(attempt), verifies.into()];
    parts.into_iter().fold(0, |hash, part| mixed(hash ^ part)).max(1)
}

/// The last step of splitmix64: each bit of the input moves half of the bits of the output.
const fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_a_well_formed_traceparent_is_one() {
        assert_eq!(Trace::parse(GOOD).map(|trace| trace.traceparent(0xb7ad_6b71_6920_3331)).as_deref(), Some(GOOD));
        for bad in [
            "",
            "00",
            "00-xyz-b7ad6b7169203331-01",
            &GOOD.to_uppercase(),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            &GOOD.replace("00-", "ff-"),
            &format!("{GOOD}-more"),
            &GOOD.replace("-01", "-+1"),
        ] {
            assert_eq!(Trace::parse(bad), None, "{bad:?}");
        }
        assert!(
            Trace::parse(&format!("{}-more", GOOD.replacen("00-", "01-", 1))).is_some(),
            "a later version says more"
        );
    }

    #[test]
    fn a_run_without_a_trace_gets_one_from_its_id() {
        let run = RunId::from_u128(0x0192_aaaa_bbbb_7ccc_8ddd_eeee_ffff_0001);
        let trace = Trace::of(run, None);
        assert_eq!((trace.id_text(), trace.parent), (run.simple().to_string(), None));
        assert_eq!(Trace::of(run, Some("nonsense")), trace);
    }

    #[test]
    fn attempts_verifications_and_undos_have_their_own_spans() {
        let mut seen = std::collections::HashSet::new();
        for run in 1..20 {
            for seq in 0..10 {
                for direction in [Direction::Forward, Direction::Undo] {
                    for attempt in 1..4 {
                        for verifies in [false, true] {
                            let id = span_id(RunId::from_u128(run), seq, direction, attempt, verifies);
                            assert!(seen.insert(id), "{run} {seq} {direction} {attempt} {verifies}");
                        }
                    }
                }
            }
        }
    }
}
