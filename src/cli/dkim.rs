//! Keys that sign mail: made, and shown as the DNS records to publish. Works on files alone; a daemon that runs reads
//! new keys when it is started again.

use super::Outcome;
use super::failure::Failure;
use crate::config::{self, DkimKey, is_selector};
use crate::domain::{Clock, Problem};
use crate::wire::mail::dkim::{Algorithm, SigningKey};
use anyhow::{Context as _, anyhow};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Kind of a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// 2,048 bits: every receiver verifies it
    Rsa,
    /// Shorter and faster; have an RSA key beside it
    Ed25519,
}

/// Strings in a TXT record have 255 bytes at most (RFC 1035 §3.3).
const STRING_BYTES_MAX: usize = 255;

/// `tidings mail dkim`.
pub(super) fn run(
    config_file: &Path,
    create: Option<&str>,
    kind: Kind,
    out: &mut dyn Write,
) -> Result<Outcome, Failure> {
    if let Some(selector) = create {
        let mail = config::load(config_file)?.mail;
        let folder = mail.dkim_folder.ok_or_else(|| {
            Problem::field("mail.dkim_folder", "nothing", "a folder for the keys, named in the configuration")
        })?;
        make(&folder, selector, kind)?;
    }
    let mail = config::load(config_file)?.mail;
    let now = Clock::system().now();
    for key in &mail.dkim {
        let DkimKey { file, selector, domain, pem, not_before, not_after } = key;
        let pair = SigningKey::from_pem(domain, selector, pem.expose(), *not_before, *not_after)
            .map_err(|found| Problem::field(file.display().to_string(), found, "a private key of RSA or Ed25519"))?;
        let (name, record) = pair.record().map_err(|_| anyhow!("{}: no public key", file.display()))?;
        let strings: Vec<&str> =
            record.as_bytes().chunks(STRING_BYTES_MAX).filter_map(|part| std::str::from_utf8(part).ok()).collect();
        writeln!(out, "{name}. IN TXT ( \"{}\" )", strings.join("\" \""))?;
        if !pair.is_active(now) {
            writeln!(out, "; it does not sign now: see not_before and not_after in {}", file.display())?;
        }
    }
    writeln!(out, "; {} keys", mail.dkim.len())?;
    Ok(Outcome::Done)
}

/// Writes a new key and its description; nothing that is there is overwritten.
fn make(folder: &Path, selector: &str, kind: Kind) -> Result<(), Failure> {
    if !is_selector(selector) {
        return Err(Problem::field("create", format!("\"{selector}\""), "a name such as 2026a").into());
    }
    let pem = SigningKey::create(match kind {
        Kind::Rsa => Algorithm::Rsa,
        Kind::Ed25519 => Algorithm::Ed25519,
    });
    let pem = pem.map_err(|_| anyhow!("no randomness for a key"))?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    for (name, mode, text) in [
        (format!("{selector}.pem"), 0o600, pem.as_str()),
        (format!("{selector}.toml"), 0o644, "# Publish the key's DNS record before it signs: `tidings mail dkim`.\n"),
    ] {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let mut file: File = file.with_context(|| path.display().to_string())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    Ok(())
}
