//! The same commands on the store itself, while no daemon runs. One function a command.

use super::failure::Failure;
use super::operate::{DoubtfulPage, DoubtfulRow, Finding, HeldRow, KeyRow, NewKey, Report};
use crate::config;
use crate::domain::{Address, Categories, Clock, Problem, Site, Time};
use crate::services::erase::Eraser;
use crate::services::keys::Keys;
use crate::services::mailer::{DoubtfulMessage, Mailer};
use crate::services::newsroom::{Newsroom, SharedNewsroom};
use crate::services::numbers::{Asked, Page, page};
use crate::services::quarantine::{Owed, Quarantine};
use crate::services::subscribe::Subscriptions;
use crate::store::{Place, Store, check as check_store, export as export_store, import as import_store, wait};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use chrono::SecondsFormat;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;

/// Makes a key for `name`.
pub(super) fn create_key(config_file: &Path, name: &str) -> Result<NewKey, Failure> {
    let folder = config::load_store(config_file)?.folder;
    // A first key may be made before the daemon first starts.
    let store = Store::open(&folder).map_err(anyhow::Error::from)?;
    let (record, key) = wait(Keys::new(Arc::new(store), Clock::system())?.create(name))?;
    Ok(NewKey { id: record.id, name: record.name, key })
}

/// All keys.
pub(super) fn list_keys(config_file: &Path) -> Result<Vec<KeyRow>, Failure> {
    let row = |key: crate::store::ApiKey| KeyRow { id: key.id, name: key.name, created_at: moment(key.created_at) };
    Ok(Keys::new(open(config_file)?, Clock::system())?.list()?.into_iter().map(row).collect())
}

/// Makes the key worthless.
pub(super) fn revoke_key(config_file: &Path, id: &str) -> Result<(), Failure> {
    wait(Keys::new(open(config_file)?, Clock::system())?.revoke(id))?;
    Ok(())
}

/// Writes the whole store as JSON Lines.
pub(super) fn export(config_file: &Path, mut to: &mut dyn Write) -> Result<(), Failure> {
    export_store(&*open(config_file)?, &mut to).context("the export broke off")?;
    Ok(())
}

/// Fills an empty store; tells how many articles came.
pub(super) fn import(config_file: &Path, mut lines: &mut dyn BufRead) -> Result<u64, Failure> {
    let folder = config::load_store(config_file)?.folder;
    let summary = import_store(&folder, &mut lines).context("nothing was imported")?;
    Ok(summary.articles)
}

/// Checks the store from end to end.
pub(super) fn check(config_file: &Path) -> Result<Report, Failure> {
    let report = check_store(&*open(config_file)?);
    let finding = |finding: crate::store::Finding| Finding {
        table: finding.table.name().to_owned(),
        key: finding.key,
        what: finding.what,
    };
    Ok(Report {
        ok: report.findings.is_empty(),
        more: report.more,
        articles: report.articles,
        changes: report.changes,
        findings: report.findings.into_iter().map(finding).collect(),
    })
}

fn open(config_file: &Path) -> Result<Arc<Store>, Failure> {
    let folder = config::load_store(config_file)?.folder;
    // A command that only looks must not leave a new store behind where the folder's name was mistyped or its disk is not
    // mounted: an export of that would take the place of a good one.
    if !Store::is_in(&folder) {
        return Err(anyhow::anyhow!("there is no store in {}", folder.display()).into());
    }
    Ok(Arc::new(Store::open(&folder).map_err(anyhow::Error::from)?))
}

