//! Directories of temporary clusters: made so that nobody else can put anything into them, and removed only if we made them.
//!
//! The system's directory for temporary files is everybody's: a name in it proves nothing, and a link in it may lead anywhere.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;
use uuid::Uuid;

use super::cluster::FALLBACK_HOME;
use super::{Error, pidfile};

/// Age after which the directory of a killed process is removed by a later one; younger ones may be about to be locked.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(600);
const PREFIX: &str = "backstitch-temporary-";

/// Bits by which others could put something into a directory.
const WRITABLE_BY_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Makes a new directory below `base`, and removes those left by killed processes.
pub(super) fn create(base: &Path) -> Result<PathBuf, Error> {
    remove_left_behind(base);
    let dir = base.join(format!("{PREFIX}{}", Uuid::now_v7()));
    // Not recursive: what is there already is not ours.
    DirBuilder::new().mode(0o700).create(&dir).map_err(Error::io("create", &dir))?;
    if geteuid().is_root() {
        // The server runs as another user, who has to pass through.
        fs::set_permissions(&dir, Permissions::from_mode(0o711)).map_err(Error::io("set the mode of", &dir))?;
    }
    Ok(dir)
}

fn remove_left_behind(base: &Path) {
    let keeps_names = fs::metadata(base).is_ok_and(|meta| {
        let replaceable = meta.mode() & WRITABLE_BY_OTHERS != 0 && meta.mode() & STICKY == 0;
        !replaceable && (meta.uid() == 0 || meta.uid() == geteuid().as_raw())
    });
    if !keeps_names {
        return; // a user who can rename our directories could put theirs between any check and the removal
    }
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // What can't be removed stays for a later start.
            let _ = remove_if_ours(&entry.path());
        }
    }
}

/// Removes a directory that we made and nobody has locked. Others can't have put anything into it: so its link is ours, too.
fn remove_if_ours(dir: &Path) -> io::Result<()> {
    if !is_ours(&fs::symlink_metadata(dir)?) {
        return Ok(());
    }
    let file = File::open(dir.join("pg.lock"))?;
    let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
    if age < LEFT_BEHIND_AFTER || file.try_lock().is_err() {
        return Ok(());
    }
    let data = fs::canonicalize(dir.join("pg"))?;
    if pidfile::living_server(&data).is_some() {
        return Ok(());
    }
    // Root's cluster may be elsewhere, in a home of its own. Nothing else that a link leads to is removed.
    if let Some(home) = data.parent().filter(|home| home.parent() == Some(Path::new(FALLBACK_HOME))) {
        fs::remove_dir_all(home)?;
    }
    fs::remove_dir_all(dir)
}

/// A directory of ours, not a link to one, that nobody else can write to.
fn is_ours(meta: &Metadata) -> bool {
    meta.is_dir() && meta.uid() == geteuid().as_raw() && meta.mode() & WRITABLE_BY_OTHERS == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};
    use std::time::Instant;

    use super::*;

    /// A directory like the one for temporary files, and somebody's home beside it.
    struct Stage(PathBuf);

    impl Stage {
        fn set() -> Self {
            let root = std::env::temp_dir().join(format!("backstitch-test-{}", Uuid::new_v4()));
            fs::create_dir_all(root.join("home/letters")).expect("it is new");
            fs::create_dir(root.join("tmp")).expect("it is new");
            fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777)).expect("it is ours");
            Self(root)
        }

        fn tmp(&self) -> PathBuf {
            self.0.join("tmp")
        }

        fn is_unharmed(&self) -> bool {
            self.0.join("home/letters").exists()
        }

        /// A directory that looks like one of a process killed long ago; its `pg` leads to the home.
        fn leave(&self, name: &str) -> PathBuf {
            let dir = self.tmp().join(format!("{PREFIX}{name}"));
            DirBuilder::new().mode(0o700).create(&dir).expect("it is new");
            let lock = File::create(dir.join("pg.lock")).expect("it is ours");
            let long_ago = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1);
            lock.set_modified(long_ago).expect("its time can be set");
            symlink(self.0.join("home"), dir.join("pg")).expect("it is ours");
            dir
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn nothing_that_a_link_leads_to_is_removed() {
        let stage = Stage::set();
        let ours = stage.leave("ours");
        create(&stage.tmp()).expect("a new one");
        assert!(stage.is_unharmed(), "somebody's home is gone");
        assert!(!ours.exists(), "what a killed process of ours left is removed");
    }

    #[test]
    fn what_others_made_or_could_have_changed_stays() {
        let stage = Stage::set();
        let open = stage.leave("open");
        fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("it is ours");
        let elsewhere = stage.leave("elsewhere");
        let moved = stage.0.join("moved");
        fs::rename(&elsewhere, &moved).expect("it is ours");
        symlink(&moved, &elsewhere).expect("it is ours");
        let foreign = stage.leave("foreign");
        if geteuid().is_root() {
            chown(&foreign, Some(65_534), None).expect("root may");
        } else {
            fs::remove_dir_all(&foreign).expect("only root can make one of somebody else's");
        }
        create(&stage.tmp()).expect("a new one");
        assert!(stage.is_unharmed() && open.exists() && moved.exists(), "{:?}", fs::read_dir(stage.tmp()));
        assert_eq!(foreign.exists(), geteuid().is_root());
    }

    #[test]
    fn nothing_is_removed_where_others_can_rename() {
        let stage = Stage::set();
        let ours = stage.leave("ours");
        fs::set_permissions(stage.tmp(), Permissions::from_mode(0o777)).expect("it is ours");
        create(&stage.tmp()).expect("a new one");
        assert!(ours.exists() && stage.is_unharmed());
    }

    #[test]
    fn somebodys_pipe_holds_nobody_up() {
        if !geteuid().is_root() {
            return; // only root can make one of somebody else's
        }
        let stage = Stage::set();
        let foreign = stage.leave("foreign");
        fs::remove_file(foreign.join("pg.lock")).expect("it is ours");
        nix::unistd::mkfifo(&foreign.join("pg.lock"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        chown(&foreign, Some(65_534), None).expect("root may");
        let began = Instant::now();
        create(&stage.tmp()).expect("a new one");
        assert!(began.elapsed() < Duration::from_secs(5) && foreign.exists());
    }

    #[test]
    fn a_new_directory_is_for_its_owner() {
        let stage = Stage::set();
        let dir = create(&stage.tmp()).expect("a new one");
        let mode = fs::metadata(dir).expect("it is there").mode() & 0o777;
        assert_eq!(mode, if geteuid().is_root() { 0o711 } else { 0o700 });
    }
}
