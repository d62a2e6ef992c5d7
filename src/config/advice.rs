//! What is allowed and hardly ever meant: told at the start, and in the way of nothing.

use super::{Config, Mail};
use crate::domain::Site;

impl Config {
    /// A sentence for each setting by which mails would not do what they should.
    pub fn advice(&self) -> Vec<String> {
        let one_by_one = [one_click(&self.site, &self.mail), door(&self.mail), unsigned(&self.mail)];
        one_by_one.into_iter().flatten().chain(aligned(&self.mail)).collect()
    }
}

/// RFC 8058 §3.1: one-click unsubscribing is by an HTTPS address.
fn one_click(site: &Site, mail: &Mail) -> Option<String> {
    let is_plain = mail.smtp.is_some() && site.base_url.scheme() != "https";
    is_plain.then(|| {
        let address = &site.base_url;
        format!("`site.base_url` is {address}: mailbox providers offer one-click unsubscribing by https alone")
    })
}

fn door(mail: &Mail) -> Option<String> {
    let is_closed = mail.returns.maildir.is_none() && mail.returns.lmtp.is_none();
    (mail.return_address.is_some() && is_closed).then(|| {
        "`mail.return_address` is given, and neither `mail.returns_maildir` nor `mail.returns_lmtp`: \
         nobody reads the bounces and the wishes to leave that come there"
            .to_owned()
    })
}

/// When no key signs, though some are to: the first such time.
fn unsigned(mail: &Mail) -> Option<String> {
    let folder = mail.dkim_folder.as_ref()?.display();
    let mut keys: Vec<_> = mail.dkim.iter().map(|key| (key.not_before, key.not_after)).collect();
    // Whoever has no first day is first.
    keys.sort();
    let Some((_, mut until)) = keys.first().copied() else {
        return Some(format!(
            "`mail.dkim_folder` {folder} has no key: mails go out unsigned; `tidings mail dkim --create` makes one"
        ));
    };
    for (from, to) in keys {
        let end = until?;
        if from.is_some_and(|from| from > end) {
            break;
        }
        until = to.map(|to| to.max(end));
    }
    until.map(|end| format!("`mail.dkim_folder` {folder}: from {end} on no key signs, and mails go out unsigned"))
}

/// DMARC passes by a signature only where its domain is the sender's, or one of them is within the other (RFC 7489 §3.1.1).
fn aligned(mail: &Mail) -> impl Iterator<Item = String> {
    let from = mail.from.address.rsplit_once('@').map_or("", |(_, domain)| domain).to_ascii_lowercase();
    mail.dkim.iter().filter_map(move |key| {
        let by = key.domain.to_ascii_lowercase();
        let is_within = |inner: &str, outer: &str| inner == outer || inner.ends_with(&format!(".{outer}"));
        (!is_within(&by, &from) && !is_within(&from, &by)).then(|| {
            let file = key.file.display();
            format!("{file}: signs for {by}, and mail comes from {from}: for DMARC that is no signature of the sender")
        })
    })
}
