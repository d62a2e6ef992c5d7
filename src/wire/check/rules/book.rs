//! Rules of the text itself: encoding, characters, well-formedness, and what HTTP says of it. Those who read the text find
//! the breaches.

use super::sources::VALIDATOR;
use super::{Rule, by_another, rule};
use crate::wire::check::findings::Severity::{Advice, Error, Warning};

const XML: &str = "XML 1.0 §2.1";
const CHARACTERS: &str = "XML 1.0 §2.2";
const OWN_LIMIT: &str = "tidings, so that no feed costs more than it is worth";

/// One of these rules: text level, so there is no node to look at.
const fn of_text(
    severity: crate::wire::check::findings::Severity,
    name: &'static str,
    expected: &'static str,
    source: &'static str,
) -> Rule {
    rule(severity, name, &[], by_another, expected, source)
}

macro_rules! book {
    ($($(#[doc = $doc:literal])* $constant:ident = $rule:expr;)*) => {
        $($(#[doc = $doc])* pub(in crate::wire::check) static $constant: Rule = $rule;)*
        /// All of them.
        pub(super) const RULES: &[Rule] = &[$($rule),*];
    };
}

book! {
    /// Bytes that are no text.
    NOT_UNICODE = of_text(Error, "UnicodeError", "bytes of the encoding that is named", "RFC 7303 §3");
    UNKNOWN_ENCODING = of_text(Error, "UnknownEncoding", "an encoding of the WHATWG's list, best utf-8", "XML 1.0 §4.3.3");
    ENCODING_MISMATCH = of_text(Warning, "EncodingMismatch", "one encoding in HTTP, mark and declaration", "RFC 7303 §3");
    NOT_UTF8 = of_text(Advice, "NotUTF8", "utf-8", "Apple News, support.apple.com/guide/news-publisher/apdc2c7520ff");
    BAD_CHARACTER = of_text(Error, "BadCharacters", "characters that XML allows", CHARACTERS);
    DOUBTFUL_CHARACTER = of_text(Warning, "BadCharacters", "text that was decoded rightly", VALIDATOR);
    WELL_FORMED = of_text(Error, "SAXError", "well-formed XML", XML);
    BAD_XML_VERSION = of_text(Error, "BadXmlVersion", "version=\"1.0\"", "XML 1.0 §2.8");
    UNDECLARED_PREFIX = of_text(Error, "UndeclaredPrefix", "a prefix that xmlns declares", "Namespaces in XML 1.0 §5");
    UNDEFINED_ENTITY =
        of_text(Error, "UndefinedNamedEntity", "amp, lt, gt, quot, apos, or a number", "XML 1.0 §4.1");
    DOCTYPE = of_text(Warning, "InvalidDoctype", "no entities of its own: readers do not expand them", VALIDATOR);
    SYSTEM_ENTITY = of_text(Warning, "ContainsSystemEntity", "no entities from elsewhere", VALIDATOR);
    LIMIT = of_text(Error, "ValidatorLimit", "a feed within the limits", OWN_LIMIT);
    BAD_JSON = of_text(Error, "InvalidJSON", "JSON", "RFC 8259");
    REPEATED_MEMBER = of_text(Warning, "DuplicateMember", "each member once", "RFC 8259 §4");
    JSON_CHARACTER = of_text(Warning, "BadCharacters", "text without control characters", "Unicode, chapter 23.1");
    CONTENT_TYPE = of_text(
        Warning,
        "UnexpectedContentType",
        "application/rss+xml, application/atom+xml or application/feed+json, or application/xml or application/json",
        "RFC 7303, RFC 4287 §8, JSON Feed 1.1 (Suggestions for Publishers)"
    );
    NO_LINK_FIELD = of_text(
        Warning,
        "MissingLinkField",
        "a hub's address in a Link field with rel=\"hub\", and exactly one with rel=\"self\"",
        "WebSub §4"
    );
    TEXT_XML = of_text(
        Warning,
        "UnexpectedContentType",
        "application/xml: text/xml without a charset means us-ascii to many readers",
        "RFC 3023 §3.1"
    );
    OBSOLETE = of_text(Warning, "ObsoleteVersion", "RSS 2.0, Atom 1.0 or JSON Feed 1.1", VALIDATOR);
    OBSOLETE_NAMESPACE = of_text(Error, "ObsoleteNamespace", "Atom 1.0: http://www.w3.org/2005/Atom", "RFC 4287 §1.2");
    UNKNOWN = of_text(Error, "UndefinedElement", "a feed: rss, feed, rdf:RDF, or JSON Feed", VALIDATOR);
    NOT_ANSWERED_AS = of_text(Error, "UndefinedElement", "a feed of the format that was written", "tidings");
}
