//! A feed as bytes: as it is, and packed in each coding at most once; and the part of it that one reader has not seen.

use super::gzip::{self, Packed};
use super::shelf::{Account, Held};
use super::states::{Seen, States, is_told_of};
use crate::domain::{ArticleId, Time};
use crate::wire::pieces::{Digest, Piece, digest};
use crate::wire::{Format, Uses};
use bytes::Bytes;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use url::Url;

/// Made while nobody waits, but by the cores that serve. Of 50 full texts in three formats quality 4 makes 1 to 2 % less
/// in 1.4 times the time, quality 5 another 5 % in 1.6 times that.
const BROTLI_QUALITY: i32 = 3;
/// The base-2 logarithm of brotli's window is what covers the feed, within these: a larger one has to be cleared first,
/// and 4 MiB are more than a feed may have.
const BROTLI_WINDOWS: (i32, i32) = (16, 22);
/// As many bytes as brotli's within 1 %, in a third of its time, and unpacked in a third of it too. Level 4 makes 4 %
/// less in twice the time.
const ZSTD_LEVEL: i32 = 3;
/// What an item costs beside its bytes: its id and its place.
const ITEM_BYTES: usize = 96;
/// Differences that are kept ready; readers poll from a handful of states at a time.
const DELTAS_MAX: usize = 8;

/// How the bytes of a feed are coded on the wire (RFC 9110 §8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    /// As they are.
    Identity,
    /// gzip, RFC 1952.
    Gzip,
    /// brotli, RFC 7932.
    Brotli,
    /// zstd, RFC 8878.
    Zstd,
}

impl Coding {
    /// Every one, from the last that is sent to the first where a reader takes them all alike.
    pub const ALL: [Coding; 4] = [Coding::Identity, Coding::Gzip, Coding::Brotli, Coding::Zstd];

    /// What stands behind the hash in an entity tag: each coding is another representation and has another tag
    /// (RFC 9110 §8.8.3). The tag is known before the bytes are made, so a reader that has them never waits for them.
    fn suffix(self) -> &'static str {
        match self {
            Coding::Identity => "",
            Coding::Gzip => "-g",
            Coding::Zstd => "-z",
            Coding::Brotli => "-b",
        }
    }

    /// `bytes` in this coding.
    pub fn pack(self, bytes: &Bytes) -> Bytes {
        match self {
            Coding::Identity => bytes.clone(),
            Coding::Gzip => gzip::pack(bytes, &[], None).bytes,
            Coding::Zstd => zstd(bytes).into(),
            Coding::Brotli => brotli(bytes).into(),
        }
    }
}

/// What is served until the feed is touched again.
pub struct Built {
    /// It stands for this state.
    pub(super) state: State,
    /// Its items were written at this one; an earlier one where it stands in for a build that failed.
    pub(super) written: State,
    /// Articles whose items did not pass: tried again at the next build, changed or not.
    pub(super) faulty: HashSet<ArticleId>,
    /// One for each of [`Coding::ALL`].
    tags: [Bytes; 4],
    bodies: [OnceLock<Bytes>; 4],
    /// Set by the first who asks for a coding that is made while nobody waits.
    begun: [AtomicBool; 4],
    /// For the next build.
    pub(super) items: Vec<Kept>,
    /// Number of its state among those of the feed.
    number: u64,
    gzip: Mutex<Gzip>,
    deltas: Mutex<Vec<(u64, Bytes)>>,
    format: Format,
    /// When it last came to show something else, in seconds since 1970.
    pub modified_s: i64,
    /// The same as an HTTP date (RFC 9110 §5.6.7).
    pub modified: Bytes,
    /// Media type with charset.
    pub media_type: &'static str,
    /// Seconds for which a cache may keep it.
    pub fresh_s: u32,
    topic: Option<Topic>,
    /// Without the hub, once somebody has asked for that.
    private: OnceLock<Arc<Built>>,
    account: Arc<Account>,
    held: Mutex<Vec<Held>>,
}

/// What is to be done before an answer, or that it can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// In this coding.
    Send(Coding),
    /// This is made while the client waits.
    Make(Coding),
    /// This is made while nobody waits.
    Begin(Coding),
}

/// That a feed can be subscribed to at a hub (W3C WebSub §4).
#[derive(Debug, Clone)]
pub(super) struct Topic {
    /// Where in the plain bytes the hub is named, before the first item.
    place: Range<usize>,
    /// Values of `Link` fields (RFC 8288): to the hub, and to the feed itself.
    links: [Bytes; 2],
}

impl Topic {
    /// The feed at `address`, which names `hub` at `place`. In an address are neither `>` nor quotes.
    pub(super) fn new(hub: &Url, address: &str, place: Range<usize>) -> Self {
        let links = [format!("<{hub}>; rel=\"hub\""), format!("<{address}>; rel=\"self\"")];
        Topic { place, links: links.map(Bytes::from) }
    }
}

