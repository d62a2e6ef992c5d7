//! File systems of a test's own, for what a store has to bear of them. They need root, so they have to be asked for.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Were mounts asked for (`scripts/powercut`)?
pub(crate) fn may_mount() -> bool {
    std::env::var_os("TIDINGS_MOUNTS").is_some_and(|value| value == "1")
}

/// One that is mounted in a newsroom's folder, and goes with it.
pub(crate) struct Mounted(PathBuf);

impl Mounted {
    /// A small one in memory.
    pub(crate) fn in_memory(at: PathBuf) -> Self {
        std::fs::create_dir_all(&at).expect("writable");
        run("mount", &["-t", "tmpfs", "-o", "size=24M", "tmpfs"], &at);
        Mounted(at)
    }

    /// A new ext4 in the file `disk`.
    pub(crate) fn in_file(at: PathBuf, disk: &Path) -> Self {
        std::fs::create_dir_all(&at).expect("writable");
        run("truncate", &["-s", "512M"], disk);
        run("mkfs.ext4", &["-q", "-F"], disk);
        let mounted = Mounted(at);
        mounted.mount(disk);
        mounted
    }

    fn mount(&self, disk: &Path) {
        let disk = disk.to_str().expect("a plain path");
        run("mount", &["-o", "loop", disk], &self.0);
    }

    /// Mounts it with other options.
    pub(crate) fn remount(&self, options: &str) {
        run("mount", &["-o", &format!("remount,{options}")], &self.0);
    }

    /// Cuts its power: what is in the page cache is lost, and each write fails from now on. The drive's own cache is taken
    /// to be honest.
    pub(crate) fn cut(&self) {
        // EXT4_IOC_SHUTDOWN, without a flush of the log.
        const CUT: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";
        run("python3", &["-c", CUT], &self.0);
    }

    /// Mounts it anew behind a cut, once nobody has a file of it open.
    pub(crate) fn come_back(&self, disk: &Path) {
        run("umount", &[], &self.0);
        self.mount(disk);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Also where a test has failed, and a daemon still holds it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        if let Some(folder) = self.0.parent() {
            // What the newsroom could not remove with this in it.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let status = Command::new(program).args(arguments).arg(path).status().expect(program);
    assert!(status.success(), "{program} {arguments:?} {}", path.display());
}
