//! `backstitch openapi`: the OpenAPI document of the API, on stdout. Needs no server.

/// Prints the document.
pub(super) fn run() -> anyhow::Result<()> {
    #[cfg(feature = "shop")]
    let plugins = [crate::shop::description()];
    #[cfg(not(feature = "shop"))]
    let plugins = [];
    super::output::say(&serde_json::to_string_pretty(&crate::http::openapi::document(&plugins))?)
}