/// What packing with gzip begins with, and leaves to the next build.
enum Gzip {
    /// Not made yet. The build before may have been.
    Open(Option<(Packed, Held)>),
    /// Made.
    Made(Packed),
}

/// What a feed shows: everything up to a place in the log, as it is configured in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) seq: u64,
    pub(super) round: u64,
}

/// An item with its place in the plain bytes.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) id: ArticleId,
    pub(super) place: Range<usize>,
    pub(super) too_large: Option<usize>,
    pub(super) uses: Uses,
    pub(super) digest: Digest,
    pub(super) seen: Seen,
}

/// What a build has made.
pub(super) struct Made {
    pub(super) bytes: Bytes,
    pub(super) items: Vec<Kept>,
    pub(super) faulty: HashSet<ArticleId>,
    pub(super) modified: Time,
    pub(super) format: Format,
    pub(super) fresh_s: u32,
    pub(super) topic: Option<Topic>,
}

impl Built {
    pub(super) fn new(state: State, made: Made, account: &Arc<Account>) -> Self {
        let tag = tag(&made.bytes, &made.items);
        let held = account.hold(made.bytes.len() + made.items.len() * ITEM_BYTES);
        Built {
            state,
            written: state,
            faulty: made.faulty,
            tags: Coding::ALL.map(|coding| format!("\"{tag}{}\"", coding.suffix()).into()),
            bodies: [OnceLock::from(made.bytes), OnceLock::new(), OnceLock::new(), OnceLock::new()],
            begun: Default::default(),
            items: made.items,
            number: 0,
            gzip: Mutex::new(Gzip::Open(None)),
            deltas: Mutex::default(),
            format: made.format,
            modified_s: made.modified.timestamp(),
            modified: httpdate::fmt_http_date(made.modified.into()).into(),
            media_type: made.format.media_type(),
            fresh_s: made.fresh_s,
            topic: made.topic,
            private: OnceLock::new(),
            account: Arc::clone(account),
            held: Mutex::new(vec![held]),
        }
    }

    /// The entity tag of its bytes in `coding`, quoted.
    pub fn tag(&self, coding: Coding) -> &Bytes {
        &self.tags[coding as usize]
    }

    /// Its bytes in `coding`, if they have been made; the plain ones always are.
    pub fn body(&self, coding: Coding) -> Option<&Bytes> {
        self.bodies[coding as usize].get()
    }

    /// Its plain bytes.
    pub fn plain(&self) -> &Bytes {
        self.bodies[Coding::Identity as usize].get_or_init(Bytes::new)
    }

    /// Makes its bytes in `coding`. Takes a millisecond or more; whoever comes second waits for the first.
    pub(super) fn make(&self, coding: Coding) {
        self.bodies[coding as usize].get_or_init(|| {
            let bytes = match coding {
                Coding::Gzip => self.gzip(),
                Coding::Identity | Coding::Zstd | Coding::Brotli => coding.pack(self.plain()),
            };
            self.held.lock().unwrap_or_else(PoisonError::into_inner).push(self.account.hold(bytes.len()));
            bytes
        });
    }

    fn gzip(&self) -> Bytes {
        let mut gzip = self.gzip.lock().unwrap_or_else(PoisonError::into_inner);
        let packed = match &*gzip {
            Gzip::Open(before) => gzip::pack(self.plain(), &self.items, before.as_ref().map(|(packed, _)| packed)),
            Gzip::Made(packed) => packed.clone(),
        };
        let bytes = packed.bytes.clone();
        *gzip = Gzip::Made(packed);
        bytes
    }

    /// It comes after `last` and is one of `states`. Its bytes with gzip will be made of those of `last` where they have
    /// not changed, if `last` had any.
    pub(super) fn follows(mut self, last: Option<&Built>, states: &mut States) -> Self {
        let before = last.map_or(&[][..], |last| &last.items);
        self.number = states.note(&self.tags[Coding::Identity as usize], &mut self.items, before);
        let Some(last) = last else { return self };
        let gzip = match &*last.gzip.lock().unwrap_or_else(PoisonError::into_inner) {
            Gzip::Made(packed) => {
                let held = self.account.hold(packed.bytes.len());
                Gzip::Open(Some((packed.clone(), held)))
            }
            Gzip::Open(_) => Gzip::Open(None),
        };
        Built { gzip: Mutex::new(gzip), ..self }
    }

    /// Which of `codings`, the most wanted first, to send now; none if something is to be made, or begun, before.
    pub fn best_of(&self, codings: &[Coding]) -> Option<Coding> {
        match self.next_step(codings) {
            Step::Send(coding) => Some(coding),
            Step::Make(_) | Step::Begin(_) => None,
        }
    }

