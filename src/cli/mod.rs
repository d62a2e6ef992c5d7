//! The command line. Articles go through the API, like everybody's; keys, export, check and mail are asked of
//! the running daemon over its control socket, and done on the store itself while no daemon runs.
//!
//! Exit codes: 0 done, 1 refused or failed, 2 wrong usage or nothing to read, 3 no daemon to be reached.

mod article;
mod client;
mod direct;
mod dkim;
mod draft;
mod failure;
mod feed;
mod numbers;
mod operate;
mod specimen;
mod status;
mod subscribers;
#[cfg(test)]
mod tests;

use crate::config::{Log, LogFormat};
use crate::services::mailer::load_templates;
use crate::{config, daemon, telemetry};
use clap::{Args, Parser, Subcommand};
use client::Client;
use failure::Failure;
use std::io::{Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use url::Url;

/// Syndication gateway for newsrooms: publish once; feeds, pages and mail follow.
#[derive(Debug, Parser)]
#[command(name = "tidings", version)]
pub struct Cli {
    /// The configuration file
    #[arg(long, global = true, env = "TIDINGS_CONFIG", default_value = "tidings.toml", value_name = "FILE")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve,
    /// Check the store from end to end
    Check,
    /// Write the whole store as JSON Lines
    Export {
        /// Where to; `-` is standard output
        #[arg(long, short, default_value = "-", value_name = "FILE")]
        output: PathBuf,
    },
    /// Fill an empty store from an export; the daemon must not run
    Import {
        /// An export
        file: PathBuf,
    },
    /// API keys
    #[command(subcommand)]
    Keys(Keys),
    /// Articles, through the API
    Article {
        #[command(flatten)]
        remote: Remote,
        #[command(subcommand)]
        action: Article,
    },
    /// Changes that would show known articles as unread
    #[command(subcommand)]
    Flood(Flood),
    /// Mails: how they look, which ones nobody knows to have arrived, and the keys that sign them
    #[command(subcommand)]
    Mail(Mail),
    /// Feeds, of any origin
    #[command(subcommand)]
    Feed(feed::Feed),
    /// A store that was restored or copied: whether mail may leave it
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// What is held about an address
    #[command(subcommand)]
    Subscribers(Subscribers),
    /// The configuration
    #[command(subcommand)]
    Config(Config),
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Make a key and show it, this once
    Create {
        /// Who it is for
        name: String,
    },
    /// Show all keys' names
    List,
    /// Make a key worthless
    Revoke {
        /// As `list` shows it
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum Flood {
    /// Let them pass for an hour: they are meant
    Accept,
}

#[derive(Debug, Subcommand)]
enum Mail {
    /// List the mails that were on the wire when the daemon was killed
    Doubtful,
    /// Send all of them again: some people may get one twice
    Resend,
    /// Close all of them: some people may not get one
    Drop,
    /// Whether mail is late, and whether it arrives
    Status {
        /// As the API gives it
        #[arg(long)]
        json: bool,
    },
    /// What became of mails: accepted, deferred, bounced, complained, unsubscribed
    Numbers(numbers::Numbers),
    /// Show every kind of mail in every language, in a browser: prints an address that works for an hour
    Preview {
        /// About this article; else about the newest
        #[arg(long, value_name = "ID")]
        article: Option<String>,
    },
    /// Send a mail once to an address, as its readers would get it
    Test {
        /// Whom to; need not be subscribed
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// notice, correction, digest, confirmation, change, farewell or preferences
        #[arg(long, default_value = "notice")]
        kind: String,
        /// en, ru or zh; else the newsroom's
        #[arg(long, value_name = "TAG")]
        language: Option<String>,
        /// About this article; else about the newest
        #[arg(long, value_name = "ID")]
        article: Option<String>,
    },
    /// Show the DNS records of the keys that sign mail
    Dkim {
        /// Make a key of this name first, in the folder that the configuration names
        #[arg(long, value_name = "SELECTOR")]
        create: Option<String>,
        /// Of what kind
        #[arg(long, value_enum, default_value = "rsa", requires = "create")]
        algorithm: dkim::Kind,
    },
}

#[derive(Debug, Subcommand)]
enum Quarantine {
    /// Show whether the store is in quarantine, and what waits in it
    Show,
    /// Let mail leave again
    Release {
        /// What becomes of the messages that the original owed: sent if it is lost, dropped if it has sent them itself
        #[arg(long, value_name = "WHAT", value_parser = ["send", "drop"])]
        owed: String,
    },
}

#[derive(Debug, Subcommand)]
enum Subscribers {
    /// In short
    Show {
        /// A mail address
        address: String,
    },
    /// All of it, as JSON
    Export {
        /// A mail address
        address: String,
    },
    /// Erase the address with all that is held about it
    Erase {
        /// A mail address
        address: String,
    },
    /// Take back the wish never to be asked again: its owner has to want that
    Allow {
        /// A mail address
        address: String,
    },
}

#[derive(Debug, Subcommand)]
enum Config {
    /// Read all files and tell every mistake
    Check,
}

/// Where articles go. Without it: to the daemon on this machine, over its control socket.
#[derive(Debug, Args)]
struct Remote {
    /// A daemon elsewhere, for example https://news.example.org/
    #[arg(long, global = true, env = "TIDINGS_SERVER", value_name = "URL", requires = "key")]
    server: Option<Url>,
    /// API key for it; better set in the environment, where other users do not see it
    #[arg(long, global = true, env = "TIDINGS_API_KEY", hide_env_values = true)]
    key: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Article {
    /// Send an article: `.json` as the API takes it, or `.md` with TOML front matter
    Add(draft::File),
    /// List articles, newest first
    List {
        /// Only of this category
        #[arg(long, value_name = "SLUG")]
        category: Option<String>,
        /// Only in this state
        #[arg(long, value_parser = ["draft", "scheduled", "published", "retracted"])]
        state: Option<String>,
        /// At most so many
        #[arg(long)]
        limit: Option<u32>,
        /// Go on where an earlier list ended
        #[arg(long)]
        cursor: Option<String>,
        /// As the API gives it
        #[arg(long)]
        json: bool,
    },
    /// Show an article
    Show {
        /// As `list` shows it
        id: String,
        /// As the API gives it
        #[arg(long)]
        json: bool,
    },
    /// Replace an article by what a file says; a `.md` leaves its home to `--category`, else as it is
    Edit {
        /// As `list` shows it
        id: String,
        #[command(flatten)]
        file: draft::File,
    },
    /// Withdraw an article
    Retract {
        /// As `list` shows it
        id: String,
    },
    /// Mail what is right now to those who were mailed something else
    Correct {
        /// As `list` shows it
        id: String,
        /// What was wrong: some sentences that stand on top of the mail
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
        /// Only who was mailed this revision, or one of these: `2` or `1-3`
        #[arg(long, value_name = "N", value_parser = article::revisions)]
        revision: Option<(u32, u32)>,
        /// Only say how many would get it
        #[arg(long)]
        dry_run: bool,
    },
}

/// What a command came to, if nothing failed.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// It did what it should, and what it found is not good.
    Bad,
}

/// Does what the command line says. Results go to standard output, everything else to standard error.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // A terminal that cannot be written to leaves nobody to tell.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    start_warnings(&cli.command);
    match run(cli, &mut stdout()) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::from(1),
        Err(failure) => {
            if !failure.is_closed_pipe() {
                let _ = writeln!(stderr(), "tidings: {failure}");
            }
            failure.exit_code()
        }
    }
}

fn run(cli: Cli, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let config = cli.config.as_path();
    match cli.command {
        Command::Serve => serve(config),
        Command::Config(Config::Check) => check_config(config, out),
        Command::Check => wait(operate::check(config, out)),
        Command::Export { output } => wait(operate::export(config, &output, out)),
        Command::Import { file } => wait(operate::import(config, &file, out)),
        Command::Keys(action) => wait(operate::keys(config, action, out)),
        Command::Flood(Flood::Accept) => wait(operate::accept_flood(config, out)),
        Command::Subscribers(action) => wait(subscribers::run(config, action, out)),
        Command::Mail(action) => wait(operate::mail(config, action, out)),
        Command::Feed(action) => wait(feed::run(action, out)),
        Command::Quarantine(action) => wait(operate::quarantine(config, action, out)),
        Command::Article { remote, action } => {
            let client = match (remote.server, remote.key) {
                (Some(server), key) => Client::remote(&server, key)?,
                (None, _) => Client::local(config)?,
            };
            wait(article::run(&client, action, out))
        }
    }
}

/// Warnings of the store, when a command opens it itself. The daemon starts its own log, as it is configured.
fn start_warnings(command: &Command) {
    if !matches!(command, Command::Serve) {
        // Only a second start in one process fails, and then there is a log.
        let _ = telemetry::start_log(&Log { format: LogFormat::Auto, level: tracing::Level::WARN });
    }
}

fn serve(file: &Path) -> Result<Outcome, Failure> {
    let config = config::load(file)?;
    telemetry::start_log(&config.log).map_err(anyhow::Error::from)?;
    daemon::serve(config)?;
    Ok(Outcome::Done)
}

fn check_config(file: &Path, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let config = config::load(file)?;
    load_templates(config.mail.templates.as_deref())?;
    writeln!(out, "{}: good; categories: {}", file.display(), config.categories.known())?;
    Ok(Outcome::Done)
}

/// Runs one conversation with a daemon to its end.
fn wait(conversation: impl Future<Output = Result<Outcome, Failure>>) -> Result<Outcome, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(conversation)
}
