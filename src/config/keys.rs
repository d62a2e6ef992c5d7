//! The one table of all keys: what may stand where, what holds where nothing stands, what it means.
//! The reader takes form, range and default from here; README's table is held against it by a test.

/// Section name of the keys that stand at the top of a feed definition, `feeds/<slug>.toml`.
pub const FEED: &str = "feeds/*.toml";

/// Section name of the keys that stand at the top of a file about a signing key, `<selector>.toml`.
pub const DKIM: &str = "dkim/*.toml";

/// Section name of the keys that stand at the top of a file about a group of domains, `<name>.toml`.
pub const SHAPING: &str = "shaping/*.toml";

/// Does `section` stand for files of its own, whose keys stand at the top?
pub(super) fn is_file(section: &str) -> bool {
    [FEED, DKIM, SHAPING].contains(&section)
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Where it stands: `server` for `[server]`, `mail.smtp` for `[mail.smtp]`, or [`FEED`].
    pub section: &'static str,
    /// Its name there; the unit is its last word.
    pub name: &'static str,
    /// What it may hold.
    pub form: Form,
    /// What holds where it is not written.
    pub standard: Standard,
    /// What it is for, in a sentence.
    pub meaning: &'static str,
}

impl Key {
    /// The name by which messages call it: `server.listen`, or `limit` in a feed definition.
    pub fn path(&self) -> String {
        dotted(self.section, self.name)
    }
}

/// `name` in `section`, as a message shows it.
pub(super) fn dotted(section: &str, name: &str) -> String {
    if is_file(section) { name.to_owned() } else { format!("{section}.{name}") }
}

/// What a key may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text on one line.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number in a range.
    Whole {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of these words.
    Word(&'static [&'static str]),
    /// A file or folder; relative to the file that names it.
    Path,
    /// A file that holds a secret: what stands here is never shown, lest it be the secret itself.
    SecretPath,
    /// An address to listen on.
    Socket,
    /// IP addresses, separated by spaces.
    Addresses,
    /// A colour.
    Color,
    /// A public web address.
    Url,
    /// A mail address, with or without a name.
    Mailbox,
    /// A BCP 47 tag.
    Language,
    /// A category's name in addresses.
    Slug,
    /// An IANA time zone.
    Zone,
    /// A day.
    Day,
}

