//! `tidings.toml` and `feeds/*.toml` become a [`Config`]; every mistake is told at once, with its line.

mod advice;
mod dkim;
mod feeds;
mod keys;
mod mail;
mod mistakes;
mod section;
mod shaping;
mod subscriptions;
mod templates;
#[cfg(test)]
mod tests;
mod watchdog;

pub use dkim::{DkimKey, is_selector};
pub use feeds::load_categories;
pub use keys::{DKIM, FEED, Form, Key, SHAPING, Standard};
pub use mail::{Doubtful, Login, Mail, MailText, ReturnAddress, Returns, Secret, Sender, Smtp, Tls};
pub use mistakes::{Mistake, Mistakes};
pub use shaping::{OTHERS, Shape, WarmUp};
pub use subscriptions::{Every, Subscriptions};
pub use templates::{TemplateFile, template_files};
pub use watchdog::{Canary, MailClass, Watchdog};

use crate::domain::{Categories, Site, is_language_tag};
use section::{Section, Source};
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use toml::de::DeTable;
use tracing::Level;
use url::Url;

/// All that the daemon is told by its files. Paths are ready for use.
#[derive(Debug, Clone)]
pub struct Config {
    /// The newsroom.
    pub site: Site,
    /// Listening and limits.
    pub server: Server,
    /// Where the store is.
    pub store: Store,
    /// Sending mail.
    pub mail: Mail,
    /// Subscribing to it.
    pub subscriptions: Subscriptions,
    /// Logging.
    pub log: Log,
    /// The feed definitions.
    pub categories: Categories,
    /// Where they came from, for [`load_categories`] at a reload.
    pub feeds_folder: PathBuf,
    /// The WebSub hub that the feeds name, if they name one.
    pub hub: Option<Url>,
    /// Known articles that may get another id or date within an hour; any number if 0.
    pub flood_max: usize,
}

/// What `[server]` says.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where the public is served.
    pub listen: SocketAddr,
    /// Where health and metrics are served.
    pub admin_listen: SocketAddr,
    /// Threads that serve.
    pub threads: usize,
    /// Connections held at once.
    pub connections_max: usize,
    /// Largest request body.
    pub body_bytes_max: usize,
    /// Memory for prepared feeds.
    pub feeds_bytes_max: usize,
    /// Proxies that are believed who they ask for.
    pub proxies: Vec<IpAddr>,
    /// What open requests and mails get to finish at the end.
    pub drain: Duration,
}

/// What `[store]` says.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where everything durable lies.
    pub folder: PathBuf,
}

impl Store {
    /// The socket over which the command line reaches a running daemon.
    pub fn control_socket(&self) -> PathBuf {
        self.folder.join("control.sock")
    }
}

/// What `[log]` says.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    /// How a line looks.
    pub format: LogFormat,
    /// Least weight of what is logged.
    pub level: Level,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// [`LogFormat::Human`] on a terminal, [`LogFormat::Json`] elsewhere.
    Auto,
    /// For eyes.
    Human,
    /// One JSON object a line.
    Json,
}

/// Every key there is, in the order of the documentation.
pub fn reference() -> &'static [Key] {
    keys::KEYS
}

/// Reads `path` and the feeds folder it names.
///
/// Errors: every mistake in all the files, by file and line. Secrets are not part of any message.
pub fn load(path: &Path) -> Result<Config, Mistakes> {
    let mut mistakes = Mistakes::default();
    let config = read(path, &mut mistakes);
    match config {
        Some(config) if mistakes.none() => Ok(config),
        Some(_) | None => Err(mistakes.in_order()),
    }
}

/// Reads only `[store]` of `path`: enough to find a running daemon, even while other parts are being edited.
///
/// Errors: the mistakes in that section.
pub fn load_store(path: &Path) -> Result<Store, Mistakes> {
    let mut mistakes = Mistakes::default();
    let store = Source::read(path, path.to_owned(), &mut mistakes)
        .and_then(|source| store(&source, &source.parse(&mut mistakes)?, &mut mistakes));
    match store {
        Some(store) if mistakes.none() => Ok(store),
        Some(_) | None => Err(mistakes.in_order()),
    }
}

fn read(path: &Path, mistakes: &mut Mistakes) -> Option<Config> {
    let source = Source::read(path, path.to_owned(), mistakes)?;
    let table = source.parse(mistakes)?;
    section::refuse_unknown_sections(&source, &table, mistakes);
    // Each part is read to its end before any is given up, so that all mistakes are found.
    let site = site(&source, &table, mistakes);
    let server = server(&source, &table, mistakes);
    let store = store(&source, &table, mistakes);
    let base_url = site.as_ref().map(|site| &site.base_url);
    let store_folder = store.as_ref().map(|store| store.folder.as_path());
    let mail = mail::read(&source, &table, base_url, store_folder, mistakes);
    let subscriptions = subscriptions::read(&source, &table, mistakes);
    let log = log(&source, &table, mistakes);
    let language = site.as_ref().map_or("en", |site| &site.language);
    let feeds = categories(&source, &table, language, mistakes);
    let (categories, feeds_folder, hub, flood_max) = feeds?;
    let (site, server, store, mail, log) = (site?, server?, store?, mail?, log?);
    let subscriptions = subscriptions?;
    Some(Config { site, server, store, mail, subscriptions, log, categories, feeds_folder, hub, flood_max })
}

