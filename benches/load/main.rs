//! The load that `scripts/bench` puts on tidings, and the bare store that it is compared with.
//!
//! Each verb does one measurement and prints it as one JSON object. Texts come from a fixed seed, so two runs send the
//! same bytes; they are made before the clock starts.

mod digest;
mod get;
mod http;
mod measure;
mod publish;
mod rebuild;
mod store;
mod subscribers;
mod text;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
struct Cli {
    /// `cargo bench` says this to every program it starts.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Publish through the API, each client on a connection of its own that is kept.
    Publish {
        #[command(flatten)]
        api: Api,
        #[command(flatten)]
        amount: Amount,
    },
    /// Publish one after another, each time asking for the feed until the article is in it.
    Visible {
        #[command(flatten)]
        api: Api,
        #[command(flatten)]
        amount: Amount,
        /// Ask for it compressed.
        #[arg(long)]
        gzip: bool,
    },
    /// Commit to the store itself what the API would have committed.
    Bare {
        #[command(flatten)]
        on: OnStore,
        #[command(flatten)]
        amount: Amount,
    },
    /// Fill a store in large batches, dates spread over five years.
    Fill {
        #[command(flatten)]
        on: OnStore,
        #[command(flatten)]
        amount: Amount,
    },
    /// Make digests due in an empty store, and send them if there is a mail server.
    Digest {
        /// Configuration that names the store's folder.
        #[arg(long)]
        config: PathBuf,
        /// Subscribers, each with one daily digest.
        #[arg(long)]
        subscribers: usize,
        /// Different selections that they have.
        #[arg(long)]
        selections: usize,
        /// Articles that came out.
        #[arg(long)]
        articles: usize,
        /// Where a mail server listens on this machine.
        #[arg(long)]
        port: Option<u16>,
    },
    /// Look for due digests in an empty store that is filled first.
    Tick {
        /// Configuration that names the store's folder.
        #[arg(long)]
        config: PathBuf,
        /// Subscriptions with a digest.
        #[arg(long)]
        subscriptions: usize,
        /// How many of them are due.
        #[arg(long)]
        due: usize,
    },
    /// Publish into a full feed, one after another, and have it built in every format and coding each time.
    Rebuild {
        #[command(flatten)]
        on: OnStore,
        #[command(flatten)]
        amount: Amount,
    },
    /// Add confirmed subscribers of the category.
    Subscribers {
        #[command(flatten)]
        on: OnStore,
        #[command(flatten)]
        amount: Amount,
    },
    /// Ask for one address again and again.
    Get(get::Asked),
    /// Print articles as JSON Lines: what another store is to keep.
    Records {
        #[command(flatten)]
        on: OnStore,
        #[command(flatten)]
        amount: Amount,
    },
}

/// What is published where.
#[derive(Args)]
pub(crate) struct Api {
    /// Where the daemon listens.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// API key.
    #[arg(long)]
    pub(crate) key: String,
    /// Category of every article.
    #[arg(long)]
    pub(crate) category: String,
}

/// Which store.
#[derive(Args)]
pub(crate) struct OnStore {
    /// Configuration that names the store's folder and the category.
    #[arg(long)]
    pub(crate) config: PathBuf,
    /// Category of every article.
    #[arg(long)]
    pub(crate) category: String,
}

/// How much.
#[derive(Args)]
pub(crate) struct Amount {
    /// Clients at once.
    #[arg(long, default_value_t = 1)]
    pub(crate) clients: usize,
    /// Articles altogether.
    #[arg(long)]
    pub(crate) count: usize,
    /// It ends here even if there would be more.
    #[arg(long, default_value_t = 600)]
    pub(crate) seconds: u64,
    /// Median length of a text; lengths are spread log-normally.
    #[arg(long, default_value_t = 2_048)]
    pub(crate) bytes: usize,
    /// Another seed, other texts.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

impl Amount {
    fn limit(&self) -> measure::Limit {
        measure::Limit { count: self.count, time: Duration::from_secs(self.seconds) }
    }
}

/// As the daemon has it, so that what is measured beside it differs in nothing else.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let Some(verb) = Cli::parse().verb else {
        writeln!(out, "this measures nothing by itself; run scripts/bench")?;
        return Ok(());
    };
    let mut runtime = match &verb {
        // It is to take one core.
        Verb::Get(_) | Verb::Publish { .. } => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    let result = match verb {
        Verb::Publish { api, amount } => runtime.block_on(publish::publish(api, amount))?,
        Verb::Visible { api, amount, gzip } => runtime.block_on(publish::visible(api, amount, gzip))?,
        Verb::Bare { on, amount } => runtime.block_on(store::bare(on, amount))?,
        Verb::Fill { on, amount } => runtime.block_on(store::fill(on, amount))?,
        Verb::Digest { config, subscribers, selections, articles, port } => {
            runtime.block_on(digest::compose(&config, subscribers, selections, articles, port))?
        }
        Verb::Tick { config, subscriptions, due } => runtime.block_on(digest::tick(&config, subscriptions, due))?,
        Verb::Subscribers { on, amount } => runtime.block_on(subscribers::subscribers(on, amount))?,
        Verb::Rebuild { on, amount } => runtime.block_on(rebuild::rebuild(on, amount))?,
        Verb::Get(asked) => runtime.block_on(get::get(asked))?,
        Verb::Records { on, amount } => return store::records(on, amount, &mut out),
    };
    writeln!(out, "{result}").context("the result could not be printed")
}
