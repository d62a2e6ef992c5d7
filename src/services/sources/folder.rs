//! A folder of article files: what lies in it, and what the files hold.

use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
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
}

/// The article files in `folder`: `*.md`, without hidden ones. Links are left out: who may write into the folder need
/// not be allowed to have any file published that the daemon can read.
pub(super) fn list(folder: &Path) -> std::io::Result<BTreeMap<String, Looks>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !name.ends_with(".md") || name.starts_with('.') {
            continue;
        }
        match entry.metadata() {
            Ok(found) if found.is_file() => {
                files.insert(name, Looks::of(&found));
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// A file's text and its SHA-256.
pub(super) fn read(path: &Path) -> Result<(String, Vec<u8>), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let length = std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?.len();
    if length > FILE_BYTES_MAX {
        return Err(format!("{name}: found {length} bytes, expected at most {FILE_BYTES_MAX}"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("{name}: {error}"))?;
    let digest = digest(&SHA256, &bytes).as_ref().to_vec();
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            1 + error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        format!("{name}:{line}: found bytes that are not UTF-8, expected a text file in UTF-8")
    })?;
    Ok((text, digest))
}
