//! A real mail server in a process of its own: see scripts/ensure-mail-server.sh.
//!
//! Where none can be had, `BACKSTITCH_WITHOUT_MAIL_SERVER=1` leaves its tests out, and they say so; else they fail.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use uuid::Uuid;

/// A mail server in a process of its own.
pub struct MailServer {
    process: Option<Child>,
    port: u16,
    pub folder: PathBuf,
}

impl MailServer {
    /// None where it can't be had, and that is known.
    pub fn start() -> Option<Self> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/ensure-mail-server.sh");
        if !Command::new(script).status().is_ok_and(|status| status.success()) {
            let known = std::env::var_os("BACKSTITCH_WITHOUT_MAIL_SERVER").is_some();
            assert!(known, "there is no mail server: scripts/ensure-mail-server.sh says why");
            eprintln!("LEFT OUT: there is no mail server on this machine");
            return None;
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let folder = std::env::temp_dir().join(format!("mails-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut server = Self { process: None, port, folder };
        server.run();
        Some(server)
    }

    /// Where it was, with what it has got.
    pub fn run(&mut self) {
        let root = env!("CARGO_MANIFEST_DIR");
        let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| format!("{root}/target"));
        let mut process = Command::new("python3")
            .arg(format!("{root}/tests/support/mail_server.py"))
            .arg(self.port.to_string())
            .arg(&self.folder)
            .env("PYTHONPATH", format!("{target}/mail-server"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        self.process = Some(process);
    }

    /// At once (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Refuses some, or takes all again.
    pub fn trouble(&self, is_on: bool) {
        let path = self.folder.join("trouble");
        if is_on { std::fs::write(path, "").expect("a file") } else { std::fs::remove_file(path).expect("a file") }
    }

    /// What it has acknowledged, in the order in which that came.
    pub fn mails(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join("mails")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a mail")).collect()
    }

    pub fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.kill();
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
