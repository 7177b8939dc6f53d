//! Notices on their way to people: texts from templates, channels, and providers that carry them.
//!
//! It knows no table. [`crate::orders`] says what is to be told to whom and keeps account of it; this sends one message through
//! the first provider of its channel that takes it. A message keeps its id however often it is sent, so that a receiver
//! recognises a repeat.

pub mod address;
mod http;
mod message;
mod post;
mod settings;
mod smtp;
mod template;

pub use self::{
    message::{Channel, Message, Recipient, SendError, Trouble},
    post::{LogProvider, Post, Provider},
    settings::{BadNotices, NoticeSettings, Routes},
    template::{FactLine, Facts, TEMPLATES, Templates, Text},
};
