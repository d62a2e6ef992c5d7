//! The same commands on the store itself, while no daemon runs. One function a command.

use super::failure::Failure;
use super::operate::{DoubtfulRow, KeyRow, NewKey, Report};
use crate::config;
use std::io::{BufRead, Write};
use std::path::Path;

/// Makes a key for `name`.
pub(super) fn create_key(config_file: &Path, _name: &str) -> Result<NewKey, Failure> {
    Err(not_running(config_file)?)
}

/// All keys.
pub(super) fn list_keys(config_file: &Path) -> Result<Vec<KeyRow>, Failure> {
    Err(not_running(config_file)?)
}

/// Makes the key worthless.
pub(super) fn revoke_key(config_file: &Path, _id: &str) -> Result<(), Failure> {
    Err(not_running(config_file)?)
}

/// Writes the whole store as JSON Lines.
pub(super) fn export(config_file: &Path, _to: &mut dyn Write) -> Result<(), Failure> {
    Err(not_running(config_file)?)
}

/// Fills an empty store; tells how many articles came.
pub(super) fn import(config_file: &Path, _lines: &mut dyn BufRead) -> Result<u64, Failure> {
    Err(not_running(config_file)?)
}

/// Checks the store from end to end.
pub(super) fn check(config_file: &Path) -> Result<Report, Failure> {
    Err(not_running(config_file)?)
}

/// The mails that were on the wire at a crash.
pub(super) fn doubtful(config_file: &Path) -> Result<Vec<DoubtfulRow>, Failure> {
    Err(not_running(config_file)?)
}

/// Puts them back, or closes them; tells how many there were.
pub(super) fn settle_doubtful(config_file: &Path, _resend: bool) -> Result<u64, Failure> {
    Err(not_running(config_file)?)
}

/// Until the store can be opened from here, a command without a daemon ends with this.
fn not_running(config_file: &Path) -> Result<Failure, Failure> {
    Ok(Failure::NotRunning(config::load_store(config_file)?.control_socket()))
}
