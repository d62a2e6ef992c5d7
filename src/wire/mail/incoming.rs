//! Mails that come to the return address: bounces (RFC 3464), complaints (RFC 5965), wishes to leave, and what machines
//! answer by themselves. Whose a mail is, signed addresses and tokens tell alone: anybody can write anything else.

use super::canary::{HEADER as CANARY, Mark};
use super::status::{Verdict, is_status, of_report};
use super::{Purpose, Returned, Token};
use crate::config::ReturnAddress;
use crate::domain::{SubscriptionId, clean_line};
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

/// A report and the head of what it is about fit into this several times; of a longer mail the beginning is read.
pub const INCOMING_BYTES_MAX: usize = 1 << 20;
/// Parts of one mail that are looked at.
const PARTS_MAX: usize = 50;
/// Lines of one report that are looked at.
const LINES_MAX: usize = 2_000;
/// Letters of what a report tells that are kept.
const TOLD_CHARS_MAX: usize = 300;

/// How to read what came in.
#[derive(Debug, Clone, Copy)]
pub struct Inbox<'a> {
    /// Where it came to.
    pub address: &'a ReturnAddress,
    /// Of the signatures in addresses and links.
    pub secret: &'a [u8; 32],
}

/// What a mail is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A mail of ours could not be delivered.
    Bounce {
        /// Whose.
        about: Returned,
        /// Tag of the mail, by its leaving link; 0 where it does not say.
        tag: u32,
        /// Whether it makes sense to go on writing there.
        verdict: Verdict,
        /// Status and words of the server that refused it.
        told: String,
    },
    /// Its reader has called a mail of ours unwanted.
    Complaint {
        /// Whose mail it was.
        about: SubscriptionId,
        /// As of a bounce.
        tag: u32,
        /// Is that known by the envelope, which nobody but the mailbox's servers has seen? Else by the link to leave,
        /// which whoever the mail was passed on to has as well.
        is_sure: bool,
    },
    /// Its reader wants no more mails.
    Leave {
        /// Of which subscription.
        about: SubscriptionId,
        /// As of a bounce.
        tag: u32,
    },
    /// A mail of ours to ourselves, which has arrived.
    Canary(Mark),
    /// Nobody wrote it, and nothing follows from it: an answer from a holiday, the news that a mail is late or has arrived.
    Automatic,
    /// Something for a person to read; why it is nothing else.
    Other(&'static str),
}

