//! Rebuilds when a migration is added: `sqlx::migrate!` embeds them, and the compiler sees only the macro.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
