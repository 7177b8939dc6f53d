//! Notices that go to a real mail server, which stumbles on demand.

use backstitch::{Secret, notices::NoticeSettings};

pub(crate) use crate::support::MailServer;

/// Notices by this server.
pub(crate) fn by_mail(server: &MailServer) -> NoticeSettings {
    let (smtp_url, mail_from) = (Some(Secret::new(server.url())), Some("Shop <shop@example.com>".to_owned()));
    NoticeSettings { smtp_url, mail_from, ..NoticeSettings::default() }
}
