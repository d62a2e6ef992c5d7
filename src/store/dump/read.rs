//! Import.

use super::kinds::{KINDS, key_from_text};
use super::{DumpError, Header, Line, Summary, Trailer, VERSION};
use crate::domain::hex;
use crate::store::kv::{Batch, Kv};
use crate::store::log::LOG_CHECK_KEY;
use crate::store::sled::Sled;
use crate::store::sled::journal::JOURNAL_BYTES;
use crate::store::sled::open::{ENGINE, HEAD, sync_folder, sync_tree};
use crate::store::{Store, StoreError, Table, check, epoch, lock, wait};
use aws_lc_rs::digest::{Context, SHA256};
use std::io::{BufRead, Read};
use std::path::Path;

/// A line holds one value, whose text may be longer than its stored form.
const LINE_BYTES_MAX: u64 = 64 << 20;
/// Rows are committed in batches of about this size: few enough syncs, little to hold.
const BATCH_BYTES: usize = 1 << 20;
/// The store is built here, beside the place it gets when it is whole.
const IMPORTING: &str = ".importing";

/// Makes the store of an export in `folder`, which holds no store yet, or one without anything in it.
/// Until it is whole and checked, nothing but a folder of its own is touched.
///
/// Errors: [`DumpError`]; what is wrong with the export names the line.
pub fn import(folder: &Path, export: &mut dyn BufRead) -> Result<Summary, DumpError> {
    expect_empty(folder)?;
    let lock = lock(folder)?;
    let building = folder.join(IMPORTING);
    remove(&building)?;
    std::fs::create_dir_all(&building)?;
    let summary = match build(&building, export) {
        Ok(summary) => summary,
        Err(error) => {
            // The reason is what counts; what cannot be removed now is removed by the next import.
            let _ = remove(&building);
            return Err(error);
        }
    };
    sync_tree(&building)?;
    remove(&folder.join(ENGINE))?;
    match std::fs::remove_file(folder.join(HEAD)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    for name in [ENGINE, HEAD] {
        std::fs::rename(building.join(name), folder.join(name))?;
        sync_folder(folder)?;
    }
    remove(&building)?;
    drop(lock);
    Ok(summary)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Nothing is overwritten: a store that is there has to be empty.
fn expect_empty(folder: &Path) -> Result<(), DumpError> {
    if !folder.join(ENGINE).exists() && !folder.join(HEAD).exists() {
        return Ok(());
    }
    let store = Store::open(folder)?;
    for table in Table::ALL {
        let rows = store.kv().range(table, crate::store::kv::Range::prefix(*b"").limit(2))?;
        if rows.iter().any(|(key, _)| table != Table::Meta || (key != b"identity" && key != epoch::KEY)) {
            let what = "there is a store with content already; import into an empty folder";
            return Err(DumpError::Occupied(format!("{}: {what}", folder.display())));
        }
    }
    Ok(())
}

fn build(folder: &Path, export: &mut dyn BufRead) -> Result<Summary, DumpError> {
    let kv = Sled::open(folder, JOURNAL_BYTES)?;
    let mut lines = Lines { export, digest: Context::new(&SHA256), number: 0, text: Vec::new() };
    let header: Header = match lines.next()? {
        Some(text) => {
            serde_json::from_slice(&text).map_err(|_| lines.fault("not the first line of a tidings export"))?
        }
        None => return Err(lines.fault("the file is empty")),
    };
    if header.tidings_export != VERSION {
        let what = format!("export of version {}, this tidings reads version {VERSION}", header.tidings_export);
        return Err(lines.fault(what));
    }
    let mut summary = Summary { head: 0, articles: 0, rows: 0 };
    let mut batch = Batch::default();
    let end = loop {
        let before = lines.digest.clone();
        let Some(text) = lines.next()? else {
            return Err(lines.fault("the file ends without its last line: it was cut off"));
        };
        if text.starts_with(b"{\"end\":") {
            let trailer: Trailer = serde_json::from_slice(&text).map_err(|error| lines.fault(error.to_string()))?;
            if trailer.end.sha256 != hex(before.finish().as_ref()) || trailer.end.rows != summary.rows {
                return Err(lines.fault("the checksum does not fit: the file was changed or a part of it is missing"));
            }
            break lines.next()?;
        }
        row(&text, &mut batch, &mut summary).map_err(|what| lines.fault(what))?;
        if batch.bytes() >= BATCH_BYTES {
            wait(kv.commit(std::mem::take(&mut batch), None))?;
        }
    };
    if end.is_some() {
        return Err(lines.fault("something stands behind the last line"));
    }
    wait(kv.commit(batch, None))?;
    if (summary.head, summary.articles) != (header.head, header.articles) {
        let what = format!(
            "{} changes and {} articles, expected {} and {}",
            summary.head, summary.articles, header.head, header.articles
        );
        return Err(lines.fault(what));
    }
    let report = check::inspect(&*kv.snapshot()?);
    if let Some(first) = report.findings.first() {
        let what = format!("the imported store is not whole: {:?} {:?}: {}", first.table, first.key, first.what);
        return Err(StoreError::Engine(what).into());
    }
    kv.close();
    Ok(summary)
}

fn row(text: &[u8], batch: &mut Batch, summary: &mut Summary) -> Result<(), String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    summary.rows += 1;
    let key = match (line.table, line.seq, line.key) {
        (Table::Log, Some(seq), None) if seq == summary.head + 1 => {
            summary.head = seq;
            LOG_CHECK_KEY.to_vec()
        }
        (Table::Log, Some(seq), None) => return Err(format!("`seq`: found {seq}, expected {}", summary.head + 1)),
        (Table::Log, _, _) => return Err("a log entry has `seq` and no `key`".into()),
        (_, None, Some(key)) => key_from_text(&key)
            .ok_or_else(|| format!("`key`: found {key:?}, expected \\xNN or \\\\ behind a backslash"))?,
        (_, _, _) => return Err("a row has `key` and no `seq`".into()),
    };
    let value = match (line.kind, line.value) {
        (None, None) => Vec::new(),
        (Some(name), Some(value)) => {
            let kind = KINDS.iter().find(|kind| kind.name == name);
            let kind = kind.ok_or_else(|| format!("`kind`: found {name:?}, which this tidings does not know"))?;
            (kind.from_json)(&key, value).map_err(|error| format!("`value`: {error}"))?
        }
        (_, _) => return Err("`kind` and `value` come together".into()),
    };
    summary.articles += u64::from(line.table == Table::Articles);
    if line.table == Table::Log {
        batch.append(value);
    } else {
        batch.put(line.table, key, value);
    }
    Ok(())
}

struct Lines<'a> {
    export: &'a mut dyn BufRead,
    digest: Context,
    number: u64,
    text: Vec<u8>,
}

impl Lines<'_> {
    /// The next line with its line end; none at the end of the file.
    fn next(&mut self) -> Result<Option<Vec<u8>>, DumpError> {
        self.text.clear();
        self.number += 1;
        let mut limited = (&mut *self.export).take(LINE_BYTES_MAX);
        limited.read_until(b'\n', &mut self.text)?;
        if self.text.is_empty() {
            return Ok(None);
        }
        if !self.text.ends_with(b"\n") {
            return Err(self.fault("the line has no end: the file was cut off"));
        }
        self.digest.update(&self.text);
        Ok(Some(std::mem::take(&mut self.text)))
    }

    fn fault(&self, what: impl Into<String>) -> DumpError {
        DumpError::Line { line: self.number, what: what.into() }
    }
}
