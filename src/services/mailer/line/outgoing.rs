//! What is written in one go: commands, and messages that stay where they lie. A thousand recipients of an article share
//! its bytes, and the kernel gathers them.

use crate::wire::mail::MailData;
use std::borrow::Cow;
use std::io::IoSlice;

/// Parts of most messages, with the envelope of the next.
const PARTS: usize = 32;

/// Commands and messages, one behind the other.
pub(super) struct Outgoing<'a> {
    parts: Vec<Cow<'a, [u8]>>,
    length: usize,
}

impl<'a> Outgoing<'a> {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Outgoing { parts: Vec::with_capacity(PARTS), length: 0 }
    }

    /// Adds commands, or what else is short.
    pub(super) fn say(&mut self, commands: impl Into<Cow<'a, [u8]>>) {
        let commands = commands.into();
        if !commands.is_empty() {
            self.length += commands.len();
            self.parts.push(commands);
        }
    }

    /// Adds a message as DATA carries it, with a lone dot at its end. RFC 5321 §4.5.2.
    pub(super) fn put_body(&mut self, message: &'a MailData) {
        message.dotted().into_iter().for_each(|part| self.say(part));
        let is_line_over = self.parts.last().is_some_and(|part| part.ends_with(b"\r\n"));
        self.say(if is_line_over { &b".\r\n"[..] } else { b"\r\n.\r\n" });
    }

    /// Adds a message as BDAT carries it. RFC 3030 §2.
    pub(super) fn put_chunk(&mut self, message: &'a MailData) {
        self.say(format!("BDAT {} LAST\r\n", message.length()).into_bytes());
        message.parts().into_iter().for_each(|part| self.say(part));
    }

    /// Bytes of all.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// All, in their order; none is empty.
    pub(super) fn slices(&self) -> Vec<IoSlice<'_>> {
        self.parts.iter().map(|part| IoSlice::new(part)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(out: &Outgoing<'_>) -> String {
        String::from_utf8(out.slices().iter().flat_map(|part| part.to_vec()).collect()).unwrap()
    }

    #[test]
    fn a_line_that_begins_with_a_dot_gets_another_and_the_last_line_is_ended() {
        for (mail, expected) in [
            ("a: b\r\n\r\ntext\r\n", "a: b\r\n\r\ntext\r\n.\r\n"),
            ("a: b\r\n\r\n.\r\n..c\r\nd.\r\n", "a: b\r\n\r\n..\r\n...c\r\nd.\r\n.\r\n"),
            (".a: b\r\n\r\ntext", "..a: b\r\n\r\ntext\r\n.\r\n"),
        ] {
            let data = MailData::from(mail.as_bytes().to_vec());
            let (mut body, mut chunk) = (Outgoing::new(), Outgoing::new());
            body.put_body(&data);
            assert_eq!(sent(&body), expected);
            assert_eq!(body.length(), expected.len());
            chunk.put_chunk(&data);
            let chunked = format!("BDAT {} LAST\r\n{mail}", mail.len());
            assert_eq!(sent(&chunk), chunked, "BDAT carries it as it is");
        }
    }
}