fn site(source: &Source, table: &DeTable<'_>, mistakes: &mut Mistakes) -> Option<Site> {
    let mut section = Section::open(source, table, "site", mistakes);
    let title = section.text(&keys::SITE_TITLE);
    let description = section.text(&keys::SITE_DESCRIPTION);
    let language = section.parsed(&keys::SITE_LANGUAGE, language);
    let base_url = section.parsed(&keys::SITE_BASE_URL, base_url);
    let print_line = section.flag(&keys::SITE_PRINT_LINE);
    let picture = |text: &str| Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let (icon, logo) = (section.parsed(&keys::SITE_ICON, picture), section.parsed(&keys::SITE_LOGO, picture));
    let accent_color = section.parsed(&keys::SITE_ACCENT_COLOR, color);
    let (title, description, language, base_url) = (title?, description?, language?, base_url?);
    Some(Site { title, description, language, base_url, icon, logo, accent_color, print_line })
}

fn server(source: &Source, table: &DeTable<'_>, mistakes: &mut Mistakes) -> Option<Server> {
    let mut section = Section::open(source, table, "server", mistakes);
    let listen: Option<SocketAddr> = section.parsed(&keys::SERVER_LISTEN, |text| text.parse().ok());
    let admin_listen: Option<SocketAddr> = section.parsed(&keys::SERVER_ADMIN_LISTEN, |text| text.parse().ok());
    // Port 0 lets the system choose, so two of them differ.
    if listen == admin_listen && listen.is_some_and(|address| address.port() != 0) {
        section.mistake(&keys::SERVER_ADMIN_LISTEN, "the same address as `listen`", "another one");
    }
    let threads = section.whole(&keys::SERVER_THREADS).map_or_else(cores, wide);
    let connections_max = section.whole(&keys::SERVER_CONNECTIONS_MAX).map(wide);
    let body_bytes_max = section.whole(&keys::SERVER_BODY_BYTES_MAX).map(wide);
    let feeds_bytes_max = section.whole(&keys::SERVER_FEEDS_BYTES_MAX).map(wide);
    let address = |text: &str| text.parse::<IpAddr>().ok();
    let proxies = section.parsed(&keys::SERVER_PROXIES, |text| text.split_whitespace().map(address).collect());
    let drain = section.whole(&keys::SERVER_DRAIN_S).map(Duration::from_secs);
    Some(Server {
        listen: listen?,
        admin_listen: admin_listen?,
        threads,
        connections_max: connections_max?,
        body_bytes_max: body_bytes_max?,
        feeds_bytes_max: feeds_bytes_max?,
        proxies: proxies?,
        drain: drain?,
    })
}

fn store(source: &Source, table: &DeTable<'_>, mistakes: &mut Mistakes) -> Option<Store> {
    let folder = Section::open(source, table, "store", mistakes).path(&keys::STORE_FOLDER);
    Some(Store { folder: folder? })
}

fn log(source: &Source, table: &DeTable<'_>, mistakes: &mut Mistakes) -> Option<Log> {
    let mut section = Section::open(source, table, "log", mistakes);
    let format = section.parsed(&keys::LOG_FORMAT, |word| match word {
        "auto" => Some(LogFormat::Auto),
        "human" => Some(LogFormat::Human),
        "json" => Some(LogFormat::Json),
        _ => None,
    });
    let level = section.parsed(&keys::LOG_LEVEL, |word| match word {
        "error" => Some(Level::ERROR),
        "warn" => Some(Level::WARN),
        "info" => Some(Level::INFO),
        "debug" => Some(Level::DEBUG),
        "trace" => Some(Level::TRACE),
        _ => None,
    });
    Some(Log { format: format?, level: level? })
}

fn categories(
    source: &Source,
    table: &DeTable<'_>,
    language: &str,
    mistakes: &mut Mistakes,
) -> Option<(Categories, PathBuf, Option<Url>, usize)> {
    let mut section = Section::open(source, table, "feeds", mistakes);
    let flood_max = section.whole(&keys::FEEDS_FLOOD_MAX).map(wide);
    let hub = section.parsed(&keys::FEEDS_HUB, hub);
    let folder = section.path(&keys::FEEDS_FOLDER)?;
    if !folder.is_dir() {
        let found = format!("{}, which is no folder", tidy(&folder).display());
        section.mistake(&keys::FEEDS_FOLDER, found, "a folder of feed definitions such as science.toml");
        return None;
    }
    match load_categories(&folder, language) {
        Ok(categories) => Some((categories, folder, hub, flood_max?)),
        Err(others) => {
            mistakes.extend(others);
            None
        }
    }
}

/// `#` and six hexadecimal digits, in lower case.
fn color(text: &str) -> Option<String> {
    let digits = text.strip_prefix('#')?;
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_ascii_lowercase())
}

/// `http` or `https`, and nothing that the public must not read: every feed shows it.
fn hub(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    is_plain.then_some(url)
}

/// `http` or `https` with a host, and a path that ends in `/`, so that addresses can be put behind it.
fn base_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    plain.then_some(url)
}

/// A BCP 47 tag of a language, not one for private use alone.
pub fn language(text: &str) -> Option<String> {
    let is_of_a_language = text.split('-').next().is_some_and(|primary| primary.len() > 1);
    (is_of_a_language && is_language_tag(text)).then(|| text.to_owned())
}

/// As many threads as there are cores, within what the key allows.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(wide(keys::THREADS_MAX))
}

fn wide(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// `path` without detours such as `newsroom/../../feeds`, for messages; as it is where that would name
/// something else, as it can behind a symbolic link.
fn tidy(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        let can_go_back = matches!(short.components().next_back(), Some(Component::Normal(_)));
        if part == Component::ParentDir && can_go_back {
            short.pop();
        } else {
            short.push(part);
        }
    }
    match (path.canonicalize(), short.canonicalize()) {
        (Ok(a), Ok(b)) if a == b => short,
        _ => path.to_owned(),
    }
}
