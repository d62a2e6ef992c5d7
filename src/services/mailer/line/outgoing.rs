//! What is written in one go: commands, and messages that stay where they lie. A thousand recipients of an article share
//! its bytes, and the kernel gathers them.

use crate::wire::mail::MailData;
use std::borrow::Cow;

const DOT: &[u8] = b".";

/// Commands and messages, one behind the other.
#[derive(Default)]
pub(super) struct Outgoing<'a> {
    parts: Vec<Cow<'a, [u8]>>,
    length: usize,
}

impl<'a> Outgoing<'a> {
    /// Adds commands, or what else is short.
    pub(super) fn say(&mut self, commands: impl Into<Cow<'a, [u8]>>) {
        let commands = commands.into();
        self.length += commands.len();
        self.parts.push(commands);
    }

    /// Adds a message as DATA carries it: a dot more in front of each line that begins with one, and a lone dot at the end.
    /// RFC 5321 §4.5.2.
    pub(super) fn put_body(&mut self, message: &'a MailData) {
        self.put_dotted(&message.parts());
    }

    /// As above; no part ends within a line's end.
    fn put_dotted(&mut self, parts: &[&'a [u8]]) {
        let mut is_line_over = true;
        for part in parts.iter().copied().filter(|part| !part.is_empty()) {
            if is_line_over && part.starts_with(b".") {
                self.say(DOT);
            }
            let mut from = 0;
            for end in memchr::memmem::find_iter(part, b"\n.") {
                self.say(&part[from..=end]);
                self.say(DOT);
                from = end + 1;
            }
            self.say(&part[from..]);
            is_line_over = part.ends_with(b"\n");
        }
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

    /// All, in their order.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        self.parts.iter().map(AsRef::as_ref).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_begins_with_a_dot_gets_another_and_the_last_line_is_ended() {
        for (mail, sent) in [
            ("a: b\r\n\r\ntext\r\n", "a: b\r\n\r\ntext\r\n.\r\n"),
            ("a: b\r\n\r\n.\r\n..c\r\nd.\r\n", "a: b\r\n\r\n..\r\n...c\r\nd.\r\n.\r\n"),
            (".a: b\r\n\r\ntext", "..a: b\r\n\r\ntext\r\n.\r\n"),
        ] {
            let data = MailData::from(mail.as_bytes().to_vec());
            let (mut body, mut chunk) = (Outgoing::default(), Outgoing::default());
            body.put_body(&data);
            assert_eq!(String::from_utf8(body.parts().concat()).unwrap(), sent);
            assert_eq!(body.length(), sent.len());
            chunk.put_chunk(&data);
            for cut in (0..mail.len()).filter(|cut| mail.as_bytes().get(cut.wrapping_sub(1)) != Some(&b'\r')) {
                let (head, tail) = mail.as_bytes().split_at(cut);
                let mut body = Outgoing::default();
                body.put_dotted(&[head, b"", tail]);
                assert_eq!(String::from_utf8(body.parts().concat()).unwrap(), sent, "in parts, cut at {cut}");
            }
            let chunked = format!("BDAT {} LAST\r\n{mail}", mail.len());
            assert_eq!(String::from_utf8(chunk.parts().concat()).unwrap(), chunked, "BDAT carries it as it is");
        }
    }
}
