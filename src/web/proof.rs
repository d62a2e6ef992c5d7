//! A small proof of work on the form: a browser spends a second on it that nobody notices, and who posts thousands of forms
//! spends hours. Who runs no script posts without, and is asked by mail a little later, within a smaller budget.
//!
//! A challenge is signed, so none has to be kept until it comes back; and it is taken once.

use crate::domain::{Clock, Time};
use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Zero bits that a proof begins with: 32,768 tries on average, a second on an old telephone.
pub(super) const BITS: u32 = 15;
/// A form that was left open for longer gets the slower way.
const LASTS: Duration = Duration::hours(2);
/// Challenges that were taken are remembered up to this many; behind that, none is taken.
const TAKEN_MAX: usize = 50_000;
/// Longer ones are not even looked at.
const NONCE_BYTES_MAX: usize = 20;

const TIME_BYTES: usize = 8;
const RANDOM_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
/// Keeps these signatures apart from any other use of the same secret.
const DOMAIN: &[u8] = b"tidings: challenge of the form\0";

/// Gives challenges out and takes proofs.
pub(super) struct Proofs {
    key: hmac::Key,
    clock: Clock,
    taken: Mutex<HashMap<[u8; RANDOM_BYTES], Time>>,
}

impl Proofs {
    /// Signed with `secret`.
    pub(super) fn new(secret: &[u8; 32], clock: Clock) -> Self {
        Proofs { key: hmac::Key::new(hmac::HMAC_SHA256, secret), clock, taken: Mutex::default() }
    }

    /// A challenge of now; empty where there is no randomness, and then nobody can prove anything.
    pub(super) fn challenge(&self) -> String {
        let mut random = [0_u8; RANDOM_BYTES];
        if rand::fill(&mut random).is_err() {
            return String::new();
        }
        let body = [&self.clock.now().timestamp_millis().to_be_bytes()[..], &random].concat();
        URL_SAFE_NO_PAD.encode([&body[..], &self.tag(&body)].concat())
    }

    /// Is `nonce` the answer to `challenge`, one of ours that is not too old and was not taken before? Takes it.
    pub(super) fn take(&self, challenge: &str, nonce: &str) -> bool {
        let now = self.clock.now();
        let Some(random) = self.opened(challenge, now) else { return false };
        if nonce.len() > NONCE_BYTES_MAX || !is_proof(challenge, nonce) {
            return false;
        }
        let mut taken = self.taken();
        taken.retain(|_, at| now - *at <= LASTS);
        taken.len() < TAKEN_MAX && taken.insert(random, now).is_none()
    }

    fn opened(&self, challenge: &str, now: Time) -> Option<[u8; RANDOM_BYTES]> {
        let bytes = URL_SAFE_NO_PAD.decode(challenge).ok()?;
        let (body, tag) = bytes.split_at_checked(TIME_BYTES + RANDOM_BYTES)?;
        let is_ours =
            tag.len() == TAG_BYTES && aws_lc_rs::constant_time::verify_slices_are_equal(tag, &self.tag(body)).is_ok();
        let (at, random) = body.split_first_chunk::<TIME_BYTES>()?;
        let at = Time::from_timestamp_millis(i64::from_be_bytes(*at))?;
        (is_ours && now - at <= LASTS).then(|| random.try_into().ok()).flatten()
    }

    fn tag(&self, body: &[u8]) -> [u8; TAG_BYTES] {
        let tag = hmac::sign(&self.key, &[DOMAIN, body].concat());
        let mut short = [0; TAG_BYTES];
        short.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        short
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<[u8; RANDOM_BYTES], Time>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the SHA-256 of both begin with enough zero bits?
fn is_proof(challenge: &str, nonce: &str) -> bool {
    let digest = digest::digest(&digest::SHA256, format!("{challenge}:{nonce}").as_bytes());
    let first = digest.as_ref().first_chunk::<4>().map_or(u32::MAX, |first| u32::from_be_bytes(*first));
    first.leading_zeros() >= BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solved(challenge: &str) -> String {
        (0_u64..).map(|nonce| nonce.to_string()).find(|nonce| is_proof(challenge, nonce)).expect("one in 32,768")
    }

    #[test]
    fn a_proof_is_taken_once_and_only_for_a_challenge_of_ours() {
        let clock = Clock::test(Time::UNIX_EPOCH + Duration::days(20_000));
        let proofs = Proofs::new(&[7; 32], clock.clone());
        let challenge = proofs.challenge();
        let nonce = solved(&challenge);
        assert!(!proofs.take(&challenge, ""), "no proof");
        assert!(!Proofs::new(&[8; 32], clock.clone()).take(&challenge, &nonce), "another one's");
        for wrong in ["", "A", &challenge[1..], &format!("{challenge}A")] {
            assert!(!proofs.take(wrong, &nonce), "{wrong}");
        }
        assert!(proofs.take(&challenge, &nonce));
        assert!(!proofs.take(&challenge, &nonce), "a second time");
        let late = proofs.challenge();
        let nonce = solved(&late);
        clock.advance(LASTS + Duration::seconds(1));
        assert!(!proofs.take(&late, &nonce));
    }

    #[test]
    fn what_is_remembered_has_a_limit_and_behind_it_nobody_has_proved_anything() {
        let clock = Clock::test(Time::UNIX_EPOCH + Duration::days(20_000));
        let proofs = Proofs::new(&[7; 32], clock.clone());
        let filled = |count: usize| (0..count as u64).map(|number| (number.to_be_bytes(), clock.now()));
        proofs.taken().extend(filled(TAKEN_MAX));
        let challenge = proofs.challenge();
        let nonce = solved(&challenge);
        assert!(!proofs.take(&challenge, &nonce), "there is no room");
        assert_eq!(proofs.taken().len(), TAKEN_MAX);
        clock.advance(LASTS + Duration::seconds(1));
        let challenge = proofs.challenge();
        assert!(proofs.take(&challenge, &solved(&challenge)), "the others are too old to come again");
        assert_eq!(proofs.taken().len(), 1);
    }
}
