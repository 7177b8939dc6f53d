//! Notices on their way to people: texts from templates, channels, and providers that carry them.
//!
//! It knows no table. [`crate::orders`] says what is to be told to whom and keeps account of it; this sends one message through
//! the first provider of its channel that takes it. A message keeps its id however often it is sent, so that a receiver
//! recognises a repeat. [`Targets`] are operators who are told that something is wrong.

pub mod address;
mod alerts;
mod background;
mod bad;
mod http;
mod message;
mod post;
mod settings;
mod smtp;
mod template;

pub use self::{
    alerts::{Alarm, AlertSettings, Targets},
    bad::BadNotices,
    message::{Channel, Message, Recipient, SendError, Trouble},
    post::{Admission, Gate, LogProvider, Passed, Post, Provider},
    settings::{NoticeSettings, Opened, Routes},
    template::{FactLine, Facts, TEMPLATES, Templates, Text},
};