impl Inbox<'_> {
    /// Does mail to `recipient` belong here: the return address itself, or one with a `+`?
    pub fn is_ours(&self, recipient: &str) -> bool {
        self.tail(recipient).is_some()
    }

    /// Whom a mail was delivered to, by what the mail server wrote on it (Delivered-To, X-Original-To, Envelope-To) or by
    /// its own To: the first address there that is ours.
    pub fn recipient_in(&self, bytes: &[u8]) -> Option<String> {
        let mail = MessageParser::new().parse_headers(&bytes[..bytes.len().min(INCOMING_BYTES_MAX)])?;
        ["Delivered-To", "X-Original-To", "Envelope-To", "To"].into_iter().find_map(|name| {
            let words = mail.header_raw(name)?.split(|c: char| c.is_whitespace() || "<>,;\"".contains(c));
            words.filter(|word| self.is_ours(word)).map(str::to_owned).next()
        })
    }

    /// Reads a mail that came for `recipient`. Whatever it holds: no panic, and time in proportion to its length, of which
    /// [`INCOMING_BYTES_MAX`] counts at the most.
    pub fn read(&self, bytes: &[u8], recipient: &str) -> Incoming {
        let bytes = &bytes[..bytes.len().min(INCOMING_BYTES_MAX)];
        let Some(mail) = MessageParser::new().parse(bytes).filter(|mail| !mail.parts.is_empty()) else {
            return Incoming::Other("it is no mail");
        };
        let tail = self.tail(recipient).unwrap_or_default();
        if let Some(sealed) = mail.header_raw(CANARY) {
            return match Mark::open(sealed.trim(), self.secret) {
                // Some servers send the whole mail back as it was; only bounces go to its sender.
                Some(_) if self.returned(tail).is_some() => Incoming::Other("it is a canary that was sent back"),
                Some(mark) => Incoming::Canary(mark),
                None => Incoming::Other("it has the mark of a canary, and was made up"),
            };
        }
        if let Some(report) = part(&mail, "message", "feedback-report") {
            return self.complaint(&mail, report, tail);
        }
        // A mail that asked for SMTPUTF8 is reported on in the form that carries it (RFC 6533 §3).
        let report = ["delivery-status", "global-delivery-status"];
        if let Some(report) = report.into_iter().find_map(|form| part(&mail, "message", form)) {
            return self.bounce(&mail, &outcome(report), tail);
        }
        // Before what is automatic is put aside: some readers' programs say so of what their owner has pressed.
        let leaves = (tail == LEAVE).then(|| self.leave(&mail));
        if let Some(leave @ Incoming::Leave { .. }) = leaves {
            return leave;
        }
        // Only behind the reports: those are automatic as well.
        if is_automatic(&mail) {
            return Incoming::Automatic;
        }
        if let Some(other) = leaves {
            return other;
        }
        if is_from_server(&mail) {
            return self.bounce(&mail, &unstructured(&mail), tail);
        }
        Incoming::Other("it is no report; perhaps somebody has answered")
    }

    /// What stands between `+` and `@` of an address that is ours.
    fn tail<'b>(&self, recipient: &'b str) -> Option<&'b str> {
        let (local, domain) = recipient.trim().rsplit_once('@')?;
        let rest = local.get(self.address.local.len()..)?;
        let is_local = local[..self.address.local.len()].eq_ignore_ascii_case(&self.address.local);
        let tail = if rest.is_empty() { Some("") } else { rest.strip_prefix('+') };
        tail.filter(|_| is_local && domain.eq_ignore_ascii_case(&self.address.domain))
    }

    fn returned(&self, tail: &str) -> Option<Returned> {
        Returned::open(tail, self.secret)
    }

    fn bounce(&self, mail: &Message<'_>, outcome: &Outcome, tail: &str) -> Incoming {
        match (outcome, self.returned(tail)) {
            (Outcome::Nothing, _) => Incoming::Automatic,
            (Outcome::Unclear, _) => Incoming::Other("it is a report that does not say what happened"),
            (Outcome::Failed(..), None) => Incoming::Other("it is about no mail of ours, or was made up"),
            (Outcome::Failed(verdict, told), Some(about)) => {
                let told = clean_line(told).chars().take(TOLD_CHARS_MAX).collect();
                Incoming::Bounce { about, tag: self.tag(mail, about.subscription), verdict: *verdict, told }
            }
        }
    }

    /// RFC 5965. The report comes from whom the provider was told to write to, so the address that it came to may say
    /// nothing: then the mail that it is about does.
    fn complaint(&self, mail: &Message<'_>, report: &MessagePart<'_>, tail: &str) -> Incoming {
        let fields = fields(report);
        let of = |name: &str| fields.iter().flatten().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        // Somebody has found a mail of ours among the unwanted, and says that it is not (RFC 5965 §3.1).
        if of("feedback-type").is_some_and(|kind| kind.eq_ignore_ascii_case("not-spam")) {
            return Incoming::Automatic;
        }
        let about = self.returned(tail).or_else(|| of("original-mail-from").and_then(|address| self.sender(address)));
        let about = about.or_else(|| {
            let mut paths = enclosed(mail).filter(|(name, _)| name == "return-path");
            paths.find_map(|(_, address)| self.sender(&address))
        });
        if let Some(Returned { subscription: about, .. }) = about {
            return Incoming::Complaint { about, tag: self.tag(mail, about), is_sure: true };
        }
        // Its link may have come along with a mail that was passed on.
        let link = self.leave_links(mail).next();
        link.map_or(Incoming::Other("it is a complaint, about no mail of ours"), |token| Incoming::Complaint {
            about: token.subscription,
            tag: token.round,
            is_sure: false,
        })
    }

    /// Tag of the enclosed mail, by the link with which `about` leaves; 0 where there is none.
    fn tag(&self, mail: &Message<'_>, about: SubscriptionId) -> u32 {
        self.leave_links(mail).find(|token| token.subscription == about).map_or(0, |token| token.round)
    }

    /// The links with which one leaves the enclosed mail.
    fn leave_links(&self, mail: &Message<'_>) -> impl Iterator<Item = Token> {
        let links = enclosed(mail).filter(|(name, _)| name == "list-unsubscribe");
        links.flat_map(|(_, value)| self.tokens(&value)).filter(|token| token.purpose == Purpose::Leave)
    }

    /// The tokens of ours in an address, or in some.
    fn tokens(&self, text: &str) -> Vec<Token> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        words.filter_map(|word| Token::open(word, self.secret)).collect()
    }

    /// What is signed in the sender of an envelope, with angle brackets or without.
    fn sender(&self, address: &str) -> Option<Returned> {
        let address = address.trim().trim_start_matches('<').trim_end_matches('>');
        self.returned(self.tail(address)?)
    }

    /// The subject holds the token, as the mail's own link has put it there.
    fn leave(&self, mail: &Message<'_>) -> Incoming {
        let words = mail.subject().unwrap_or_default().split_whitespace();
        let token =
            words.filter_map(|word| Token::open(word, self.secret)).find(|token| token.purpose == Purpose::Leave);
        match token {
            Some(token) => Incoming::Leave { about: token.subscription, tag: token.round },
            None => Incoming::Other("it asks to leave, and does not say by its subject whose subscription"),
        }
    }
}

