//! Who may start a workflow's runs and send them signals.

/// Who may start a workflow's runs and send them signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Every caller whose role is to start runs.
    #[default]
    Public,
    /// The service that registers it, and schedules that it makes. From callers its runs take only the signals that it names.
    Internal,
}
