//! The daemon: to be put here.

use crate::config::Config;
use std::path::PathBuf;

/// Serves until it is told to end.
pub fn serve(_config: Config, _config_file: PathBuf) -> anyhow::Result<()> {
    anyhow::bail!("the daemon is not built in yet")
}