/// The fields of enclosed mails, each with its name in lower case.
fn enclosed<'a>(mail: &'a Message<'_>) -> impl Iterator<Item = (String, String)> + use<'a> {
    let parts = mail.parts.iter().take(PARTS_MAX);
    let is_enclosed = |part: &&MessagePart<'_>| {
        let named = [("text", "rfc822-headers"), ("message", "global-headers"), ("message", "global")];
        matches!(part.body, PartType::Message(_)) || named.iter().any(|(kind, subtype)| is(part, kind, subtype))
    };
    let parts = parts.filter(is_enclosed);
    parts.flat_map(|part| groups(&String::from_utf8_lossy(part.contents()))).flatten()
}

/// The part of the return address to which one writes to leave.
const LEAVE: &str = "leave";

/// What a report says has become of a mail.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing that matters: it is late, or it has arrived.
    Nothing,
    Failed(Verdict, String),
    Unclear,
}

/// RFC 3464: behind the fields of the whole come those of each recipient; ours have one.
fn outcome(report: &MessagePart<'_>) -> Outcome {
    let mut found = Outcome::Unclear;
    for group in fields(report) {
        let of = |name: &str| group.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim());
        let Some(action) = of("action") else { continue };
        match action.split_whitespace().next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "failed" => {
                let diagnostic = of("diagnostic-code").unwrap_or_default();
                let status = of("status").and_then(|status| status.split_whitespace().next());
                // Some say 5.0.0 there and what they mean in the server's own words.
                let exact = diagnostic.split_whitespace().find_map(refusal);
                let status = exact.or(status).unwrap_or_default();
                return Outcome::Failed(of_report(status), format!("{status} {diagnostic}"));
            }
            "delayed" | "delivered" | "relayed" | "expanded" => found = Outcome::Nothing,
            _ => {}
        }
    }
    found
}

/// A bounce from before there was a form for it: a status somewhere in the text.
fn unstructured(mail: &Message<'_>) -> Outcome {
    let text = mail.body_text(0).unwrap_or_default();
    let mut told = text.lines().take(LINES_MAX).filter_map(|line| {
        // Chinese has brackets and commas of its own, and no spaces between words.
        let words = line.split(|c: char| c.is_whitespace() || "()<>[]#,;:".contains(c) || !c.is_ascii());
        let status = words.map(|word| word.trim_end_matches('.')).find_map(refusal)?;
        Some(Outcome::Failed(of_report(status), line.trim().to_owned()))
    });
    told.next().unwrap_or(Outcome::Unclear)
}

/// The status in a word of a server, if it is that of a refusal: `5.1.1`, or `550-5.1.1` where a reply has several lines.
fn refusal(word: &str) -> Option<&str> {
    let is_code = |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    let status = word.split_once('-').filter(|(code, _)| is_code(code)).map_or(word, |(_, status)| status);
    (is_status(status) && status.starts_with('5')).then_some(status)
}

fn is(part: &MessagePart<'_>, kind: &str, subtype: &str) -> bool {
    part.content_type().is_some_and(|found| {
        found.ctype().eq_ignore_ascii_case(kind)
            && found.subtype().is_some_and(|found| found.eq_ignore_ascii_case(subtype))
    })
}

fn part<'a, 'b>(mail: &'a Message<'b>, kind: &str, subtype: &str) -> Option<&'a MessagePart<'b>> {
    mail.parts.iter().take(PARTS_MAX).find(|part| is(part, kind, subtype))
}

type Fields = Vec<(String, String)>;

/// The groups of fields of a report.
fn fields(report: &MessagePart<'_>) -> Vec<Fields> {
    groups(&String::from_utf8_lossy(report.contents()))
}

/// Fields as in the head of a mail, in groups with an empty line between them; names in lower case.
fn groups(text: &str) -> Vec<Fields> {
    let mut groups = vec![Fields::new()];
    for line in text.lines().take(LINES_MAX) {
        let Some(group) = groups.last_mut() else { break };
        if line.trim().is_empty() {
            if !group.is_empty() {
                groups.push(Fields::new());
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = group.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    groups
}

/// RFC 3834 §5 and what came before it.
fn is_automatic(mail: &Message<'_>) -> bool {
    let header = |name: &'static str| mail.header_raw(name).map(|value| value.trim().to_ascii_lowercase());
    let says =
        |name, words: &[&str]| header(name).is_some_and(|value| words.iter().any(|word| value.starts_with(word)));
    says("Auto-Submitted", &["auto-replied", "auto-generated", "auto-notified"])
        || header("X-Autoreply").is_some()
        || header("X-Autorespond").is_some()
        || says("Precedence", &["auto_reply"])
        // A list, such as `DR, RN, OOF`.
        || header("X-Auto-Response-Suppress")
            .is_some_and(|list| list.split(',').any(|one| matches!(one.trim(), "all" | "oof" | "autoreply")))
}

/// Written by a mail server and not by a person: by its daemon or its postmaster. That the envelope has no sender says
/// nothing: answers from a holiday have none either (RFC 3834 §3.3).
fn is_from_server(mail: &Message<'_>) -> bool {
    let from = mail.header_raw("From").unwrap_or_default().to_ascii_lowercase();
    from.trim().is_empty() || from.contains("mailer-daemon@") || from.contains("postmaster@")
}

#[cfg(test)]
mod tests;
