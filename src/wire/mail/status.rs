//! What a mail server's refusal says of the mailbox. RFC 3463, RFC 7505.

/// Status codes that speak of the mailbox itself. A refusal for other reasons (relaying, reputation, a wrong sender:
/// 5.7.x, 5.1.8) says nothing about the subscriber, and one wrong setting of a server must not cost a newsroom all of its
/// subscribers. RFC 3463 §3.2 and §3.3, RFC 7505 for 5.1.10.
const OF_MAILBOX: [&str; 8] = ["5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.0", "5.2.1"];

/// Does the enhanced status code say that there is no such mailbox, and will not be?
pub fn is_no_mailbox(status: &str) -> bool {
    OF_MAILBOX.contains(&status)
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
