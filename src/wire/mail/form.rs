//! A mail that is written once for many: whole but for what differs from one recipient to the next.

use super::data::{DOT, MailData, lines_with_dots};
use crate::domain::{Address, Fault, Time, rfc822};
use std::sync::Arc;

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
#[derive(Debug)]
pub struct Form {
    bytes: Vec<u8>,
    /// In the order of their places.
    pieces: Vec<Piece>,
    leave_bytes: usize,
    is_ascii: bool,
}

/// A form's bytes between two gaps, or a part of them; what DATA has in front of one; or what fills a gap.
#[derive(Debug)]
enum Piece {
    Text { from: usize, to: usize },
    Dot,
    Own(Filling),
}

/// A form with what is one recipient's own.
#[derive(Debug)]
pub struct Filled {
    form: Arc<Form>,
    date: String,
    to: Address,
    id: String,
    thread: String,
    leave: String,
}

/// A part of the bytes that is replaced.
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
        let pieces = pieces(&a, gaps);
        let is_ascii = a.is_ascii();
        Ok(Form { bytes: a, pieces, leave_bytes: leave.len(), is_ascii })
    }

    /// The mail of one recipient: the same bytes as if it had been written whole.
    /// Errors: a token of another length than the form was made for.
    pub fn fill(self: &Arc<Self>, own: &Own<'_>) -> Result<MailData, Fault> {
        if own.leave.len() != self.leave_bytes {
            return Err(Fault::new("leave", own.leave.len().to_string(), format!("{} letters", self.leave_bytes)));
        }
        Ok(MailData::Filled(Filled {
            form: Arc::clone(self),
            date: rfc822(own.date),
            to: own.to.clone(),
            id: ["<", own.id, ">"].concat(),
            thread: ["<", own.thread, ">"].concat(),
            leave: own.leave.to_owned(),
        }))
    }

    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.pieces.len() * size_of::<Piece>()
    }
}

/// The pieces of `bytes` between and in `gaps`, which are in the order of their places.
fn pieces(bytes: &[u8], gaps: Vec<Gap>) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(2 * gaps.len() + 1);
    // What fills a gap begins no line and ends none.
    let mut dots = lines_with_dots(bytes).peekable();
    let mut add_text = |pieces: &mut Vec<Piece>, mut from: usize, to: usize| {
        while let Some(dot) = dots.next_if(|dot| *dot < to) {
            pieces.extend([Piece::Text { from, to: dot }, Piece::Dot]);
            from = dot;
        }
        pieces.push(Piece::Text { from, to });
    };
    let mut at = 0;
    for gap in gaps {
        add_text(&mut pieces, at, gap.from);
        pieces.push(Piece::Own(gap.filling));
        at = gap.to;
    }
    add_text(&mut pieces, at, bytes.len());
    pieces
}

impl Filled {
    /// Its bytes, in their order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.form.pieces.iter().filter(|piece| !matches!(piece, Piece::Dot)).map(|piece| self.part(piece))
    }

    /// The same as DATA carries them.
    pub(super) fn dotted(&self) -> impl Iterator<Item = &[u8]> {
        self.form.pieces.iter().map(|piece| self.part(piece))
    }

    fn part(&self, piece: &Piece) -> &[u8] {
        match piece {
            Piece::Dot => DOT,
            Piece::Text { from, to } => self.form.bytes.get(*from..*to).unwrap_or_default(),
            Piece::Own(Filling::Date) => self.date.as_bytes(),
            Piece::Own(Filling::To) => self.to.as_str().as_bytes(),
            Piece::Own(Filling::Id) => self.id.as_bytes(),
            Piece::Own(Filling::Thread) => self.thread.as_bytes(),
            Piece::Own(Filling::Leave { from, to }) => self.leave.as_bytes().get(*from..*to).unwrap_or_default(),
        }
    }

    /// Dates, message ids and tokens are.
    pub(super) fn is_ascii(&self) -> bool {
        self.form.is_ascii && self.to.as_str().is_ascii()
    }
}
