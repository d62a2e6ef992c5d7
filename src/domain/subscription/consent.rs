//! What a subscriber has agreed to, as it can be shown to them or to an authority.

use super::Time;
use crate::domain::Language;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// Who agreed to what, when, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Consent {
    /// The form or the program that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Given>,
    /// The owner of the address, who pressed the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Given>,
    /// Version of the wording beside that button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wording: Option<String>,
    /// The language in which it stood there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
}

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// When.
    #[serde(with = "crate::domain::millis")]
    pub at: Time,
    /// The client's address, where it is known: see `server.proxies`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
}

impl Consent {
    pub(super) fn is_unknown(&self) -> bool {
        *self == Consent::default()
    }
}
