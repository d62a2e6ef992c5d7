//! What is written in one go: commands, and messages that stay where they lie. A thousand recipients of an article share
//! its bytes, and the kernel gathers them.

use crate::wire::mail::MailData;
use std::borrow::Cow;

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
        if message.has_dotted_line() {
            self.say(dotted(message.parts().concat()));
        } else {
            message.parts().into_iter().for_each(|part| self.say(part));
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

fn dotted(bytes: Vec<u8>) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 64);
    let mut rest = bytes.as_slice();
    if rest.starts_with(b".") {
        out.push(b'.');
    }
    while let Some(at) = memchr::memmem::find(rest, b"\n.") {
        let (before, behind) = rest.split_at(at + 1);
        out.extend(before);
        out.push(b'.');
        rest = behind;
    }
    out.extend(rest);
    out
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
            let chunked = format!("BDAT {} LAST\r\n{mail}", mail.len());
            assert_eq!(String::from_utf8(chunk.parts().concat()).unwrap(), chunked, "BDAT carries it as it is");
        }
    }
}
