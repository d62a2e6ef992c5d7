//! Signatures of a domain on its mail. RFC 6376, and RFC 8463 for Ed25519.
//!
//! Both parts are canonicalised as `relaxed`, so that what relays do to white space does no harm. The headers by which
//! one leaves are signed, as RFC 8058 §4 asks; those of which a mail has one are signed once more than they occur, so
//! that nobody can add a second.

use crate::domain::Time;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use aws_lc_rs::{digest, error::Unspecified};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA with 2,048 bits: what every receiver can verify.
    Rsa,
    /// Ed25519: shorter and faster, verified by some receivers. Use it beside an RSA key.
    Ed25519,
}

/// A key with its name in the DNS and the time in which it signs.
pub struct SigningKey {
    domain: String,
    selector: String,
    pair: Pair,
    not_before: Option<Time>,
    not_after: Option<Time>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Headers that are signed where a mail has them, in this order.
const SIGNED: [&str; 16] = [
    "From",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Post",
    "List-Archive",
    "Feedback-ID",
    "Auto-Submitted",
];
/// Of these a mail has one at most, and a second would deceive: they are signed once more than they are there.
const OVERSIGNED: [&str; 6] = ["From", "Reply-To", "To", "Cc", "Subject", "Date"];
/// Most signatures with all that belongs to them are shorter.
const FIELD_BYTES: usize = 1_024;
/// Receivers refuse less (RFC 8301 §3.2).
const RSA_BYTES_MIN: usize = 128;

impl SigningKey {
    /// From PEM: PKCS #8, or PKCS #1 for RSA. It signs from `not_before` until `not_after`.
    /// Errors: a sentence that says what is wrong with the key, and nothing of the key itself.
    pub fn from_pem(
        domain: &str,
        selector: &str,
        pem: &str,
        not_before: Option<Time>,
        not_after: Option<Time>,
    ) -> Result<Self, String> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "no private key in PEM".to_owned())?;
        let wrong = "no key of RSA or Ed25519";
        let pair = match &der {
            PrivateKeyDer::Pkcs8(der) => {
                let bytes = der.secret_pkcs8_der();
                match Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes) {
                    Ok(pair) => Pair::Ed25519(pair),
                    Err(_) => Pair::Rsa(RsaKeyPair::from_pkcs8(bytes).map_err(|_| wrong)?),
                }
            }
            PrivateKeyDer::Pkcs1(der) => Pair::Rsa(RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| wrong)?),
            _ => return Err(wrong.into()),
        };
        if let Pair::Rsa(pair) = &pair
            && pair.public_modulus_len() < RSA_BYTES_MIN
        {
            return Err(format!(
                "an RSA key of {} bits, and receivers want 1024 at least",
                pair.public_modulus_len() * 8
            ));
        }
        Ok(SigningKey { domain: domain.to_owned(), selector: selector.to_owned(), pair, not_before, not_after })
    }

    /// A new key, as PKCS #8 in PEM. Errors: the system gives no randomness.
    pub fn create(algorithm: Algorithm) -> Result<String, Unspecified> {
        let der: Vec<u8> = match algorithm {
            Algorithm::Rsa => {
                let der: Pkcs8V1Der<'_> = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
                der.as_ref().to_vec()
            }
            Algorithm::Ed25519 => Ed25519KeyPair::generate()?.to_pkcs8v1()?.as_ref().to_vec(),
        };
        let text = STANDARD.encode(der);
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        Ok(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n")))
    }

    /// Does it sign at `now`?
    pub fn is_active(&self, now: Time) -> bool {
        self.not_before.is_none_or(|from| from <= now) && self.not_after.is_none_or(|until| now < until)
    }

    /// Name and text of the DNS record (TXT) by which receivers verify. RFC 6376 §3.6.1.
    /// Errors: the public key cannot be written.
    pub fn record(&self) -> Result<(String, String), Unspecified> {
        let (kind, key) = match &self.pair {
            Pair::Rsa(pair) => {
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
                ("rsa", STANDARD.encode(der.as_ref()))
            }
            Pair::Ed25519(pair) => ("ed25519", STANDARD.encode(pair.public_key().as_ref())),
        };
        Ok((format!("{}._domainkey.{}", self.selector, self.domain), format!("v=DKIM1; k={kind}; p={key}")))
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "rsa-sha256",
            Pair::Ed25519(_) => "ed25519-sha256",
        }
    }

    fn sign(&self, signed: &[u8]) -> Result<Vec<u8>, Unspecified> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed, &mut signature)?;
                Ok(signature)
            }
            // RFC 8463 §3: the hash is what is signed.
            Pair::Ed25519(pair) => Ok(pair.sign(digest::digest(&digest::SHA256, signed).as_ref()).as_ref().to_vec()),
        }
    }
}

