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

/// Looks into `folder` again and again, until `stop`.
pub(super) async fn run(folder: PathBuf, returns: Arc<Returns>, stop: CancellationToken) {
    let mut told = None;
    while !stop.is_cancelled() {
        match step(&folder, &returns).await {
            Ok(FILES_MAX) => continue,
            Ok(_) => told = None,
            // The same trouble is told once, not every ten seconds.
            Err(trouble) if told.as_ref() == Some(&trouble) => {}
            Err(trouble) => {
                tracing::error!("{trouble}");
                told = Some(trouble);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Reads what is new; returns how many files there were. A file is moved only when what follows from it is durable: one
/// that is read twice, after a crash, changes nothing the second time.
///
/// Errors: a sentence that names the file. The files behind it wait.
pub(super) async fn step(folder: &Path, returns: &Returns) -> Result<usize, String> {
    let files = new_files(folder).map_err(|error| format!("{}: {error}", folder.join("new").display()))?;
    for file in &files {
        let trouble = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
        let mail = beginning(file).map_err(|error| trouble(&error))?;
        let taken = match returns.recipient_in(&mail) {
            Some(recipient) => returns.take(&recipient, &mail).await.map_err(|error: StoreError| trouble(&error))?,
            None => Taken::ForAPerson,
        };
        let flags = match taken {
            Taken::Done => "S",
            Taken::ForAPerson => "",
        };
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let seen = folder.join("cur").join(format!("{}:2,{flags}", name.split(':').next().unwrap_or(&name)));
        fs::rename(file, seen).map_err(|error| trouble(&error))?;
    }
    Ok(files.len())
}

fn new_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder.join("new"))?.take(FILES_MAX);
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    Ok(files)
}

fn beginning(file: &Path) -> io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    File::open(file)?.take(INCOMING_BYTES_MAX as u64).read_to_end(&mut mail)?;
    Ok(mail)
}