impl Form {
    /// The right half of a message: `expected …`.
    pub fn expected(&self) -> String {
        match self {
            Form::Text => "text on one line".into(),
            Form::Flag => "true or false".into(),
            Form::Whole { min, max } => format!("{min} to {max}"),
            Form::Word(words) => {
                let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
            Form::Path => "a path, in quotes".into(),
            Form::SecretPath => "the path of a readable file that holds the secret".into(),
            Form::Socket => "an address such as 127.0.0.1:8080".into(),
            Form::Addresses => "IP addresses such as 192.0.2.1, separated by spaces".into(),
            Form::Color => "a colour such as #8b1a1a".into(),
            Form::Url => "an address such as https://news.example.org/".into(),
            Form::Mailbox => "a mail address such as Newsroom <news@example.org>".into(),
            Form::Language => "a language tag such as en or ru-RU".into(),
            Form::Slug => "1 to 64 of a-z, 0-9 and hyphen".into(),
            Form::Zone => "an IANA time zone such as Europe/Moscow".into(),
            Form::Day => "a day such as 2026-12-31".into(),
        }
    }
}

/// What holds where a key is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// It must be written.
    Required,
    /// This value, as it would be written, without quotes.
    Value(&'static str),
    /// What these words say.
    Rule(&'static str),
}

use Form::{
    Addresses, Color, Day, Flag, Language, Mailbox, Path, SecretPath, Slug, Socket, Text, Url, Whole, Word, Zone,
};
use Standard::{Required, Rule, Value};

/// One table of keys, each with a constant of its own, so that the reader cannot ask for one that is not listed.
macro_rules! keys {
    ($($id:ident: $section:expr, $name:literal, $form:expr, $standard:expr, $meaning:literal;)*) => {
        $(pub(super) const $id: Key =
            Key { section: $section, name: $name, form: $form, standard: $standard, meaning: $meaning };)*
        /// All of them, in the order of the documentation.
        pub(super) const KEYS: &[Key] = &[$($id),*];
    };
}

/// One a core is the fastest; nobody serves feeds from more cores than this.
pub(super) const THREADS_MAX: u64 = 64;

/// A deadline of mail, in minutes: up to a week.
const LATE: Form = Whole { min: 1, max: 10_080 };

/// Nobody waits longer for a daemon to end, or for a mail server to answer.
const WAIT_S_MAX: u64 = 600;

keys! {
    SITE_TITLE: "site", "title", Text, Required, "Name of the newsroom.";
    SITE_DESCRIPTION: "site", "description", Text, Value(""), "A sentence about it.";
    SITE_LANGUAGE: "site", "language", Language, Value("en"), "Language of articles that name none.";
    SITE_BASE_URL: "site", "base_url", Url, Required, "Public address of this daemon; every link starts with it.";
    SITE_ICON: "site", "icon", Url, Rule("none"), "Square picture of the newsroom; readers show it beside its feeds.";
    SITE_LOGO: "site", "logo", Url, Rule("none"), "The newsroom's name as a picture.";
    SITE_ACCENT_COLOR: "site", "accent_color", Color, Rule("none"), "The newsroom's colour; some readers take it over.";
    SITE_PRINT_LINE: "site", "print_line", Flag, Value("true"), "Does the full text in feeds end in a \"Print\" link?";

    SERVER_LISTEN: "server", "listen", Socket, Value("127.0.0.1:8080"), "Where the public is served.";
    SERVER_ADMIN_LISTEN: "server", "admin_listen", Socket, Value("127.0.0.1:8081"),
        "Where health and metrics are served; keep it from the public.";
    SERVER_THREADS: "server", "threads", Whole { min: 1, max: THREADS_MAX }, Rule("number of cores, at most 64"),
        "Threads that serve.";
    SERVER_CONNECTIONS_MAX: "server", "connections_max", Whole { min: 1, max: 1_000_000 }, Value("10000"),
        "Connections held at once; more wait to be accepted.";
    SERVER_BODY_BYTES_MAX: "server", "body_bytes_max", Whole { min: 1_024, max: 16_777_216 }, Value("2097152"),
        "Largest request body, in bytes.";
    SERVER_FEEDS_BYTES_MAX: "server", "feeds_bytes_max", Whole { min: 1 << 20, max: 1 << 40 }, Value("33554432"),
        "Memory for feeds that are ready to be served; those that nobody asked for the longest are built anew.";
    SERVER_PROXIES: "server", "proxies", Addresses, Value(""),
        "Addresses of proxies, separated by spaces, whose X-Forwarded-For is believed; one on this machine always is.";
    SERVER_DRAIN_S: "server", "drain_s", Whole { min: 0, max: WAIT_S_MAX }, Value("10"),
        "Seconds that open requests and mails get to finish at the end.";

    STORE_FOLDER: "store", "folder", Path, Value("data"), "Where everything durable lies.";

    FEEDS_FOLDER: "feeds", "folder", Path, Value("feeds"), "Folder of feed definitions, one file a category.";
    FEEDS_FLOOD_MAX: "feeds", "flood_max", Whole { min: 0, max: 1_000_000 }, Value("10"),
        "Known articles that may get another id, or another date, within an hour, since readers would show them as unread; 0 lets all pass.";
    FEEDS_HUB: "feeds", "hub", Url, Rule("none"),
        "Address of a WebSub hub: the feeds of the newsroom and of each category name it, and it is told when they change.";

    MAIL_FROM: "mail", "from", Mailbox, Rule("tidings@ and the host of base_url"), "Sender of all mail.";
    MAIL_OUTBOX: "mail", "outbox", Path, Rule("outbox below store.folder"),
        "Folder for mails as files, used where there is no [mail.smtp].";
    MAIL_TEXT: "mail", "text", Word(&["summary", "full"]), Value("summary"),
        "What a mail about one article has of its text: its summary, or all of it, as far as mail programs show it, with a link to the rest. Nothing in a mail is fetched from anywhere, so its pictures become links. Digests have summaries.";
    MAIL_ARTICLE_AGE_MAX_H: "mail", "article_age_max_h", Whole { min: 0, max: 87_600 }, Value("48"),
        "Hours; an article that came in with a date in the past, and is published longer than this after it, is not mailed, so importing an archive mails nobody; one that waited here for its date is.";
    MAIL_GRACE_S: "mail", "grace_s", Whole { min: 0, max: 86_400 }, Value("60"),
        "Seconds between publishing and mailing; what is corrected meanwhile is mailed corrected, what is retracted not at all.";
    MAIL_ATTEMPTS_MAX: "mail", "attempts_max", Whole { min: 1, max: 100 }, Value("30"),
        "Tries for one mail before it is given up.";
    MAIL_AGE_MAX_H: "mail", "age_max_h", Whole { min: 1, max: 8_760 }, Value("120"),
        "Hours after which a mail that is refused for now is not tried again.";
    MAIL_NUMBERS_AGE_MAX_DAYS: "mail", "numbers_age_max_days", Whole { min: 30, max: 3_650 }, Value("400"),
        "Days for which what became of mails can be told, those of an article from its date on: a year, and a month to compare with.";
    MAIL_LEDGER_AGE_MAX_DAYS: "mail", "ledger_age_max_days", Whole { min: 90, max: 3_650 }, Value("180"),
        "Days for which it is kept who got which notice, digest and correction; who was told something wrong before that cannot be corrected any more.";
    MAIL_SHAPING_FOLDER: "mail", "shaping_folder", Path, Rule("what is built in for gmail, outlook and yahoo"),
        "Folder of files that say how fast mail goes to which domains, a file <name>.toml for each group.";
    MAIL_WARM_UP_FROM: "mail", "warm_up_from", Day, Rule("no plan"),
        "First day of a plan for a sending domain that is new: so many mails that day, and more each day.";
    MAIL_WARM_UP_MESSAGES: "mail", "warm_up_messages", Whole { min: 1, max: 1_000_000 }, Value("500"), "Mails on that day.";
    MAIL_WARM_UP_GROWTH_PERCENT: "mail", "warm_up_growth_percent", Whole { min: 1, max: 1_000 }, Value("50"),
        "How many more on each next day.";
    MAIL_DOUBTFUL: "mail", "doubtful", Word(&["hold", "resend"]), Value("hold"),
        "What becomes of mails that were on the wire at a crash: kept for a person to decide, or sent again.";
    MAIL_CONFIRMATIONS_PER_HOUR_MAX: "mail", "confirmations_per_hour_max", Whole { min: 1, max: 1_000_000 },
        Value("1000"), "Confirmation mails sent in an hour, all subscribers together.";
    MAIL_RETURN_ADDRESS: "mail", "return_address", Mailbox, Rule("mail.from, and no leaving by mail"),
        "Where bounces come back to; each subscriber's mails get their own by a signed part behind a +, and one can leave by a mail to it.";
    MAIL_RETURNS_MAILDIR: "mail", "returns_maildir", Path, Rule("none"),
        "Maildir into which mail to return_address is delivered; bounces, complaints and wishes to leave are read from it.";
    MAIL_RETURNS_LMTP: "mail", "returns_lmtp", Socket, Rule("none"),
        "Where a mail server may hand over mail to return_address, by LMTP; keep it from the public.";
    MAIL_TEMPLATES: "mail", "templates", Path, Rule("what is built in"),
        "Folder of the newsroom's own mail templates and messages; each file takes the place of the built-in one of its name.";
    MAIL_DKIM_FOLDER: "mail", "dkim_folder", Path, Rule("no signatures"),
        "Folder of signing keys, a file <selector>.toml each; `tidings mail dkim` makes keys and shows their DNS records.";

    SMTP_HOST: "mail.smtp", "host", Text, Required, "Name of the mail server.";
    SMTP_PORT: "mail.smtp", "port", Whole { min: 1, max: 65_535 }, Rule("587 for starttls, 465 for implicit, 25 for none"),
        "Its port.";
    SMTP_TLS: "mail.smtp", "tls", Word(&["starttls", "implicit", "none"]), Value("starttls"),
        "Encryption: begun by STARTTLS, from the first byte, or none.";
    SMTP_USERNAME: "mail.smtp", "username", Text, Rule("no authentication"), "Name to log in with.";
    SMTP_PASSWORD_FILE: "mail.smtp", "password_file", SecretPath, Rule("no authentication"),
        "File whose content is the password; a line end behind it does not count.";
    SMTP_CONNECTIONS: "mail.smtp", "connections", Whole { min: 1, max: 100 }, Value("4"), "Connections used at once.";
    SMTP_MESSAGES_PER_CONNECTION: "mail.smtp", "messages_per_connection", Whole { min: 1, max: 1_000_000 }, Value("1000"),
        "Messages after which a connection is closed and another one opened.";
    SMTP_CA_FILE: "mail.smtp", "ca_file", Path, Rule("the system's certificates"),
        "PEM file of a certificate authority of one's own.";
    SMTP_TIMEOUT_S: "mail.smtp", "timeout_s", Whole { min: 1, max: WAIT_S_MAX }, Value("30"),
        "Seconds that the server gets for each step.";
    SMTP_TIMEOUT_END_S: "mail.smtp", "timeout_end_s", Whole { min: 1, max: 3_600 }, Value("600"),
        "Seconds that it gets to say whether it takes a whole message; after less, nobody knows.";

    WATCHDOG_CONFIRMATION_MIN: "mail.watchdog", "confirmation_min", LATE, Value("15"),
        "Minutes after which a confirmation mail that is not finished is late, from when it was first due.";
    WATCHDOG_NOTICE_MIN: "mail.watchdog", "notice_min", LATE, Value("60"), "The same of the notice of an article.";
    WATCHDOG_DIGEST_MIN: "mail.watchdog", "digest_min", LATE, Value("120"), "The same of a digest, from its hour on.";
    WATCHDOG_CORRECTION_MIN: "mail.watchdog", "correction_min", LATE, Value("60"), "The same of a correction.";
    WATCHDOG_PREFERENCES_MIN: "mail.watchdog", "preferences_min", LATE, Value("15"),
        "The same of a link to the preferences, and of the news of having left.";
    CANARY_ADDRESS: "mail.canary", "address", Mailbox, Rule("no canary"),
        "Address whose mail comes back to return_address: a mail is sent there again and again, and has to come back.";
    CANARY_EVERY_MIN: "mail.canary", "every_min", Whole { min: 1, max: 10_080 }, Value("30"),
        "Minutes from one to the next.";
    CANARY_DEADLINE_MIN: "mail.canary", "deadline_min", Whole { min: 1, max: 10_080 }, Value("15"),
        "Minutes within which it has to come back.";

    DKIM_DOMAIN: DKIM, "domain", Text, Rule("domain of mail.from"), "Domain that signs.";
    DKIM_KEY_FILE: DKIM, "key_file", SecretPath, Rule("the file's name with .pem"), "Private key, RSA or Ed25519, in PEM.";
    DKIM_NOT_BEFORE: DKIM, "not_before", Day, Rule("signs at once"), "First day on which it signs (UTC).";
    DKIM_NOT_AFTER: DKIM, "not_after", Day, Rule("signs for ever"), "Day from which on it signs no more.";
    SUBSCRIPTIONS_CADENCE: "subscriptions", "cadence", Word(&["instant", "daily", "weekly"]), Value("instant"),
        "How often a subscriber gets mail who does not say: each article as it comes out, or a digest.";
    SUBSCRIPTIONS_HOUR: "subscriptions", "hour", Whole { min: 0, max: 23 }, Value("7"),
        "Hour of the digests, on the subscriber's clock, where the subscriber chooses none.";
    SUBSCRIPTIONS_WEEKDAY: "subscriptions", "weekday", Word(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
        Value("mon"), "Day of weekly digests where the subscriber chooses none.";
    SUBSCRIPTIONS_TIME_ZONE: "subscriptions", "time_zone", Zone, Value("UTC"),
        "Time zone of subscribers who name none.";
    SUBSCRIPTIONS_INSTANT_PER_DAY_MAX: "subscriptions", "instant_per_day_max", Whole { min: 1, max: 10_000 },
        Value("20"), "Instant mails to one address in a day; the articles behind them come in one digest.";
    SUBSCRIPTIONS_CONFIRMATIONS_PER_DOMAIN_PER_HOUR_MAX: "subscriptions", "confirmations_per_domain_per_hour_max",
        Whole { min: 1, max: 1_000_000 }, Value("300"),
        "Confirmation mails sent in an hour to addresses of one domain.";
    SUBSCRIPTIONS_CONFIRMATIONS_PER_ADDRESS_PER_DAY_MAX: "subscriptions", "confirmations_per_address_per_day_max",
        Whole { min: 1, max: 1_000 }, Value("5"), "Confirmation mails sent in a day to one address, and to all of a mailbox together that differ behind a `+`.";
    SUBSCRIPTIONS_UNPROVEN_WAIT_S: "subscriptions", "unproven_wait_s", Whole { min: 0, max: 3_600 }, Value("120"),
        "Seconds that a confirmation mail waits which was asked for without the form's script.";
    SUBSCRIPTIONS_DIGEST_ITEMS_MAX: "subscriptions", "digest_items_max", Whole { min: 1, max: 500 }, Value("50"),
        "Articles in a digest; a link leads to the others.";
    SUBSCRIPTIONS_DIGEST_BYTES_MAX: "subscriptions", "digest_bytes_max", Whole { min: 10_000, max: 95_000 },
        Value("80000"), "Bytes of a digest as it is sent; some mailboxes cut a mail off at 102,000, and the link to leave stands at its end.";

    SHAPING_DOMAINS: SHAPING, "domains", Text, Rule("as built in; none in others.toml"),
        "The group's domains, separated by spaces. others.toml holds for each domain that is in no group.";
    SHAPING_CONNECTIONS: SHAPING, "connections", Whole { min: 1, max: 100 }, Rule("as built in, else any number"),
        "Connections that carry mail to it at once.";
    SHAPING_MESSAGES_PER_CONNECTION: SHAPING, "messages_per_connection", Whole { min: 1, max: 1_000_000 },
        Rule("as built in, else any number"), "Mails that one connection carries to it.";
    SHAPING_MESSAGES_PER_MINUTE: SHAPING, "messages_per_minute", Whole { min: 0, max: 1_000_000 },
        Rule("as built in, else any number"), "Mails in a minute; any number if 0.";
    SHAPING_REFUSALS_MAX: SHAPING, "refusals_max", Whole { min: 1, max: 10_000 }, Rule("10"),
        "Transient refusals in a row after which it gets peace, longer each time.";

    LOG_FORMAT: "log", "format", Word(&["auto", "human", "json"]), Value("auto"),
        "auto is human on a terminal and JSON elsewhere.";
    LOG_LEVEL: "log", "level", Word(&["error", "warn", "info", "debug", "trace"]), Value("info"),
        "Least weight of what is logged.";

    FEED_SLUG: FEED, "slug", Slug, Rule("the file's name without .toml"), "Name in addresses.";
    FEED_TITLE: FEED, "title", Text, Required, "Name for people.";
    FEED_DESCRIPTION: FEED, "description", Text, Value(""), "A sentence about it; stands in the feeds' head.";
    FEED_LANGUAGE: FEED, "language", Language, Rule("site.language"), "Language of its articles.";
    FEED_ARTICLES: FEED, "articles", Path, Rule("fed by the API only"),
        "Folder of article files that is watched; it must exist.";
    FEED_TIME_ZONE: FEED, "time_zone", Zone, Value("UTC"), "Zone of dates that are written without one.";
    FEED_LIMIT: FEED, "limit", Whole { min: 1, max: 200 }, Value("50"), "Items in each of its feeds.";
}
