//! Why a command did not do what it was asked, and the exit code that says so.

use crate::config::Mistakes;
use crate::domain::Problem;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

/// Refused, failed, or nobody there.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The daemon, or a check before it, said no.
    #[error(transparent)]
    Problem(#[from] Problem),
    /// The configuration cannot be used.
    #[error("the configuration has mistakes:\n{0}")]
    Mistakes(#[from] Mistakes),
    /// Nobody listens at the control socket: there is no daemon on this store.
    #[error("the daemon is not running (nobody listens at {})", .0.display())]
    NotRunning(PathBuf),
    /// There may be a daemon, and it cannot be reached.
    #[error("{target} cannot be reached: {why}")]
    Unreachable {
        /// Where it should be.
        target: String,
        /// What happened instead.
        why: String,
    },
    /// What was to be looked at.
    #[error("{target}: {why}")]
    Unreadable {
        /// As it was named.
        target: String,
        /// What happened instead.
        why: String,
    },
    /// Reading input or writing output.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Anything else, with its causes.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    /// Did the reader of our output go away, as `head` does? Nobody needs to be told.
    pub(super) fn is_closed_pipe(&self) -> bool {
        let is_pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        match self {
            Failure::Io(error) => is_pipe(error),
            Failure::Other(error) => error.chain().filter_map(|cause| cause.downcast_ref()).any(is_pipe),
            Failure::Problem(_)
            | Failure::Mistakes(_)
            | Failure::NotRunning(_)
            | Failure::Unreachable { .. }
            | Failure::Unreadable { .. } => false,
        }
    }

    /// 1: refused or failed. 2: there was nothing to read. 3: there was nobody to ask.
    pub(super) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Problem(_) | Failure::Mistakes(_) | Failure::Io(_) | Failure::Other(_) => ExitCode::from(1),
            Failure::Unreadable { .. } => ExitCode::from(2),
            Failure::NotRunning(_) | Failure::Unreachable { .. } => ExitCode::from(3),
        }
    }
}
