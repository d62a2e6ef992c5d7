//! What a server offers in its answer to EHLO. RFC 5321 §4.1.1.1.

use super::reply::Reply;

/// The extensions that matter here, as the server names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// Commands may be sent ahead of the replies. RFC 2920.
    pub(super) pipelining: bool,
    /// Messages may be sent by length, with BDAT. RFC 3030.
    pub(super) chunking: bool,
    /// Bytes above 127 may stand in a body. RFC 6152.
    pub(super) eight_bit: bool,
    /// And in addresses and headers. RFC 6531.
    pub(super) smtp_utf8: bool,
    /// Encryption can be begun. RFC 3207.
    pub(super) starttls: bool,
    /// The size of a message may be announced. RFC 1870.
    pub(super) size: bool,
    /// And may be no larger than this.
    pub(super) size_max: Option<u64>,
    /// How one may log in, in upper case. RFC 4954.
    pub(super) auth: Vec<String>,
}

impl Offers {
    /// Reads the answer to EHLO; what is not known is passed over. ENHANCEDSTATUSCODES (RFC 2034) changes nothing
    /// here: replies are read with and without such codes, since servers use them unannounced.
    pub(super) fn of(reply: &Reply) -> Self {
        let mut offers = Offers::default();
        // The first line is the server's name.
        for line in reply.text.lines().skip(1) {
            // `AUTH=LOGIN` is an old spelling that some servers still show besides the right one.
            let line = line.to_ascii_uppercase().replacen("AUTH=", "AUTH ", 1);
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("PIPELINING") => offers.pipelining = true,
                Some("CHUNKING") => offers.chunking = true,
                Some("8BITMIME") => offers.eight_bit = true,
                Some("SMTPUTF8") => offers.smtp_utf8 = true,
                Some("STARTTLS") => offers.starttls = true,
                Some("SIZE") => {
                    offers.size = true;
                    // 0 means that there is no fixed limit.
                    offers.size_max = words.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0);
                }
                Some("AUTH") => offers.auth.extend(words.map(str::to_owned)),
                Some(_) | None => {}
            }
        }
        offers
    }

    /// What is left of them without those that turned out to be `lies`.
    pub(super) fn without(mut self, lies: Lies) -> Self {
        self.pipelining &= !lies.pipelining;
        // Chunks are only worth their while in a row.
        self.chunking &= !lies.chunking;
        if lies.parameters {
            (self.size, self.eight_bit) = (false, false);
        }
        self
    }
}

/// Offers that a server did not keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::services::mailer) struct Lies {
    /// It loses commands that are sent ahead.
    pub(in crate::services::mailer) pipelining: bool,
    /// It does not know BDAT.
    pub(in crate::services::mailer) chunking: bool,
    /// It refuses the parameters SIZE and BODY.
    pub(in crate::services::mailer) parameters: bool,
}

impl Lies {
    /// Those of both.
    pub(in crate::services::mailer) fn with(self, other: Lies) -> Self {
        Lies {
            pipelining: self.pipelining | other.pipelining,
            chunking: self.chunking | other.chunking,
            parameters: self.parameters | other.parameters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_offers_is_read_however_it_is_spelled() {
        let lines = ["PIPELINING is my name", "pipelining", "SIZE 1000", "auth=login plain", "8BITMIME", "X-ODD 1"];
        let reply = Reply { code: 250, text: lines.join("\n") };
        let expected = Offers {
            pipelining: true,
            eight_bit: true,
            size: true,
            size_max: Some(1_000),
            auth: vec!["LOGIN".into(), "PLAIN".into()],
            ..Offers::default()
        };
        assert_eq!(Offers::of(&reply), expected);
        let name_alone = Reply { code: 250, text: "PIPELINING".into() };
        assert_eq!(Offers::of(&name_alone), Offers::default(), "the first line is a name");
        let no_limit = Reply { code: 250, text: "a\nSIZE 0".into() };
        assert_eq!(Offers::of(&no_limit).size_max, None);
    }
}
