//! Notices with the whole text: as much of it as mail programs show.

use super::{Frame, HTML_BYTES_MAX, Said};
use crate::domain::Fault;
use crate::wire::html;
use minijinja::context;
use minijinja::value::Value;

/// Behind so many bytes at the latest a line of quoted-printable ends.
const LINE_BYTES: usize = 73;
/// What its end takes.
const LINE_END_BYTES: usize = 3;
/// Less of a text than this, as it is sent, says less than its summary.
const TEXT_BYTES_MIN: usize = 2_000;

/// `values` of a notice with the text, where notices have it. It gets what room the templates of this `kind` leave, so that
/// the HTML part as it is sent stays below [`HTML_BYTES_MAX`]. Errors: a template has a mistake.
pub(super) fn with_text(frame: &Frame<'_>, kind: &str, values: Value, said: &Said) -> Result<Value, Fault> {
    let Some(body) = &said.body else { return Ok(with(values, None)) };
    let around = with(values.clone(), Some(&html::Shortened { html: " ".to_owned(), is_cut: true }));
    let around = frame.templates.render(frame.language, &format!("{kind}.html"), &around)?;
    let room = HTML_BYTES_MAX.saturating_sub(sent_bytes(&around) + 2 * LINE_END_BYTES);
    let room = room * LINE_BYTES / (LINE_BYTES + LINE_END_BYTES);
    if room < TEXT_BYTES_MIN {
        return Ok(with(values, None));
    }
    let shown = html::for_mail(&body.html, room, encoded_bytes);
    let is_cut = body.is_cut || shown.is_cut;
    Ok(with(values, Some(&html::Shortened { is_cut, ..shown })))
}

/// `values` and these three.
pub(super) fn with(values: Value, body: Option<&html::Shortened>) -> Value {
    let text = context! {
        html_body => body.map(|body| Value::from_safe_string(body.html.clone())),
        text_body => body.map(|body| html::text(&body.html).trim().to_owned()),
        is_cut => body.is_some_and(|body| body.is_cut),
    };
    context! { ..values, ..text }
}

/// What `text` comes to in quoted-printable (RFC 2045 §6.7) before it is broken into lines: whatever is not plain ASCII
/// takes three bytes.
fn encoded_bytes(text: &str) -> usize {
    let one = |byte| match byte {
        b'=' => 3,
        b' '..=b'~' => 1,
        b'\n' => 2,
        _ => 3,
    };
    text.bytes().map(one).sum()
}

/// The same in lines, as it is sent.
pub(super) fn sent_bytes(text: &str) -> usize {
    let bytes = encoded_bytes(text);
    bytes + LINE_END_BYTES * bytes.div_ceil(LINE_BYTES)
}
