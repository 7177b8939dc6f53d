//! What is told of orders: each event of an order becomes rows, one for each address; a worker sends them.
//!
//! Rows are written by a sink of the outbox, in the transaction that moves its cursor: after the commit that they speak of, and
//! once. So a notice that fails rolls nothing back, and orders wait for none.

mod decide;
mod deliver;
pub(in crate::orders) mod model;
mod sink;

pub(in crate::orders) use self::deliver::run as deliver_all;
pub(crate) use self::{
    decide::{has_happened, to_one},
    model::{Attempted, Claimed},
};
pub use self::{
    model::{Contact, Notification, NotificationCount, NotificationState, Seller},
    sink::NoticeSink,
};
use crate::notices::{BadNotices, Channel, LogProvider, NoticeSettings, Opened, Post, Routes, Targets, Templates};

/// What notices and alerts are sent with, and to whom.
#[derive(Clone, Debug)]
pub struct Notices {
    pub(crate) post: Post,
    pub(crate) templates: Templates,
    pub(crate) routes: Routes,
    pub(crate) targets: Targets,
}

impl Notices {
    /// As the settings say.
    ///
    /// # Errors
    /// A setting can't be used.
    pub fn open(settings: &NoticeSettings) -> Result<Self, BadNotices> {
        let Opened { post, templates, routes, targets } = settings.open()?;
        Ok(Self { post, templates, routes, targets })
    }

    /// The sink that makes notifications of events.
    pub fn sink(&self) -> NoticeSink {
        NoticeSink::new(self.routes.clone())
    }
}

impl Default for Notices {
    /// Mails are lines in the log.
    fn default() -> Self {
        let log = |channel| (channel, vec![std::sync::Arc::new(LogProvider) as _]);
        let post = Post::new([log(Channel::Email), log(Channel::Log)]);
        Self { post, templates: Templates::built_in(), routes: Routes::default(), targets: Targets::default() }
    }
}
