//! A mail that is written once for many: whole but for what differs from one recipient to the next.

use crate::domain::{Address, Fault, Time, rfc822};

/// Lines that are each recipient's own, by the name of the header.
const OWN: [&str; 3] = ["Date", "To", "Message-ID"];
/// Lines that name the mail that this one answers to: each recipient's own, where they are there.
pub(super) const THREAD: [&str; 2] = ["In-Reply-To", "References"];

/// What differs from one recipient to the next.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// The date that the mail carries.
    pub date: Time,
    /// Whom it goes to.
    pub to: &'a Address,
    /// Its message id, without the angle brackets.
    pub id: &'a str,
    /// Sealed token of its leaving link.
    pub leave: &'a str,
    /// Message id of the mail that it answers to; where it answers to none, it does not matter.
    pub thread: &'a str,
}

/// A mail with gaps.
#[derive(Debug, Clone)]
pub struct Form {
    bytes: Vec<u8>,
    /// In the order of their places.
    gaps: Vec<Gap>,
    leave_bytes: usize,
}

/// A part of the bytes that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Gap {
    from: usize,
    to: usize,
    filling: Filling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filling {
    Date,
    To,
    Id,
    Thread,
    /// This part of the token: a soft line break may stand amid it.
    Leave {
        from: usize,
        to: usize,
    },
}

impl Form {
    /// The form of the mails that `build` writes, given the token of the leaving link. Two mails with tokens that
    /// differ in every letter differ just where the token stands, however it was encoded and wrapped, since tokens
    /// are all of one length and of letters that need no encoding.
    ///
    /// Errors: what `build` says; a [`Fault`] where a mail differs in other places as well.
    pub fn of(leave: &str, mut build: impl FnMut(&str) -> Result<Vec<u8>, Fault>) -> Result<Self, Fault> {
        let (a, b) = (build(&"A".repeat(leave.len()))?, build(&"B".repeat(leave.len()))?);
        let odd = |found: &str| Fault::new("mail", found, "mails that differ by recipient in known places alone");
        if a.len() != b.len() {
            return Err(odd("lengths that differ"));
        }
        let head = memchr::memmem::find(&a, b"\r\n\r\n").ok_or_else(|| odd("no end of the headers"))?;
        let mut gaps = Vec::new();
        let own = OWN.into_iter().zip([Filling::Date, Filling::To, Filling::Id]);
        for (name, filling) in own.chain(THREAD.map(|name| (name, Filling::Thread))) {
            let start = format!("\r\n{name}: ");
            let headers = a.get(..head + 2).unwrap_or_default();
            let from = match memchr::memmem::find(headers, start.as_bytes()) {
                Some(at) => at + start.len(),
                None if filling == Filling::Thread => continue,
                None => return Err(odd("a header that is missing")),
            };
            let length = memchr::memmem::find(headers.get(from..).unwrap_or_default(), b"\r\n");
            gaps.push(Gap { from, to: from + length.ok_or_else(|| odd("a header without end"))?, filling });
        }
        let mut told = 0;
        for (at, (x, y)) in a.iter().zip(&b).enumerate() {
            match (x, y) {
                (x, y) if x == y => continue,
                (b'A', b'B') => {}
                _ => return Err(odd("other places")),
            }
            let place = told % leave.len();
            told += 1;
            match gaps.last_mut() {
                Some(Gap { to, filling: Filling::Leave { to: end, .. }, .. }) if *to == at && *end == place => {
                    (*to, *end) = (at + 1, place + 1);
                }
                Some(_) | None => {
                    gaps.push(Gap { from: at, to: at + 1, filling: Filling::Leave { from: place, to: place + 1 } });
                }
            }
        }
        if told % leave.len().max(1) != 0 {
            return Err(odd("a part of a token"));
        }
        gaps.sort_by_key(|gap| gap.from);
        Ok(Form { bytes: a, gaps, leave_bytes: leave.len() })
    }

    /// The mail of one recipient: the same bytes as if it had been written whole.
    /// Errors: a token of another length than the form was made for.
    pub fn fill(&self, own: &Own<'_>) -> Result<Vec<u8>, Fault> {
        if own.leave.len() != self.leave_bytes {
            return Err(Fault::new("leave", own.leave.len().to_string(), format!("{} letters", self.leave_bytes)));
        }
        let (date, id, thread) = (rfc822(own.date), format!("<{}>", own.id), format!("<{}>", own.thread));
        let mut out = Vec::with_capacity(self.bytes.len() + own.to.as_str().len() + id.len());
        let mut at = 0;
        for gap in &self.gaps {
            out.extend(self.bytes.get(at..gap.from).unwrap_or_default());
            let filling = match gap.filling {
                Filling::Date => date.as_bytes(),
                Filling::To => own.to.as_str().as_bytes(),
                Filling::Id => id.as_bytes(),
                Filling::Thread => thread.as_bytes(),
                Filling::Leave { from, to } => own.leave.as_bytes().get(from..to).unwrap_or_default(),
            };
            out.extend(filling);
            at = gap.to;
        }
        out.extend(self.bytes.get(at..).unwrap_or_default());
        Ok(out)
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.gaps.len() * size_of::<Gap>()
    }
}
