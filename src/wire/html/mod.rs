//! placeholder replaced by the wire branch
/// Plain text of at most `chars_max` characters from the beginning of `html`; none where it holds no text.
pub fn summary(html: &str, chars_max: usize) -> Option<String> {
    let text = html2text::config::plain_no_decorate().string_from_read(html.as_bytes(), 10_000).ok()?;
    let line = crate::domain::clean_line(&text);
    (!line.is_empty()).then(|| line.chars().take(chars_max).collect())
}
