//! The feeds folder: one TOML file a category. Read at the start, and again when the daemon is told to reload.

use super::keys::{self, FEED};
use super::mistakes::Mistakes;
use super::section::{Section, Source};
use super::{language, tidy};
use crate::domain::{Categories, Category, Fault, Slug};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Reads every `*.toml` in `folder`; `language` holds for categories that name none.
///
/// Errors: all mistakes of all files at once. No file at all, and two files with one slug, are mistakes too.
pub fn load_categories(folder: &Path, language: &str) -> Result<Categories, Mistakes> {
    let shown = tidy(folder);
    let mut mistakes = Mistakes::default();
    let mut categories = Vec::new();
    match toml_files(folder) {
        Ok(files) if files.is_empty() => {
            let expected = "at least one feed definition such as science.toml";
            mistakes.add(&shown, None, Fault::new("feeds.folder", "no *.toml in it", expected));
        }
        Ok(files) => {
            let mut seen = Seen::default();
            for file in files {
                let name = file.file_name().unwrap_or_default();
                categories.extend(category(&file, shown.join(name), language, &mut seen, &mut mistakes));
            }
        }
        Err(e) => mistakes.add(&shown, None, Fault::new("feeds.folder", e.to_string(), "a readable folder")),
    }
    if mistakes.none() { Ok(Categories::new(categories)) } else { Err(mistakes.in_order()) }
}

/// The TOML files of a folder by name. Hidden files are what editors leave behind.
pub(super) fn toml_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Which file took what only one can have.
#[derive(Default)]
struct Seen {
    slugs: BTreeMap<Slug, PathBuf>,
    /// Folders of articles, by the path that they have however they are written.
    folders: BTreeMap<PathBuf, PathBuf>,
}

/// One definition; `seen` knows the others.
fn category(
    file: &Path,
    shown: PathBuf,
    site_language: &str,
    seen: &mut Seen,
    mistakes: &mut Mistakes,
) -> Option<Category> {
    let source = Source::read(file, shown, mistakes)?;
    let table = source.parse(mistakes)?;
    let mut section = Section::open(&source, &table, FEED, mistakes);

    let slug = slug(&mut section, file);
    if let Some(slug) = &slug
        && let Some(other) = seen.slugs.insert(slug.clone(), source.file.clone())
    {
        let found = format!("\"{slug}\", which {} has as well", other.display());
        section.mistake(&keys::FEED_SLUG, found, "a slug of its own");
    }
    let title = section.text(&keys::FEED_TITLE);
    let description = section.text(&keys::FEED_DESCRIPTION);
    let language = section.parsed(&keys::FEED_LANGUAGE, language).unwrap_or_else(|| site_language.to_owned());
    let articles = articles(&mut section, &source, seen);
    let zone = section.parsed(&keys::FEED_TIME_ZONE, |name| TimeZone::get(name).ok());
    let limit = section.whole(&keys::FEED_LIMIT).and_then(|limit| usize::try_from(limit).ok());

    Some(Category {
        slug: slug?,
        title: title?,
        description: description?,
        language,
        articles,
        zone: zone?,
        limit: limit?,
    })
}

/// A folder that exists and is no other feed's: each of its files is one article, with one home.
fn articles(section: &mut Section<'_>, source: &Source, seen: &mut Seen) -> Option<PathBuf> {
    let key = &keys::FEED_ARTICLES;
    let folder = section.path(key)?;
    if !folder.is_dir() {
        let found = format!("{}, which is no folder", tidy(&folder).display());
        section.mistake(key, found, "a folder that exists");
    } else if let Ok(real) = folder.canonicalize()
        && let Some(other) = seen.folders.insert(real, source.file.clone())
    {
        let found = format!("{}, which {} has as well", tidy(&folder).display(), other.display());
        section.mistake(key, found, "a folder of its own");
    }
    Some(folder)
}

/// As written, else the file's own name.
fn slug(section: &mut Section<'_>, file: &Path) -> Option<Slug> {
    let key = &keys::FEED_SLUG;
    let written = section.parsed(key, |text| Some(text.to_owned()));
    if written.is_none() && section.has(key) {
        return None;
    }
    let text = written.unwrap_or_else(|| file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
    Slug::parse(key.name, &text).map_err(|fault| section.mistake(key, fault.found, fault.expected)).ok()
}
