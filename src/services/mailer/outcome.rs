//! What became of one try, as certain as it can be.

use crate::domain::clean_line;
use crate::wire::mail::status::{Verdict, is_of_room, is_status, of_reply};

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server has taken it over.
    Accepted {
        /// Its words.
        reply: String,
    },
    /// Certainly not taken over; to be tried again.
    Deferred {
        /// Why.
        reply: String,
        /// Is it the connection's fault alone, the outbox's, or was the message kept back? Then the try does not count.
        is_blameless: bool,
    },
    /// Certainly not taken over, and it never will be.
    Rejected {
        /// Why.
        reply: String,
        /// What that says of the mailbox, if it is about that.
        verdict: Option<Verdict>,
    },
    /// Refused for good, as all are of late: likelier a wrong setting somewhere than the truth, so it is tried again.
    Suspect {
        /// Why.
        reply: String,
        /// What that says of the mailbox if it stays so.
        verdict: Option<Verdict>,
    },
    /// The message was sent to its end, and the reply to it never came.
    Doubtful,
}

/// Where in the dialogue something was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    Rcpt,
    /// `DATA`, before its first byte.
    Data,
    /// The message itself.
    Body,
}

/// What went wrong with a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server said no.
    Reply {
        /// Three digits.
        code: u16,
        /// Code and words.
        text: String,
    },
    /// The connection broke, or speaks something else than SMTP.
    Lost(String),
    /// The server said nothing within the limit.
    Silent,
}

/// "Service closing": the reply is about the connection. RFC 5321 §4.2.2.
pub(super) const CLOSING: u16 = 421;

impl Outcome {
    /// What `failure` at `stage` means, where `sent_whole` says whether the end of the message may have gone out and
    /// `is_worn` whether the connection carried other messages before.
    pub(super) fn of(failure: &Failure, stage: Stage, sent_whole: bool, is_worn: bool) -> Self {
        match failure {
            // It is about us or our way of sending, not about the message: to be mended, and then tried again. But for one
            // that is too long.
            Failure::Reply { code: 500..=551 | 553..=599, text } if stage == Stage::Mail => {
                Outcome::Deferred { reply: shortened(text), is_blameless: false }
            }
            Failure::Reply { code: 500..=599, text } => {
                let verdict = if stage == Stage::Rcpt { of_reply(text) } else { None };
                Outcome::Rejected { reply: shortened(text), verdict }
            }
            Failure::Reply { code, text } => {
                Outcome::Deferred { reply: shortened(text), is_blameless: *code == CLOSING && is_worn }
            }
            Failure::Lost(_) | Failure::Silent if sent_whole => Outcome::Doubtful,
            Failure::Lost(why) => Outcome::Deferred { reply: shortened(why), is_blameless: is_worn },
            Failure::Silent => Outcome::Deferred { reply: "no reply in time".into(), is_blameless: false },
        }
    }
}

impl Outcome {
    /// The server's words at the end of a whole message.
    pub(super) fn accepted(words: &str) -> Self {
        Outcome::Accepted { reply: shortened(words) }
    }

    /// The connection ended before the message had its turn.
    pub(super) fn not_begun() -> Self {
        Outcome::Deferred { reply: "the connection ended before".into(), is_blameless: true }
    }

    /// It was not sent after all: what it tells of has changed, and it is written anew.
    pub(super) fn overtaken() -> Self {
        Outcome::Deferred { reply: "an article in it has changed".into(), is_blameless: true }
    }

    /// The same, where the way the server was spoken to is to blame, and not the message. Doubt stays doubt.
    pub(super) fn blaming_the_line(self) -> Self {
        match self {
            Outcome::Deferred { reply, .. } | Outcome::Rejected { reply, .. } | Outcome::Suspect { reply, .. } => {
                Outcome::Deferred { reply, is_blameless: true }
            }
            Outcome::Accepted { .. } | Outcome::Doubtful => self,
        }
    }

    /// The same, where too many have been refused for good to believe it.
    pub(super) fn suspected(self) -> Self {
        match self {
            Outcome::Rejected { reply, verdict } => Outcome::Suspect { reply, verdict },
            Outcome::Accepted { .. } | Outcome::Deferred { .. } | Outcome::Suspect { .. } | Outcome::Doubtful => self,
        }
    }

    /// A file that could not be written: the outbox is at fault, and the message keeps its turn.
    pub(super) fn not_written(why: String) -> Self {
        Outcome::Deferred { reply: why, is_blameless: true }
    }