/// `message` with a signature of each key that is active at `now` in front, the last key's first.
/// Errors: a key cannot sign.
pub fn sign<'a>(
    keys: impl IntoIterator<Item = &'a SigningKey>,
    message: Vec<u8>,
    now: Time,
) -> Result<Vec<u8>, Unspecified> {
    let mut active = keys.into_iter().filter(|key| key.is_active(now)).peekable();
    if active.peek().is_none() {
        return Ok(message);
    }
    let (head, body) = match memchr::memmem::find(&message, b"\r\n\r\n") {
        Some(at) => (message.get(..at + 2).unwrap_or_default(), message.get(at + 4..).unwrap_or_default()),
        None => (message.as_slice(), &b""[..]),
    };
    let headers = headers(head);
    let mut names = Vec::new();
    let mut signed = Vec::with_capacity(head.len());
    for name in SIGNED {
        // From the last one upwards, as verifiers take them (RFC 6376 §5.4.2).
        for (_, field) in headers.iter().rev().filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes())) {
            names.push(name);
            relaxed_header(&mut signed, field);
            signed.extend(b"\r\n");
        }
        if OVERSIGNED.contains(&name) {
            names.push(name);
        }
    }
    let body_hash = STANDARD.encode(body_hash(body));
    let mut out = Vec::with_capacity(message.len() + FIELD_BYTES);
    for key in active {
        let mut field = String::with_capacity(FIELD_BYTES);
        field.push_str(&format!(
            "DKIM-Signature: v=1; a={}; c=relaxed/relaxed; d={};\r\n\ts={}; t={};\r\n\th=",
            key.algorithm(),
            key.domain,
            key.selector,
            now.timestamp()
        ));
        for (number, name) in names.iter().enumerate() {
            field.push_str(match number {
                0 => "",
                _ if number % 5 == 0 => ":\r\n\t ",
                _ => ":",
            });
            field.push_str(name);
        }
        field.push_str(&format!(";\r\n\tbh={body_hash};\r\n\tb="));
        let own = signed.len();
        relaxed_header(&mut signed, field.as_bytes());
        let signature = STANDARD.encode(key.sign(&signed)?);
        signed.truncate(own);
        let lines: Vec<&str> =
            signature.as_bytes().chunks(72).filter_map(|part| std::str::from_utf8(part).ok()).collect();
        field.push_str(&lines.join("\r\n\t "));
        field.push_str("\r\n");
        out.splice(..0, field.into_bytes());
    }
    out.extend(message);
    Ok(out)
}

/// Name and whole field, folded as it is and without its last line end, of each header.
fn headers(head: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    let mut from = 0;
    while from < head.len() {
        let mut to = from;
        loop {
            let rest = head.get(to..).unwrap_or_default();
            let is_end = |at: &usize| at.checked_sub(1).and_then(|before| rest.get(before)) == Some(&b'\r');
            to += memchr::memchr_iter(b'\n', rest).find(is_end).map_or(rest.len(), |at| at + 1);
            if !matches!(head.get(to), Some(b' ' | b'\t')) {
                break;
            }
        }
        let field = head.get(from..to).unwrap_or_default();
        let field = field.strip_suffix(b"\r\n").unwrap_or(field);
        if let Some(colon) = memchr::memchr(b':', field) {
            found.push((field.get(..colon).unwrap_or_default().trim_ascii_end(), field));
        }
        from = to.max(from + 1);
    }
    found
}

/// RFC 6376 §3.4.2: the name in lower case, unfolded, white space as one space, none at the ends.
fn relaxed_header(out: &mut Vec<u8>, field: &[u8]) {
    let colon = memchr::memchr(b':', field).unwrap_or(field.len());
    let (name, value) = field.split_at(colon);
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let value = value.get(1..).unwrap_or_default();
    let value = value.strip_prefix(b" ").unwrap_or(value);
    // Most fields stand on one line, with single spaces: they are taken as they are.
    let is_doubled = |at: usize| matches!(value.get(at + 1), Some(b' ') | None);
    let is_plain = !value.starts_with(b" ")
        && memchr::memchr3(b'\t', b'\r', b'\n', value).is_none()
        && !memchr::memchr_iter(b' ', value).any(is_doubled);
    if is_plain {
        out.extend(value);
        return;
    }
    let mut words = value.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.extend(first);
    }
    for word in words {
        out.push(b' ');
        out.extend(word);
    }
}

