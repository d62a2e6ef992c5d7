//! Export.

use super::kinds::{KINDS, key_to_text};
use super::{DumpError, End, Header, Line, Summary, Trailer, VERSION};
use crate::domain::hex;
use crate::store::log::LOG_CHECK_KEY;
use crate::store::record::{self, readable};
use crate::store::{Store, StoreError, Table};
use aws_lc_rs::digest::{Context, SHA256};
use serde::Serialize;
use std::io::Write;

/// Writes the whole store, as it stands at the moment of the call, while others go on writing.
///
/// Errors: [`DumpError`]; a record that cannot be read ends it, since an export with a hole would pass for a whole one.
pub fn export(store: &Store, out: &mut dyn Write) -> Result<Summary, DumpError> {
    let snapshot = store.kv().snapshot()?;
    let mut lines = Lines { out, digest: Context::new(&SHA256), line: Vec::new() };
    let mut summary = Summary { head: snapshot.head().0, articles: snapshot.articles(), rows: 0 };
    lines.write(&Header {
        tidings_export: VERSION,
        instance: store.identity().instance.clone(),
        head: summary.head,
        articles: summary.articles,
    })?;
    let mut articles = 0;
    for table in Table::ALL {
        snapshot.each(table, |key, value| {
            summary.rows += 1;
            articles += u64::from(table == Table::Articles);
            lines.write(&line(table, key, &value?)?)
        })?;
    }
    if articles != summary.articles {
        let what = format!("{articles} articles are there, {} were counted; see `check`", summary.articles);
        return Err(StoreError::Engine(what).into());
    }
    let sha256 = hex(lines.digest.clone().finish().as_ref());
    lines.write(&Trailer { end: End { rows: summary.rows, sha256 } })?;
    lines.out.flush()?;
    Ok(summary)
}

struct Lines<'a> {
    out: &'a mut dyn Write,
    digest: Context,
    line: Vec<u8>,
}

impl Lines<'_> {
    fn write(&mut self, line: &impl Serialize) -> Result<(), DumpError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line).map_err(std::io::Error::from)?;
        self.line.push(b'\n');
        self.digest.update(&self.line);
        self.out.write_all(&self.line)?;
        Ok(())
    }
}

fn line(table: Table, key: &[u8], value: &[u8]) -> Result<Line, DumpError> {
    let mut line = Line { table, seq: None, key: None, kind: None, value: None };
    let mut check_key = key;
    match (table, <[u8; 8]>::try_from(key)) {
        (Table::Log, Ok(seq)) => {
            line.seq = Some(u64::from_be_bytes(seq));
            check_key = LOG_CHECK_KEY;
        }
        (_, _) => line.key = Some(key_to_text(key)),
    }
    if !value.is_empty() {
        let fault = |what: String| StoreError::Record { table, key: readable(key), what };
        let letter = record::kind(check_key, value).map_err(fault)?;
        let known = KINDS.iter().find(|kind| kind.letter == letter);
        let kind = known.ok_or_else(|| fault(format!("a record of kind {:?}, which is not known", letter as char)))?;
        line.kind = Some(kind.name.to_owned());
        line.value = Some((kind.to_json)(table, check_key, value)?);
    }
    Ok(line)
}