    /// What it says of the mailbox once the message has come to its end with it.
    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self {
            Outcome::Rejected { verdict, .. } | Outcome::Suspect { verdict, .. } => *verdict,
            Outcome::Deferred { reply, .. } => {
                let status = reply.split_whitespace().nth(1).filter(|word| is_status(word))?;
                is_of_room(status).then_some(Verdict::Soft)
            }
            Outcome::Accepted { .. } | Outcome::Doubtful => None,
        }
    }

    /// For the log, where a connection ended with it. A server's words about a recipient may name the address.
    pub(super) fn told(&self) -> String {
        match self {
            Outcome::Accepted { .. } => "it closed the connection".into(),
            Outcome::Deferred { reply, .. } if reply.contains('@') => "it broke off a message".into(),
            Outcome::Deferred { reply, .. } => reply.clone(),
            Outcome::Rejected { .. } | Outcome::Suspect { .. } => {
                "it refused a message and closed the connection".into()
            }
            Outcome::Doubtful => "it gave no reply to a whole message".into(),
        }
    }
}

/// A server's words as they are stored: one line, and not a book.
pub(super) fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    let mut line = clean_line(text);
    let end = line.char_indices().nth(CHARS_MAX).map_or(line.len(), |(end, _)| end);
    line.truncate(end);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Failure {
        Failure::Reply { code: text[..3].parse().unwrap(), text: text.into() }
    }

    #[test]
    fn only_a_reply_about_the_mailbox_counts_against_a_subscriber() {
        let (hard, soft) = (Some(Verdict::Hard), Some(Verdict::Soft));
        for (text, verdict) in [
            ("550 5.1.1 <a@b.example>: no such user", hard),
            ("550 5.2.1 mailbox disabled", hard),
            ("550 no such user", soft),
            ("550 relay not permitted", soft),
            ("552 5.2.2 mailbox full", soft),
            ("554 5.7.1 <a@b.example>: Relay access denied", None),
            ("550 5.7.515 Access denied", None),
            ("550 5.1.8 sender unknown", None),
            ("554 rejected", None),
        ] {
            let outcome = Outcome::of(&reply(text), Stage::Rcpt, false, true);
            assert_eq!(outcome, Outcome::Rejected { reply: text.into(), verdict }, "{text}");
            let elsewhere = Outcome::of(&reply(text), Stage::Body, true, true);
            assert_eq!(elsewhere, Outcome::Rejected { reply: text.into(), verdict: None }, "{text}");
        }
    }

    #[test]
    fn what_a_server_has_against_the_sender_ends_no_message() {
        for text in ["530 5.7.0 authentication required", "550 sender rejected", "553 5.1.8 unknown domain"] {
            let outcome = Outcome::of(&reply(text), Stage::Mail, false, true);
            assert_eq!(outcome, Outcome::Deferred { reply: text.into(), is_blameless: false }, "{text}");
            assert_eq!(outcome.verdict(), None, "{text}");
        }
        let long = Outcome::of(&reply("552 5.3.4 too long"), Stage::Mail, false, true);
        assert!(matches!(long, Outcome::Rejected { verdict: None, .. }), "{long:?}");
        let full = Outcome::of(&reply("452 4.2.2 mailbox full"), Stage::Rcpt, false, true);
        assert_eq!(full.verdict(), Some(Verdict::Soft));
    }

    #[test]
    fn a_message_is_in_doubt_only_once_its_end_went_out() {
        let lost = Failure::Lost("reset".into());
        for (failure, sent_whole, is_worn, expected) in [
            (&lost, false, false, Outcome::Deferred { reply: "reset".into(), is_blameless: false }),
            (&lost, false, true, Outcome::Deferred { reply: "reset".into(), is_blameless: true }),
            (&lost, true, true, Outcome::Doubtful),
            (&Failure::Silent, true, true, Outcome::Doubtful),
            (
                &Failure::Silent,
                false,
                true,
                Outcome::Deferred { reply: "no reply in time".into(), is_blameless: false },
            ),
        ] {
            assert_eq!(Outcome::of(failure, Stage::Body, sent_whole, is_worn), expected, "{failure:?}");
        }
        let closing = Outcome::of(&reply("421 4.7.0 enough for now"), Stage::Mail, false, true);
        assert!(matches!(closing, Outcome::Deferred { is_blameless: true, .. }));
        let closing = Outcome::of(&reply("421 4.7.0 enough for now"), Stage::Mail, false, false);
        assert!(matches!(closing, Outcome::Deferred { is_blameless: false, .. }), "or it would be tried for ever");
    }
}