/// SHA-256 of the body as RFC 6376 §3.4.4 has it: white space within a line as one space and none at its end, no
/// empty lines at the body's end.
fn body_hash(body: &[u8]) -> digest::Digest {
    let body = body.strip_suffix(b"\r\n").unwrap_or(body);
    let is_plain = !body.ends_with(b"\r\n")
        && !body.is_empty()
        && memchr::memchr(b'\t', body).is_none()
        && [&b"  "[..], b" \r\n"].iter().all(|odd| memchr::memmem::find(body, odd).is_none())
        && !body.ends_with(b" ");
    let mut hash = digest::Context::new(&digest::SHA256);
    if is_plain {
        hash.update(body);
        hash.update(b"\r\n");
        return hash.finish();
    }
    let mut empty = 0;
    let mut line = Vec::new();
    for raw in body.split(|byte| *byte == b'\n') {
        line.clear();
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let mut is_space = false;
        for byte in raw {
            match byte {
                b' ' | b'\t' => is_space = true,
                other => {
                    if std::mem::take(&mut is_space) {
                        line.push(b' ');
                    }
                    line.push(*other);
                }
            }
        }
        if line.is_empty() {
            empty += 1;
            continue;
        }
        (0..std::mem::take(&mut empty)).for_each(|_| hash.update(b"\r\n"));
        hash.update(&line);
        hash.update(b"\r\n");
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6376 §3.4.5.
    #[test]
    fn relaxed_is_as_the_standard_shows_it() {
        let head = b"A: X\r\nB : Y\t\r\n\tZ  \r\n";
        let mut out = Vec::new();
        for (_, field) in headers(head) {
            relaxed_header(&mut out, field);
            out.extend(b"\r\n");
        }
        assert_eq!(out, b"a:X\r\nb:Y Z\r\n");
        for (field, relaxed) in
            [("A: X Y", "a:X Y"), ("A:X  Y", "a:X Y"), ("A:  X", "a:X"), ("A: X ", "a:X"), ("A:", "a:")]
        {
            out.clear();
            relaxed_header(&mut out, field.as_bytes());
            assert_eq!(out, relaxed.as_bytes(), "{field:?}");
        }
        let expected = digest::digest(&digest::SHA256, b" C\r\nD E\r\n");
        assert_eq!(body_hash(b" C \r\nD \t E\r\n\r\n\r\n").as_ref(), expected.as_ref());
    }

    #[test]
    fn the_short_way_and_the_long_way_hash_the_same() {
        for (plain, odd) in [
            (&b"a\r\n\r\nb c\r\n"[..], &b"a \r\n\r\nb  c\r\n\r\n\r\n"[..]),
            (b"a\r\n", b"a"),
            (b" a\r\n", b"\ta\r\n"),
            (b"", b"\r\n\r\n"),
        ] {
            assert_eq!(body_hash(plain).as_ref(), body_hash(odd).as_ref(), "{plain:?} {odd:?}");
        }
        assert_ne!(body_hash(b"a\r\nb\r\n").as_ref(), body_hash(b"a\r\n\r\nb\r\n").as_ref());
    }

    #[test]
    fn a_key_signs_in_its_time_alone_and_says_nothing_of_itself_when_it_is_wrong() {
        let at = |days| Time::UNIX_EPOCH + chrono::Duration::days(days);
        for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
            let pem = SigningKey::create(algorithm).unwrap();
            let key = SigningKey::from_pem("example.org", "a", &pem, Some(at(10)), Some(at(20))).unwrap();
            for (day, is_signed) in [(9, false), (10, true), (19, true), (20, false)] {
                let message = b"From: a@example.org\r\n\r\nx\r\n".to_vec();
                let signed = sign([&key], message, at(day)).unwrap();
                assert_eq!(signed.starts_with(b"DKIM-Signature:"), is_signed, "{algorithm:?} {day}");
                assert!(signed.ends_with(b"From: a@example.org\r\n\r\nx\r\n"));
                assert!(signed.split(|byte| *byte == b'\n').all(|line| line.len() <= 79));
            }
            let (name, record) = key.record().unwrap();
            assert_eq!(name, "a._domainkey.example.org");
            assert!(record.starts_with("v=DKIM1; k="), "{record}");
        }
        for wrong in ["", "secret", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"] {
            let error = SigningKey::from_pem("example.org", "a", wrong, None, None).err().unwrap();
            assert!(!error.contains("secret") && !error.contains("c2Vj"), "{error}");
        }
    }
}
