//! What `Accept-Encoding` says of the codings that feeds come in (RFC 9110 §12.5.3).

use crate::services::feeds::Coding;

/// The codings that a client takes, the most wanted first; of those that it wants alike, the smallest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::web) struct Wanted {
    codings: [Coding; 4],
    count: usize,
}

impl Wanted {
    /// Reads the header; without one, the plain bytes alone are wanted: many clients that say nothing unpack nothing.
    pub(in crate::web) fn parse(accept: Option<&[u8]>) -> Self {
        let mut weights: [Option<u16>; 4] = [None; 4];
        let mut star = None;
        for part in accept.unwrap_or_default().split(|byte| *byte == b',') {
            let mut parameters = part.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = parameters.next().unwrap_or_default();
            // A weight that cannot be read counts as none: better plain bytes than none that can be read.
            let weight = parameters.next().map_or(Some(1_000), weight).unwrap_or(0);
            match coding(name) {
                Some(coding) => weights[coding as usize] = Some(weight),
                None if name == b"*" => star = Some(weight),
                None => {}
            }
        }
        let plain = weights[Coding::Identity as usize].or(star.filter(|star| *star == 0)).unwrap_or(1);
        let mut ranked = Coding::ALL.map(|coding| match coding {
            // Least wanted of all unless it was named: that is what `identity` means where it stands in no list.
            Coding::Identity => (plain, coding),
            Coding::Gzip | Coding::Zstd | Coding::Brotli => (weights[coding as usize].or(star).unwrap_or(0), coding),
        });
        ranked.sort_unstable_by(|one, other| other.cmp(one));
        let count = ranked.iter().filter(|(weight, _)| *weight > 0).count();
        Wanted { codings: ranked.map(|(_, coding)| coding), count }
    }

    /// The most wanted first. Empty if the client takes nothing that can be had.
    pub(in crate::web) fn codings(&self) -> &[Coding] {
        &self.codings[..self.count]
    }
}

fn coding(name: &[u8]) -> Option<Coding> {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        2 if is(b"br") => Some(Coding::Brotli),
        4 if is(b"gzip") => Some(Coding::Gzip),
        4 if is(b"zstd") => Some(Coding::Zstd),
        6 if is(b"x-gzip") => Some(Coding::Gzip),
        8 if is(b"identity") => Some(Coding::Identity),
        _ => None,
    }
}

/// `q=0.5` in thousandths (§12.4.2).
fn weight(parameter: &[u8]) -> Option<u16> {
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    let weight: f32 = std::str::from_utf8(value.trim_ascii()).ok()?.parse().ok()?;
    // Between 0 and 1 by the rule; in thousandths it fits.
    (0.0..=1.0).contains(&weight).then_some((weight * 1_000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Coding::{Brotli, Gzip, Identity, Zstd};

    #[test]
    fn a_coding_is_sent_only_to_who_takes_it() {
        for (accept, expected) in [
            ("gzip", &[Gzip, Identity][..]),
            ("gzip, deflate, br, zstd", &[Zstd, Brotli, Gzip, Identity]),
            ("br, gzip;q=0.5", &[Brotli, Gzip, Identity]),
            ("br;q=0.1, gzip;q=0.5", &[Gzip, Brotli, Identity]),
            ("GZIP", &[Gzip, Identity]),
            ("x-gzip", &[Gzip, Identity]),
            ("*", &[Zstd, Brotli, Gzip, Identity]),
            ("", &[Identity]),
            ("gzip;q=0", &[Identity]),
            ("gzip;q=0, *", &[Zstd, Brotli, Identity]),
            ("identity, gzip; q=0.000", &[Identity]),
            ("identity;q=1, gzip;q=0.5", &[Identity, Gzip]),
            ("gzip, identity;q=0", &[Gzip]),
            ("gzip, *;q=0", &[Gzip]),
            ("identity;q=0", &[]),
            ("gzip;q=nan", &[Identity]),
            ("gzip;q=7", &[Identity]),
            (",,;;=, gzip ;q=1.0;x=y", &[Gzip, Identity]),
        ] {
            assert_eq!(Wanted::parse(Some(accept.as_bytes())).codings(), expected, "{accept}");
        }
        assert_eq!(Wanted::parse(None).codings(), [Identity]);
    }
}
