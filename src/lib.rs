//! x
pub mod embedded;
pub mod engine;
