//! A folder of article files: what lies in it, and what the files hold.

use super::SETTLE;
use crate::domain::Clock;
use aws_lc_rs::digest::{SHA256, digest};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// A file may be this long: the largest body, twice, and room for its front matter.
const FILE_BYTES_MAX: u64 = 2 << 20;

/// How a file looks from outside. The time of its last change is the file system's own (`ctime`): the one that
/// programs set stays the same when a copy takes the file's place, or when it becomes readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Looks {
    inode: u64,
    changed: (i64, i64),
    bytes: u64,
}

impl Looks {
    fn of(found: &Metadata) -> Self {
        Looks { inode: found.ino(), changed: (found.ctime(), found.ctime_nsec()), bytes: found.len() }
    }

    /// Has it changed so lately that somebody may still be writing? A change that lies ahead is by another clock, and may
    /// be as late.
    pub(super) fn is_young(&self) -> bool {
        let (s, ns) = self.changed;
        let changed_ms = s.saturating_mul(1_000).saturating_add(ns / 1_000_000);
        let age_ms = Clock::system().now().timestamp_millis().saturating_sub(changed_ms);
        u128::try_from(age_ms).map_or(true, |age_ms| age_ms < SETTLE.as_millis())
    }
}

/// What lies in a folder.
#[derive(Default)]
pub(super) struct Listing {
    /// Article files by name.
    pub(super) files: BTreeMap<String, Looks>,
    /// Article files that are left out, since nobody can say their names.
    pub(super) nameless: BTreeSet<OsString>,
}

/// The article files in `folder`: `*.md`, without hidden ones. Links are left out: who may write into the folder need
/// not be allowed to have any file published that the daemon can read.
pub(super) fn list(folder: &Path) -> std::io::Result<Listing> {
    let mut found = Listing::default();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if !name.as_bytes().ends_with(b".md") || name.as_bytes().starts_with(b".") {
            continue;
        }
        match entry.metadata() {
            Ok(file) if file.is_file() => match name.into_string() {
                Ok(name) => drop(found.files.insert(name, Looks::of(&file))),
                Err(name) => drop(found.nameless.insert(name)),
            },
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Why a file was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is not the file that was looked at, or no longer.
    Changed,
    /// It is no text that is read here, or nobody lets us read it.
    Fault(String),
    /// The file system failed.
    Failed(String),
}

impl Unread {
    fn of(name: &str, error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Unread::Changed,
            // It is a link by now.
            _ if Errno::from_io_error(error) == Some(Errno::LOOP) => Unread::Changed,
            // What would let us read it changes how it looks.
            ErrorKind::PermissionDenied => Unread::Fault(format!("{name}: {error}")),
            _ => Unread::Failed(format!("{name}: {error}")),
        }
    }
}

/// The text of a file that has these `looks`, and its SHA-256.
pub(super) fn read(path: &Path, looks: Looks) -> Result<(String, Vec<u8>), Unread> {
    read_while(path, looks, || {})
}

/// The same, with what happens to the file before the end.
fn read_while(path: &Path, looks: Looks, meanwhile: impl FnOnce()) -> Result<(String, Vec<u8>), Unread> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let failed = |error: std::io::Error| Unread::of(&name, &error);
    // A link that took the file's place leads where it should not, and a pipe would hold us up.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(failed)?;
    let still = || file.metadata().map(|found| found.is_file() && Looks::of(&found) == looks).map_err(failed);
    if !still()? {
        return Err(Unread::Changed);
    }
    if looks.bytes > FILE_BYTES_MAX {
        let told = format!("{name}: found {} bytes, expected at most {FILE_BYTES_MAX}", looks.bytes);
        return Err(Unread::Fault(told));
    }
    let mut bytes = Vec::new();
    (&file).take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    meanwhile();
    // Who writes at this very moment has made half a file of it.
    if !still()? {
        return Err(Unread::Changed);
    }
    let digest = digest(&SHA256, &bytes).as_ref().to_vec();
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        Unread::Fault(format!("{name}:{line}: found bytes that are not UTF-8, expected a text file in UTF-8"))
    })?;
    Ok((text, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_to_while_it_is_read_is_not_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.md");
        std::fs::write(&path, "Half").expect("writable");
        let looks = || list(folder.path()).expect("readable").files["a.md"];
        let half = looks();
        let write = || std::fs::write(&path, "The whole").expect("writable");
        assert_eq!(read_while(&path, half, write), Err(Unread::Changed));
        assert_eq!(read(&path, half), Err(Unread::Changed), "nor if it was written to before");
        assert_eq!(read(&path, looks()).expect("at rest").0, "The whole");
    }

    #[test]
    fn a_link_or_a_pipe_in_the_place_of_a_file_is_not_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [secret, link, pipe] = ["secret.md", "link.md", "pipe.md"].map(|name| folder.path().join(name));
        std::fs::write(&secret, "Secret").expect("writable");
        let looks = list(folder.path()).expect("readable").files["secret.md"];
        std::os::unix::fs::symlink(&secret, &link).expect("writable");
        assert_eq!(read(&link, looks), Err(Unread::Changed));

        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .expect("writable");
        let looks = Looks::of(&std::fs::symlink_metadata(&pipe).expect("it is there"));
        // Nobody writes into it, so who waits for that waits for ever; here it is only so long that a failure ends.
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || tell.send(read(&pipe, looks)));
        assert_eq!(told.recv_timeout(std::time::Duration::from_secs(20)), Ok(Err(Unread::Changed)));
    }

    #[test]
    fn what_the_file_system_fails_at_is_no_fault_of_the_file() {
        let of = |kind: ErrorKind| Unread::of("a.md", &kind.into());
        assert_eq!(of(ErrorKind::NotFound), Unread::Changed);
        assert!(matches!(of(ErrorKind::PermissionDenied), Unread::Fault(_)));
        assert!(matches!(of(ErrorKind::StaleNetworkFileHandle), Unread::Failed(_)));
        assert!(matches!(of(ErrorKind::Other), Unread::Failed(_)));
    }

    #[test]
    fn a_file_is_young_until_it_has_lain_for_long_enough() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("a.md"), "").expect("writable");
        let looks = list(folder.path()).expect("readable").files["a.md"];
        let (s, ns) = looks.changed;
        assert!(Looks { changed: (s + 60, ns), ..looks }.is_young(), "another clock tells nothing of its age");
        assert!(!Looks { changed: (s - 60, ns), ..looks }.is_young());
    }
}
