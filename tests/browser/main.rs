//! The dashboard in a real browser: Chromium without a window, driven through chromedriver, against a server, a worker, the
//! shop and a gateway simulator in this process.
//!
//! A browser that is missing fails these tests; scripts/ensure-chromium.sh sees to it. `stage` is the server and what
//! has happened on it, `chrome` the browser; each other file is what people do with a part of the dashboard.

mod acting;
mod chrome;
mod live;
mod looks;
mod runs;
mod stage;
#[path = "../support/mod.rs"]
mod support;
