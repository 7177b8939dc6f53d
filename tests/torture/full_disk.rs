//! A full disk: the database is in a tablespace on a small tmpfs, which is filled to the last byte, three times for some seconds.
//!
//! Where no tmpfs can be mounted, the test says so and is left out.

use std::{
    io::Write,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use backstitch::embedded::Embedded;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{
    books,
    customers::Crowd,
    stage::{Stage, dice, rounds},
};

const SIZE: &str = "size=96m,mode=0700";
const TIMES: usize = 3;
const FULL_FOR: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_is_full() {
    let Some(disk) = Disk::mount() else {
        println!("LEFT OUT: no tmpfs can be mounted here");
        return;
    };
    let mut dice = dice();
    let server = Embedded::temporary().await.expect("the server starts");
    disk.take_in(&server).await;
    let mut stage = Stage::over("full_disk", server, 2, &[]).await;
    let crowd = Crowd::come(&stage.front, &mut dice, true);
    for _ in 0..TIMES * rounds() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        disk.fill();
        tokio::time::sleep(FULL_FOR).await;
        disk.make_room();
    }
    books::work_goes_on(&mut stage, "a full disk").await;
    crowd.go().await;
    books::close(stage).await;
}

/// A small file system of its own.
struct Disk(PathBuf);

impl Disk {
    fn mount() -> Option<Self> {
        let directory = std::env::temp_dir().join(format!("backstitch-test-disk-{}", std::process::id()));
        std::fs::create_dir(&directory).ok()?;
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(&directory).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(directory));
        }
        let _ = std::fs::remove_dir(&directory);
        None
    }

    /// Moves the database here.
    async fn take_in(&self, server: &Embedded) {
        let home = std::fs::metadata(server.socket().parent().expect("a directory")).expect("it is there");
        let place = self.0.join("tablespace");
        std::fs::create_dir(&place).expect("it is ours");
        for path in [&self.0, &place] {
            chown(path, Some(home.uid()), Some(home.gid())).expect("who may mount may give away");
        }
        let mut admin = PgConnection::connect(&server.url_of("postgres")).await.expect("it takes connections");
        let create = format!("CREATE TABLESPACE small LOCATION '{}'", place.display());
        for statement in [create.as_str(), "ALTER DATABASE backstitch SET TABLESPACE small"] {
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut admin).await.expect(statement);
        }
    }

    fn filler(&self) -> PathBuf {
        Path::join(&self.0, "filler")
    }

    fn fill(&self) {
        let mut filler = std::fs::File::create(self.filler()).expect("there is room for a name");
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The server may still have it open, if the test failed: then it goes when the server does.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}
