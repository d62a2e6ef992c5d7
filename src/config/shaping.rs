//! How fast mail goes to whom: the shapes of large providers that are built in, and the folder that changes and adds
//! some, one TOML file a group of domains.

use super::feeds::toml_files;
use super::keys::{self, SHAPING};
use super::mistakes::Mistakes;
use super::section::{Section, Source};
use super::{tidy, wide};
use crate::domain::{Address, Fault, Time};
use std::path::{Path, PathBuf};

/// How mail goes to the mailboxes of one provider, whatever server carries it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Name of the group.
    pub name: String,
    /// Its domains, in lower case. None: every domain that no other group has, each for itself.
    pub domains: Vec<String>,
    /// Connections that carry mail to it at once.
    pub connections: usize,
    /// Messages that one connection carries to it.
    pub messages_per_connection: usize,
    /// Messages in a minute; any number if 0.
    pub messages_per_minute: u32,
    /// Transient refusals in a row after which it is left in peace for a while.
    pub refusals_max: u32,
}

/// A plan for a domain that has not sent before: so many messages on the first day, and more each day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarmUp {
    /// Its first day.
    pub from: Time,
    /// Messages on that day.
    pub messages: u64,
    /// How many more on each next day.
    pub growth_percent: u32,
}

/// Name of the shape of all other domains.
pub const OTHERS: &str = "others";

/// What holds where no file says otherwise. The providers publish no numbers but Yahoo's 20 messages a connection;
/// the others are well below where senders were seen to be slowed down.
fn built_in() -> Vec<Shape> {
    let shape = |name: &str, domains: &str, connections, messages_per_connection, messages_per_minute| Shape {
        name: name.to_owned(),
        domains: domains.split_whitespace().map(str::to_owned).collect(),
        connections,
        messages_per_connection,
        messages_per_minute,
        refusals_max: 10,
    };
    vec![
        shape("gmail", "gmail.com googlemail.com", 10, 100, 3_000),
        shape("outlook", "outlook.com hotmail.com live.com msn.com", 5, 100, 1_500),
        shape("yahoo", "yahoo.com ymail.com rocketmail.com aol.com yahoo.co.uk yahoo.fr yahoo.de", 5, 20, 1_500),
        shape(OTHERS, "", usize::MAX, usize::MAX, 0),
    ]
}

/// The built-in shapes, changed and added to by each `*.toml` in `folder`.
pub(super) fn load(folder: Option<&Path>, mistakes: &mut Mistakes) -> Vec<Shape> {
    let mut shapes = built_in();
    let Some(folder) = folder else { return shapes };
    let shown = tidy(folder);
    let files = match toml_files(folder) {
        Ok(files) => files,
        Err(error) => {
            mistakes.add(&shown, None, Fault::new("mail.shaping_folder", error.to_string(), "a readable folder"));
            return shapes;
        }
    };
    for file in files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let shown = shown.join(file.file_name().unwrap_or_default());
        let base = shapes.iter().find(|shape| shape.name == name).cloned();
        let Some(shape) = shape(&file, shown, name, base, &shapes, mistakes) else { continue };
        shapes.retain(|other| other.name != shape.name);
        shapes.push(shape);
    }
    shapes
}

fn shape(
    file: &Path,
    shown: PathBuf,
    name: String,
    base: Option<Shape>,
    others: &[Shape],
    mistakes: &mut Mistakes,
) -> Option<Shape> {
    let source = Source::read(file, shown, mistakes)?;
    let table = source.parse(mistakes)?;
    let mut section = Section::open(&source, &table, SHAPING, mistakes);
    let domain = |text: &str| Address::parse("domains", &format!("a@{text}")).ok();
    let domains = |text: &str| -> Option<Vec<String>> {
        let parsed = text.split_whitespace().map(domain);
        parsed.map(|address| address?.as_str().split_once('@').map(|(_, domain)| domain.to_owned())).collect()
    };
    let written = section.parsed(&keys::SHAPING_DOMAINS, domains);
    let known = base.as_ref().map(|base| base.domains.clone());
    let domains = written.or(known).unwrap_or_default();
    if (name == OTHERS) != domains.is_empty() {
        section.mistake(&keys::SHAPING_DOMAINS, "no domains, or some for all others", "the group's domains");
        return None;
    }
    let is_taken = |domain: &&String| others.iter().any(|shape| shape.name != name && shape.domains.contains(domain));
    if let Some(domain) = domains.iter().find(is_taken) {
        section.mistake(&keys::SHAPING_DOMAINS, format!("{domain}, which another group has"), "domains of its own");
        return None;
    }
    let base = base.unwrap_or_else(|| Shape {
        name: name.clone(),
        domains: Vec::new(),
        connections: usize::MAX,
        messages_per_connection: usize::MAX,
        messages_per_minute: 0,
        refusals_max: 10,
    });
    let connections = section.whole(&keys::SHAPING_CONNECTIONS).map(wide);
    let messages_per_connection = section.whole(&keys::SHAPING_MESSAGES_PER_CONNECTION).map(wide);
    let narrow = |number: u64| u32::try_from(number).ok();
    let messages_per_minute = section.whole(&keys::SHAPING_MESSAGES_PER_MINUTE).and_then(narrow);
    let refusals_max = section.whole(&keys::SHAPING_REFUSALS_MAX).and_then(narrow);
    Some(Shape {
        name,
        domains,
        connections: connections.unwrap_or(base.connections),
        messages_per_connection: messages_per_connection.unwrap_or(base.messages_per_connection),
        messages_per_minute: messages_per_minute.unwrap_or(base.messages_per_minute),
        refusals_max: refusals_max.unwrap_or(base.refusals_max),
    })
}
