//! `backstitch openapi`: the OpenAPI document of the API, on stdout. Needs no server.

/// Prints the document.
pub(super) fn run() -> anyhow::Result<()> {
    super::output::say(&serde_json::to_string_pretty(&crate::http::openapi::document(&[crate::shop::description()]))?);
    Ok(())
}
