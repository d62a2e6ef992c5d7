//! A server's reply: parsed, and bounded whatever it sends. RFC 5321 §4.2.

use crate::services::mailer::outcome::Failure;

/// A whole reply, of however many lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// Three digits.
    pub(super) code: u16,
    /// Its words without the codes, a line for each of its lines.
    pub(super) text: String,
}

/// Twice what RFC 5321 §4.5.3.1.5 allows.
const LINE_BYTES_MAX: usize = 1_024;
/// An EHLO of a server with every extension there is has some thirty.
const LINES_MAX: usize = 100;

impl Reply {
    /// The reply at the beginning of `bytes`, and its length; none while it has not come whole.
    /// Errors: this is no reply, and never will be.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Failure> {
        let lost = |why: &str| Err(Failure::Lost(why.into()));
        let mut reply: Option<Reply> = None;
        let (mut used, mut lines) = (0, 0);
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(whole) = line.strip_suffix(b"\n") else {
                return if line.len() > LINE_BYTES_MAX { lost("a reply line without end") } else { Ok(None) };
            };
            used += line.len();
            if line.len() > LINE_BYTES_MAX {
                return lost("a reply line that is too long");
            }
            let Some((code, is_last, words)) = split(whole.strip_suffix(b"\r").unwrap_or(whole)) else {
                return lost(&format!("no reply: {}", String::from_utf8_lossy(whole)));
            };
            let words = String::from_utf8_lossy(words);
            let whole = match reply.take() {
                None => Reply { code, text: words.into_owned() },
                Some(mut before) if before.code == code && lines < LINES_MAX => {
                    before.text.push('\n');
                    before.text.push_str(&words);
                    before
                }
                Some(_) => return lost("a reply without end, or with several codes"),
            };
            lines += 1;
            if is_last {
                return Ok(Some((whole, used)));
            }
            reply = Some(whole);
        }
        Ok(None)
    }

    /// Code and words on one line.
    pub(super) fn words(&self) -> String {
        format!("{} {}", self.code, self.text.replace('\n', " "))
    }

    /// Errors: it says no, or nothing that answers what was said.
    pub(super) fn expect(self, hoped: Hoped) -> Result<Self, Failure> {
        let is_right = match hoped {
            Hoped::Done => self.code / 100 == 2,
            Hoped::Login => self.code == 334,
            Hoped::Message => self.code == 354,
        };
        match self.code {
            _ if is_right => Ok(self),
            400..=599 => Err(Failure::Reply { code: self.code, text: self.words() }),
            // Something positive that is no answer to what was said: what follows would be misunderstood.
            _ => Err(Failure::Lost(format!("an answer out of turn: {}", self.words()))),
        }
    }
}

/// What a reply should say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hoped {
    /// It is done.
    Done,
    /// The next part of a login may come.
    Login,
    /// The message may come.
    Message,
}

/// Code, whether the line is the last one, and words.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    let [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = code else { return None };
    let code = code.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.split_first() {
        None => Some((code, true, b"")),
        Some((b' ', words)) => Some((code, true, words)),
        Some((b'-', words)) => Some((code, false, words)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_whole_at_its_last_line_and_not_before() {
        let text = b"250-first\r\n250-\r\n250 last\r\n354 next";
        for cut in 0..text.len() {
            let parsed = Reply::parse(&text[..cut]).unwrap();
            let expected = Reply { code: 250, text: "first\n\nlast".into() };
            assert_eq!(parsed, (cut >= 27).then_some((expected, 27)), "{cut} bytes");
        }
        assert_eq!(Reply::parse(b"421\n").unwrap().unwrap().0.words(), "421 ", "bare codes and line ends are borne");
    }

    #[test]
    fn what_is_no_reply_is_told_and_nothing_grows_without_end() {
        let endless = "250-x\r\n".repeat(LINES_MAX + 1);
        let long = format!("250 {}\r\n", "x".repeat(LINE_BYTES_MAX));
        for wrong in ["hello\r\n", "25\r\n", "650 x\r\n", "250_x\r\n", "250-a\r\n550 b\r\n", "\r\n", &endless, &long] {
            assert!(matches!(Reply::parse(wrong.as_bytes()), Err(Failure::Lost(_))), "{wrong:.40}");
        }
        assert!(Reply::parse(&long.as_bytes()[..=LINE_BYTES_MAX]).is_err(), "told before it ends");
    }
}
