//! Answers that are ready to be sent: each thread keeps those of this second. A feed that is asked for often is then
//! one look-up and one system call.

use crate::services::feeds::Built;
use crate::web::feeds::{Answer, Choice};
use axum::http::StatusCode;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::{Arc, Weak};
use std::time::{Duration, UNIX_EPOCH};

/// Answers kept. Two whose place is the same drive each other out, which costs each a new head and nothing else.
const PLACES: usize = 64;
/// A shorter body is copied behind its head; from here on copying costs more than sending from a file.
pub(super) const FILE_BYTES_MIN: usize = 4 << 10;
/// An answer is sent so often in one second before it becomes a file: then making the file costs next to nothing.
const FILE_USES: u32 = 16;
/// All files of a thread together. What does not fit is copied, as is all that is asked for less often.
const FILES_BYTES_MAX: usize = 4 << 20;

/// The answers of one thread.
pub(super) struct Ready {
    second: i64,
    /// As HTTP writes it.
    date: String,
    places: Vec<Option<Prepared>>,
    files_bytes: usize,
}

struct Prepared {
    /// Weak, so that bytes that were replaced do not stay. As long as it stands no other has the same address.
    built: Weak<Built>,
    choice: Choice,
    /// Without the empty line at its end, where a line may be added.
    head: Vec<u8>,
    uses: u32,
    file: Option<(Arc<File>, usize)>,
}

/// How an answer is to be sent.
pub(super) enum Form<'a> {
    /// This head and, behind the empty line that it lacks, the body.
    Bytes(&'a [u8]),
    /// A file in memory with all of it, so many bytes, that the kernel sends from without copying.
    File(&'a Arc<File>, usize),
}

impl Ready {
    pub(super) fn new() -> Self {
        Ready { second: i64::MIN, date: String::new(), places: Vec::new(), files_bytes: 0 }
    }

    /// The answer that `choice` of `built` is in the second `now_s`; as bytes, if something is to be added to its head.
    pub(super) fn answer(&mut self, built: &Arc<Built>, choice: Choice, is_head_open: bool, now_s: i64) -> Form<'_> {
        if self.second != now_s {
            self.begin(now_s);
        }
        // Objects of this size lie some hundreds of bytes apart.
        let place = ((Arc::as_ptr(built) as usize >> 7) + choice.number()) % PLACES;
        let place = &mut self.places[place];
        let is_it = |known: &Prepared| Weak::as_ptr(&known.built) == Arc::as_ptr(built) && known.choice == choice;
        if !place.as_ref().is_some_and(is_it) {
            let gone = place.take().and_then(|gone| gone.file);
            self.files_bytes -= gone.map_or(0, |(_, bytes)| bytes);
        }
        let prepared = place.get_or_insert_with(|| Prepared {
            built: Arc::downgrade(built),
            choice,
            head: head(&Answer::new(choice, built, now_s), &self.date),
            uses: 0,
            file: None,
        });
        prepared.uses += 1;
        if prepared.uses == FILE_USES {
            let body = choice.body(built);
            let bytes = prepared.head.len() + b"\r\n".len() + body.len();
            if body.len() >= FILE_BYTES_MIN && self.files_bytes + bytes <= FILES_BYTES_MAX {
                // Without it the answer is copied, which is as good but for its cost.
                prepared.file = file(&[&prepared.head, b"\r\n", body]).ok().map(|file| (Arc::new(file), bytes));
                self.files_bytes += prepared.file.as_ref().map_or(0, |(_, bytes)| *bytes);
            }
        }
        match &prepared.file {
            Some((file, bytes)) if !is_head_open => Form::File(file, *bytes),
            Some(_) | None => Form::Bytes(&prepared.head),
        }
    }

    /// Another second, another date: nothing of the last one holds.
    fn begin(&mut self, now_s: i64) {
        self.second = now_s;
        self.date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now_s.max(0).unsigned_abs()));
        self.places.clear();
        self.places.resize_with(PLACES, || None);
        self.files_bytes = 0;
    }
}

/// The head of an answer, its fields in the form and order that hyper gives them.
fn head(answer: &Answer, date: &str) -> Vec<u8> {
    let status = answer.status;
    let mut head =
        format!("HTTP/1.1 {} {}\r\n", status.as_str(), status.canonical_reason().unwrap_or("-")).into_bytes();
    for (name, value) in &answer.fields {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    if status != StatusCode::NOT_MODIFIED {
        head.extend_from_slice(format!("content-length: {}\r\n", answer.body.len()).as_bytes());
    }
    head.extend_from_slice(format!("date: {date}\r\n").as_bytes());
    head
}

fn file(parts: &[&[u8]]) -> io::Result<File> {
    let mut file = File::from(memfd_create("answer", MemfdFlags::CLOEXEC)?);
    parts.iter().try_for_each(|part| file.write_all(part))?;
    Ok(file)
}
