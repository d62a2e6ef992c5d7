//! What the configuration says about mail.

use crate::wire::mail::Sender;
use std::path::PathBuf;
use std::time::Duration;

/// All of it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who mails are from.
    pub from: Sender,
    /// Where they go.
    pub way: Way,
    /// A message that was deferred this often is given up.
    pub attempts_max: u32,
    /// What becomes of messages that may have been accepted.
    pub doubtful: Doubtful,
    /// A server that says nothing for this long is given up; also the limit for connecting.
    pub timeout: Duration,
}

/// Where mails go.
#[derive(Debug, Clone)]
pub enum Way {
    /// Into files of this folder, one a mail.
    Outbox(PathBuf),
    /// To a mail server, which brings them to their addressees.
    Smtp(Smtp),
}

/// A mail server that takes mail for everybody.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name, which its certificate has to bear.
    pub host: String,
    /// Its port: 587 for [`Tls::Starttls`], 465 for [`Tls::Implicit`], 25 for [`Tls::None`].
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: Tls,
    /// Who logs in, if anybody has to.
    pub login: Option<Login>,
    /// Connections at the same time; each carries one message after the other.
    pub connections: usize,
    /// Certificates (PEM) that the server's may be signed by, in place of the system's.
    pub ca_file: Option<PathBuf>,
}

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It begins in the open and changes over; a server that does not offer this gets no mail. RFC 3207.
    Starttls,
    /// From the first byte on. RFC 8314 §3.3.
    Implicit,
    /// Not at all: for a server on this machine.
    None,
}

/// A name and its password. With [`Tls::None`] it goes in the open: for a server on this machine.
#[derive(Clone)]
pub struct Login {
    /// Name.
    pub username: String,
    /// Password; never shown.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What becomes of a message whose connection was lost before the server's last word, or which was on the wire when
/// the daemon broke off: nobody here knows whether it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubtful {
    /// It stays, is listed, and an operator decides: rather none than two.
    Hold,
    /// It is sent again, under the same message id: rather two than none.
    Resend,
}
