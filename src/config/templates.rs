//! The folder of the newsroom's own mail templates and messages. Read at the start, and again when the daemon is told to
//! reload; what stands in the files is looked at by [`crate::wire`], which knows the built-in ones.

use super::mistakes::Mistakes;
use super::tidy;
use crate::domain::Fault;
use std::path::{Path, PathBuf};

/// A file of the folder.
#[derive(Debug, Clone)]
pub struct TemplateFile {
    /// As messages call it.
    pub shown: PathBuf,
    /// Its name in the folder: `notice.html`, or `locales/ru.ftl`.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// The folder in the folder that has the newsroom's own messages.
const LOCALES: &str = "locales";

/// The largest mail template is some 2 KB; one of this size is something else.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// All files of `folder`, in the order of their names, and what is wrong with those that cannot be read. Hidden files are
/// what editors leave behind.
pub fn template_files(folder: &Path) -> (Vec<TemplateFile>, Mistakes) {
    let (mut files, mut mistakes) = (Vec::new(), Mistakes::default());
    let shown = tidy(folder);
    gather(folder, &shown, "", &mut files, &mut mistakes);
    files.sort_by(|a, b| a.name.cmp(&b.name));
    (files, mistakes)
}

fn gather(folder: &Path, shown: &Path, before: &str, files: &mut Vec<TemplateFile>, mistakes: &mut Mistakes) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            let fault = Fault::new("mail.templates", error.to_string(), "a readable folder");
            return mistakes.add(shown, None, fault);
        }
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (shown, name) = (shown.join(&own), format!("{before}{own}"));
        if own.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if name == LOCALES {
                gather(&path, &shown, "locales/", files, mistakes);
            } else {
                mistakes.add(&shown, None, Fault::new("file", "a folder", "files, and a folder locales of messages"));
            }
            continue;
        }
        match read(&path) {
            Ok(text) => files.push(TemplateFile { shown, name, text }),
            Err(found) => mistakes.add(&shown, None, Fault::new("file", found, "a file of UTF-8 text of up to 256 KB")),
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = path.metadata().map_err(|error| error.to_string())?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(format!("{bytes} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}
