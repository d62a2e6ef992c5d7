//! The folder of signing keys: one TOML file a key, named after its selector, and the key itself in a file of its own.

use super::feeds::toml_files;
use super::keys::{self, DKIM};
use super::mail::Secret;
use super::mistakes::Mistakes;
use super::section::{Section, Source};
use super::tidy;
use crate::domain::{Address, Fault, Time, parse_time};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};

/// A key that signs mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimKey {
    /// File it is described in, as messages call it.
    pub file: PathBuf,
    /// Its name in the DNS, below `_domainkey` of the domain.
    pub selector: String,
    /// Domain that signs.
    pub domain: String,
    /// The private key in PEM.
    pub pem: Secret,
    /// Signs from then on.
    pub not_before: Option<Time>,
    /// Signs until then.
    pub not_after: Option<Time>,
}

/// Reads every `*.toml` in `folder`; `own_domain` signs where none is named. A folder that is not there has none.
pub(super) fn load(folder: &Path, own_domain: &str, mistakes: &mut Mistakes) -> Vec<DkimKey> {
    let shown = tidy(folder);
    let files = match toml_files(folder) {
        Ok(files) => files,
        // `tidings mail dkim --create` makes it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            mistakes.add(&shown, None, Fault::new("mail.dkim_folder", error.to_string(), "a readable folder"));
            return Vec::new();
        }
    };
    let named = |file: PathBuf| {
        let shown = shown.join(file.file_name().unwrap_or_default());
        key(&file, shown, own_domain, mistakes)
    };
    files.into_iter().filter_map(named).collect()
}

/// Is `text` a selector: labels of letters, digits and hyphens? RFC 6376 §3.1.
pub fn is_selector(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 128 && text.split('.').all(is_label)
}

fn key(file: &Path, shown: PathBuf, own_domain: &str, mistakes: &mut Mistakes) -> Option<DkimKey> {
    let source = Source::read(file, shown.clone(), mistakes)?;
    let table = source.parse(mistakes)?;
    let mut section = Section::open(&source, &table, DKIM, mistakes);
    let selector = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if !is_selector(&selector) {
        section.mistake(&keys::DKIM_KEY_FILE, format!("a file named \"{selector}\""), "a name such as 2026a.toml");
        return None;
    }
    // What is a domain is tested as in an address.
    let domain = |text: &str| {
        let address = Address::parse("domain", &format!("a@{text}")).ok()?;
        address.as_str().split_once('@').map(|(_, domain)| domain.to_owned())
    };
    let domain = match section.has(&keys::DKIM_DOMAIN) {
        true => section.parsed(&keys::DKIM_DOMAIN, domain),
        false => Some(own_domain.to_owned()),
    };
    let day = |text: &str| parse_time("day", text, &TimeZone::UTC).ok();
    let not_before = section.parsed(&keys::DKIM_NOT_BEFORE, day);
    let not_after = section.parsed(&keys::DKIM_NOT_AFTER, day);
    let pem_file = section.path(&keys::DKIM_KEY_FILE).unwrap_or_else(|| file.with_extension("pem"));
    let pem = match std::fs::read_to_string(&pem_file) {
        Ok(pem) => Secret::new(pem),
        Err(error) => {
            let found = format!("no readable file ({})", error.kind());
            section.mistake(&keys::DKIM_KEY_FILE, found, keys::DKIM_KEY_FILE.form.expected());
            return None;
        }
    };
    Some(DkimKey { file: shown, selector, domain: domain?, pem, not_before, not_after })
}
