//! A Maildir into which a mail server delivers: what is in `new` is read and moved to `cur`, marked as seen if something
//! followed from it, so that what is for a person stays unread.

use super::{Returns, Taken};
use crate::store::StoreError;
use crate::wire::mail::incoming::INCOMING_BYTES_MAX;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Bounces are in no hurry.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Files that are read in one step.
const FILES_MAX: usize = 256;

/// What a look into the folder came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Mails that were read, and what follows from them done.
    pub read: usize,
    /// The first that could not be, and why. It stays where it is, and those beside it were read.
    pub trouble: Option<String>,
}

/// Looks into `folder` again and again, until `stop`.
pub(super) async fn run(folder: PathBuf, returns: Arc<Returns>, stop: CancellationToken) {
    let mut told = None;
    while !stop.is_cancelled() {
        let looked = step(&folder, &returns).await;
        // The same trouble is told once, not every ten seconds.
        if let Some(trouble) = looked.trouble.as_ref().filter(|_| told != looked.trouble) {
            tracing::error!("{trouble}");
        }
        told = looked.trouble;
        if looked.read == FILES_MAX {
            continue;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Reads what is new. A file is moved only when what follows from it is durable: one that is read twice, after a crash,
/// changes nothing the second time.
pub(super) async fn step(folder: &Path, returns: &Returns) -> Looked {
    let mut looked = Looked::default();
    let new = folder.join("new");
    let entries = match fs::read_dir(&new) {
        Ok(entries) => entries,
        Err(error) => return Looked { trouble: Some(format!("{}: {error}", new.display())), ..looked },
    };
    for entry in entries {
        let taken = match entry {
            Ok(entry) => take(folder, &entry.path(), returns).await,
            Err(error) => Err(Trouble::File(format!("{}: {error}", new.display()))),
        };
        match taken {
            Ok(()) => looked.read += 1,
            Err(Trouble::File(trouble)) => drop(looked.trouble.get_or_insert(trouble)),
            Err(Trouble::Store(trouble)) => return Looked { trouble: Some(trouble), ..looked },
        }
        if looked.read == FILES_MAX {
            break;
        }
    }
    looked
}

/// A sentence that names the file.
enum Trouble {
    /// With this one file.
    File(String),
    /// With our store, which will have it with the next one too.
    Store(String),
}

async fn take(folder: &Path, file: &Path, returns: &Returns) -> Result<(), Trouble> {
    let trouble = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mail = match beginning(file) {
        // Somebody reads this folder as well.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        mail => mail.map_err(|error| Trouble::File(trouble(&error)))?,
    };
    let taken = match returns.recipient_in(&mail) {
        Some(recipient) => {
            let taken = returns.take(&recipient, &mail).await;
            taken.map_err(|error: StoreError| Trouble::Store(trouble(&error)))?
        }
        None => Taken::ForAPerson,
    };
    let flags = match taken {
        Taken::Done => "S",
        Taken::ForAPerson => "",
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let seen = folder.join("cur").join(format!("{}:2,{flags}", name.split(':').next().unwrap_or(&name)));
    fs::rename(file, seen).map_err(|error| Trouble::File(trouble(&error)))
}

fn beginning(file: &Path) -> io::Result<Vec<u8>> {
    // Whoever opened a pipe would wait for its other end.
    if !fs::symlink_metadata(file)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut mail = Vec::new();
    File::open(file)?.take(INCOMING_BYTES_MAX as u64).read_to_end(&mut mail)?;
    Ok(mail)
}
