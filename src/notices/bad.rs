//! Settings that can't be used.

/// Why notices or alerts can't be sent as the settings say.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {why}")]
pub struct BadNotices {
    /// Which setting.
    pub setting: &'static str,
    /// What is wrong.
    pub why: String,
}

pub(super) fn bad(setting: &'static str) -> impl Fn(String) -> BadNotices {
    move |why| BadNotices { setting, why }
}
