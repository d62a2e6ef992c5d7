//! Style sheets of a newsroom's own templates, written into the elements that they are for: many mail programs read no
//! others.

use super::HTML_BYTES_MAX;
use super::full::sent_bytes;
use css_inline::{CSSInliner, InlineOptions};
use std::sync::LazyLock;

static INLINER: LazyLock<CSSInliner<'static>> = LazyLock::new(|| {
    let options = InlineOptions::default()
        .load_remote_stylesheets(false)
        // What is for narrow screens or dark ones stays a sheet: it cannot stand in an element.
        .keep_at_rules(true);
    CSSInliner::new(options)
});

/// `html` with the rules of its `<style>` elements in the elements themselves. As it is where it has none, where they
/// cannot be read, or where the mail would be clipped: its end, with the way to leave, is worth more.
pub(super) fn inlined(html: String) -> String {
    let has_sheet = html.as_bytes().windows(6).any(|name| name.eq_ignore_ascii_case(b"<style"));
    match has_sheet.then(|| INLINER.inline(&html)) {
        Some(Ok(done)) if sent_bytes(&done) < HTML_BYTES_MAX => done,
        Some(Ok(_) | Err(_)) | None => html,
    }
}