    /// What is to be done for a client that takes `codings`, the most wanted first. Of what takes long the most wanted is
    /// begun and no other, since who takes it needs none.
    pub(super) fn next_step(&self, codings: &[Coding]) -> Step {
        let mut is_begun = false;
        for &coding in codings {
            match coding {
                _ if self.body(coding).is_some() => return Step::Send(coding),
                Coding::Identity | Coding::Gzip => return Step::Make(coding),
                Coding::Zstd | Coding::Brotli if is_begun => {}
                Coding::Zstd | Coding::Brotli => {
                    if !self.begun[coding as usize].load(Ordering::Acquire) {
                        return Step::Begin(coding);
                    }
                    is_begun = true;
                }
            }
        }
        Step::Send(Coding::Identity)
    }

    /// Is the caller the first to ask for `coding`, which nobody has begun to make?
    pub(super) fn begin(&self, coding: Coding) -> bool {
        !self.begun[coding as usize].swap(true, Ordering::AcqRel)
    }

    /// The feed with the items alone that did not stand in it like this in state `since`; none if it is not known. Plain.
    pub(super) fn delta(&self, since: u64) -> Option<Bytes> {
        if !is_told_of(since, self.number) {
            return None;
        }
        let mut deltas = self.deltas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = deltas.iter().find(|(from, _)| *from == since) {
            return Some(known.clone());
        }
        let plain = self.plain();
        let (first, last) = (self.items.first()?, self.items.last()?);
        let mut bytes = plain[..first.place.start].to_vec();
        for (count, item) in self.items.iter().filter(|item| !item.seen.is_in(since)).enumerate() {
            if count > 0 {
                bytes.extend_from_slice(self.format.separator());
            }
            bytes.extend_from_slice(&plain[item.place.clone()]);
        }
        bytes.extend_from_slice(&plain[last.place.end..]);
        let bytes = Bytes::from(bytes);
        if deltas.len() < DELTAS_MAX {
            deltas.push((since, bytes.clone()));
            self.held.lock().unwrap_or_else(PoisonError::into_inner).push(self.account.hold(bytes.len()));
        }
        Some(bytes)
    }

    /// One of its items, for another feed.
    pub(super) fn piece(&self, item: &Kept) -> Piece {
        let Kept { too_large, uses, digest, .. } = *item;
        Piece { bytes: self.plain().slice(item.place.clone()), too_large, uses, digest }
    }

    /// The same bytes, standing in for a build that failed.
    pub(super) fn kept(&self, state: State) -> Self {
        self.with(state, self.plain().clone(), self.items.clone(), self.topic.clone())
    }

    /// What tells of its hub in the head of an answer: values of `Link` fields.
    pub fn links(&self) -> &[Bytes] {
        self.topic.as_ref().map_or(&[], |topic| &topic.links)
    }

    /// The feed without a hub, for an address that no hub is to learn of.
    pub fn private(this: &Arc<Self>) -> Arc<Self> {
        let Some(Topic { place, .. }) = &this.topic else { return Arc::clone(this) };
        let private = this.private.get_or_init(|| {
            let plain = this.plain();
            let bytes = [&plain[..place.start], &plain[place.end..]].concat();
            let moved = |item: &Kept| Kept {
                place: item.place.start - place.len()..item.place.end - place.len(),
                ..item.clone()
            };
            let items = this.items.iter().map(moved).collect();
            Arc::new(this.with(this.state, bytes.into(), items, None))
        });
        Arc::clone(private)
    }

    fn with(&self, state: State, bytes: Bytes, items: Vec<Kept>, topic: Option<Topic>) -> Self {
        let made = Made {
            bytes,
            items,
            topic,
            faulty: self.faulty.clone(),
            modified: Time::from_timestamp(self.modified_s, 0).unwrap_or_default(),
            format: self.format,
            fresh_s: self.fresh_s,
        };
        Built { written: self.written, number: self.number, ..Built::new(state, made, &self.account) }
    }
}

/// The digest of all that stands around the items: the same bytes with the same items are the same feed.
pub(super) fn frame(plain: &[u8], items: &[Kept]) -> Digest {
    let (head, tail) = match (items.first(), items.last()) {
        (Some(first), Some(last)) => (&plain[..first.place.start], &plain[last.place.end..]),
        (Some(_) | None, _) => (plain, &plain[..0]),
    };
    digest([&head.len().to_le_bytes()[..], head, tail])
}

/// 120 bits: nobody finds two feeds with one tag. Made of digests that are known, but for that of the frame.
fn tag(plain: &[u8], items: &[Kept]) -> String {
    use base64::Engine as _;
    let frame = frame(plain, items);
    let digest = digest([&frame[..]].into_iter().chain(items.iter().map(|item| &item.digest[..])));
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest[..15])
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, ZSTD_LEVEL).expect("the library gives itself a buffer of the size that it asks for")
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let (least, most) = BROTLI_WINDOWS;
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: bytes.len().checked_ilog2().map_or(least, |log| (log.cast_signed() + 1).clamp(least, most)),
        ..Default::default()
    };
    let mut out = Vec::with_capacity(bytes.len() / 3);
    brotli::BrotliCompress(&mut &bytes[..], &mut out, &parameters).expect("memory can be read and written");
    out
}
