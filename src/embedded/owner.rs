//! The user that the server runs as.
//!
//! Postgres refuses to run as root, so when we are root it runs as `postgres`, else `nobody`, and its files belong to
//! that user. For any other user it runs as ourselves, and this module does nothing.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{User, geteuid};

use super::Error;

/// The user a server runs as; `None` inside means ourselves.
#[derive(Debug, Clone)]
pub(super) struct Owner(Option<User>);

impl Owner {
    /// Ourselves, or an unprivileged user if we are root.
    pub(super) fn choose() -> Result<Self, Error> {
        if !geteuid().is_root() {
            return Ok(Self(None));
        }
        let known = |name| User::from_name(name).ok().flatten();
        known("postgres").or_else(|| known("nobody")).map(|user| Self(Some(user))).ok_or(Error::NoServerUser)
    }

    /// Makes a command run as this user. (`Command::uid` also drops root's supplementary groups.)
    pub(super) fn apply(&self, command: &mut Command) {
        if let Some(user) = &self.0 {
            command.gid(user.gid.as_raw()).uid(user.uid.as_raw());
        }
    }

    /// Gives a file or directory to this user.
    pub(super) fn give(&self, path: &Path) -> Result<(), Error> {
        match &self.0 {
            Some(user) => {
                lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).map_err(Error::io("give away", path))
            }
            None => Ok(()),
        }
    }

    /// Gives a whole tree to this user without following links, for a cluster created under another user.
    pub(super) fn give_tree(&self, path: &Path) -> Result<(), Error> {
        let Some(user) = &self.0 else { return Ok(()) };
        let at_home = fs::metadata(path).is_ok_and(|meta| meta.uid() == user.uid.as_raw());
        if at_home { Ok(()) } else { self.give_below(path) }
    }

    fn give_below(&self, path: &Path) -> Result<(), Error> {
        for entry in fs::read_dir(path).map_err(Error::io("read", path))? {
            let entry = entry.map_err(Error::io("read", path))?;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.give_below(&entry.path())?;
            } else if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                self.give(&entry.path())?;
            }
        }
        // The directory itself comes last: after an interruption the next start still sees a foreign owner and
        // continues.
        self.give(path)
    }

    /// Checks that this user can reach an existing, absolute path.
    pub(super) fn require_reach(&self, path: &Path) -> Result<(), Error> {
        match (&self.0, self.blocker(path)) {
            (Some(user), Some(blocker)) => Err(Error::Unreachable { user: user.name.clone(), blocker }),
            _ => Ok(()),
        }
    }

    /// The outermost directory of the path that this user may not enter, by its mode bits.
    fn blocker(&self, path: &Path) -> Option<PathBuf> {
        let user = self.0.as_ref()?;
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        let closed = |dir: &&&Path| {
            let Ok(meta) = fs::metadata(dir) else { return true };
            let bit = match () {
                () if meta.uid() == user.uid.as_raw() => 0o100,
                () if meta.gid() == user.gid.as_raw() => 0o010,
                () => 0o001,
            };
            meta.mode() & bit == 0
        };
        ancestors.iter().find(closed).map(|dir| dir.to_path_buf())
    }
}