/// As the daemon writes it.
fn moment(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The mails that were on the wire at a crash, all behind `cursor`: that is of a daemon that was stopped since.
pub(super) fn doubtful(config_file: &Path, cursor: Option<&str>) -> Result<DoubtfulPage, Failure> {
    let after = cursor.and_then(|text| Place::parse(text)?.message());
    let messages = mailer(config_file)?.doubtful(after, usize::MAX).map_err(anyhow::Error::from)?;
    let row = |message: DoubtfulMessage| DoubtfulRow {
        address: message.address.map_or(String::new(), |address| address.as_str().to_owned()),
        article: message.about,
        since: moment(message.since),
    };
    Ok(DoubtfulPage { messages: messages.into_iter().map(row).collect(), next: None })
}

/// Puts them back, or closes them; tells how many there were.
pub(super) fn settle_doubtful(config_file: &Path, resend: bool) -> Result<u64, Failure> {
    let mailer = mailer(config_file)?;
    let settled = if resend { wait(mailer.resend_doubtful()) } else { wait(mailer.drop_doubtful()) };
    Ok(settled.map_err(anyhow::Error::from)? as u64)
}

/// How the store stands, if it is in quarantine.
pub(super) fn quarantine(config_file: &Path) -> Result<Option<HeldRow>, Failure> {
    let held = wait(watched(config_file)?.held()).map_err(anyhow::Error::from)?;
    Ok(held.map(|held| HeldRow { since: moment(held.since), waiting: held.waiting, doubtful: held.doubtful }))
}

/// Ends it; tells how many messages were closed.
pub(super) fn release(config_file: &Path, drop: bool) -> Result<Option<usize>, Failure> {
    let owed = if drop { Owed::Drop } else { Owed::Send };
    Ok(wait(watched(config_file)?.release(owed)).map_err(anyhow::Error::from)?)
}

fn watched(config_file: &Path) -> Result<Quarantine, Failure> {
    let quarantine = Quarantine::new(open(config_file)?, Clock::system(), Arc::default());
    wait(quarantine.look()).map_err(anyhow::Error::from)?;
    Ok(quarantine)
}

/// All that is held about `address`, as the API gives it.
pub(super) async fn subscriber(config_file: &Path, address: &str) -> Result<serde_json::Value, Failure> {
    let address = Address::parse("address", address).map_err(Problem::from)?;
    let record = subscriptions(config_file)?.record_of(&address).await?;
    Ok(serde_json::to_value(&record).map_err(anyhow::Error::from)?)
}

/// Erases `address` with all that is held about it.
pub(super) async fn erase_subscriber(config_file: &Path, address: &str) -> Result<(), Failure> {
    let address = Address::parse("address", address).map_err(Problem::from)?;
    let outbox = config::load(config_file)?.mail.outbox;
    Ok(Eraser::new(open(config_file)?, Clock::system(), outbox).erase_address(&address).await?)
}

/// Lets `address` be asked again whose owner never wanted to be.
pub(super) async fn allow_subscriber(config_file: &Path, address: &str) -> Result<(), Failure> {
    let address = Address::parse("address", address).map_err(Problem::from)?;
    Ok(subscriptions(config_file)?.allow(&address).await?)
}

/// The subscriptions, without anybody who could ask for one.
fn subscriptions(config_file: &Path) -> Result<Subscriptions, Failure> {
    let config = config::load(config_file)?;
    let (store, budget) = (open(config_file)?, config.mail.confirmations_per_hour_max);
    let newsroom = newsroom(config.site, config.categories);
    Ok(Subscriptions::new(store, Clock::system(), newsroom, config.subscriptions, budget, Arc::default()))
}

/// What became of mails.
pub(super) async fn numbers(config_file: &Path, asked: Asked) -> Result<Page, Failure> {
    Ok(page(&open(config_file)?, asked, Clock::system().now()).await?)
}

/// A mailer that sends nothing: it knows the ledger.
fn mailer(config_file: &Path) -> Result<Arc<Mailer>, Failure> {
    let config = config::load(config_file)?;
    let newsroom = newsroom(config.site, config.categories);
    let (store, hint, lead) = (open(config_file)?, Arc::default(), Arc::default());
    Ok(Mailer::new(store, Clock::system(), newsroom, config.mail, config.subscriptions, hint, lead)?)
}

/// The newsroom as it is configured. No command here makes a feed, so nothing asks when that changed.
fn newsroom(site: Site, categories: Categories) -> SharedNewsroom {
    Arc::new(ArcSwap::from_pointee(Newsroom { site, categories, hub: None, changed_at: Time::UNIX_EPOCH }))
}
