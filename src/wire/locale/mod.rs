//! What readers are told, in their language: catalogues of messages (Fluent), and how each language writes dates and
//! numbers. The catalogues are compiled in and read once.
//!
//! They belong to `wire` since they turn values into text for the outside, know what HTML has to escape, and do no I/O;
//! mails, feeds, pages and the record of consent use them.

mod catalogue;
mod dates;
mod templates;

pub use catalogue::{Arg, Catalogue, MAIL_FILES, Problems};
pub use dates::When;
pub use templates::environment;
