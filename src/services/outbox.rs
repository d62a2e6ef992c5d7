//! Mails as files: for newsrooms that hand them on by other means, and for trying things out.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Writes the mail `name` into `folder`, durably and whole or not at all. The same mail written twice is one file.
/// Returns the file's name. Errors: a sentence that names the folder.
pub(super) async fn write(folder: PathBuf, name: String, bytes: Vec<u8>) -> Result<String, String> {
    let place = folder.display().to_string();
    let written = tokio::task::spawn_blocking(move || write_file(&folder, &name, &bytes)).await;
    match written {
        Ok(Ok(name)) => Ok(name),
        Ok(Err(error)) => Err(format!("{place}: {error}")),
        Err(panic) => Err(format!("{place}: {panic}")),
    }
}

/// Takes the mails out of `folder` that [`write()`] gave these names. What else `names` has, such as a server's replies, is
/// nobody's file.
pub(super) async fn forget(folder: PathBuf, names: Vec<String>) {
    let is_file = |name: &String| name.ends_with(".eml") && !name.contains(['/', '\0']);
    let names: Vec<String> = names.into_iter().filter(is_file).collect();
    if names.is_empty() {
        return;
    }
    let forgotten = tokio::task::spawn_blocking(move || {
        for path in names.iter().map(|name| folder.join(name)) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!("{}: a mail that is to be erased is still there: {error}", path.display());
                }
                Ok(()) | Err(_) => {}
            }
        }
    });
    if let Err(panic) = forgotten.await {
        tracing::error!("mails that are to be erased may still be in the outbox: {panic}");
    }
}

fn write_file(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<String> {
    // Whoever reads a mail can press its buttons.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let (draft, path) = (folder.join(format!(".{name}.part")), folder.join(format!("{name}.eml")));
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, &path)?;
    File::open(folder)?.sync_all()?;
    Ok(format!("{name}.eml"))
}
