//! What a mail server's refusal says of the mailbox. RFC 3463, RFC 7505.

/// Status codes that speak of the mailbox itself. A refusal for other reasons (relaying, reputation, a wrong sender:
/// 5.7.x, 5.1.8) says nothing about the subscriber, and one wrong setting of a server must not cost a newsroom all of its
/// subscribers. RFC 3463 §3.2 and §3.3, RFC 7505 for 5.1.10.
const OF_MAILBOX: [&str; 8] = ["5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.0", "5.2.1"];

/// What a refusal says of the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// There is no such mailbox, and will not be.
    Hard,
    /// It took nothing this time: it is full, or its server does not like the mail.
    Soft,
}

/// What a report that says no mail was delivered means, by its enhanced status code.
pub fn of_report(status: &str) -> Verdict {
    if OF_MAILBOX.contains(&status) { Verdict::Hard } else { Verdict::Soft }
}

/// What a server's reply to a recipient means for the mailbox, if it is about that. A server that gives no enhanced code may
/// mean the mailbox as well as its own settings (`550 relay not permitted`): that counts as once in vain, and only if
/// it goes on for days as more.
pub fn of_reply(reply: &str) -> Option<Verdict> {
    let mut words = reply.split_whitespace();
    let code = words.next().unwrap_or_default();
    match words.next().filter(|word| is_status(word)) {
        Some(status) if OF_MAILBOX.contains(&status) => Some(Verdict::Hard),
        Some(status) => is_of_room(status).then_some(Verdict::Soft),
        None => matches!(code, "550" | "551" | "552" | "553").then_some(Verdict::Soft),
    }
}

/// Is it about the room in the mailbox, or whether it takes mail at all (RFC 3463 §3.3), for now or for good?
pub fn is_of_room(status: &str) -> bool {
    status.starts_with("5.2.") || status.starts_with("4.2.")
}

/// Is it an enhanced status code: a class of 2, 4 or 5, a subject, a detail (RFC 3463 §2)?
pub fn is_status(word: &str) -> bool {
    let mut parts = word.split('.');
    let is_number = |part: Option<&str>| {
        part.is_some_and(|part| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    matches!(parts.next(), Some("2" | "4" | "5"))
        && is_number(parts.next())
        && is_number(parts.next())
        && parts.next().is_none()
}
