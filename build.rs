//! Rebuilds when a migration is added: `sqlx::migrate!` embeds them, and the compiler sees only the macro.
//! Tells utoipa what the engine's aliases stand for: its derives see names, not types.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "server")]
    utoipa_config::Config::new()
        .alias_for("Time", "chrono::DateTime<chrono::Utc>")
        .alias_for("RunId", "uuid::Uuid")
        .alias_for("Json", "serde_json::Value")
        .write_to_file();
}
