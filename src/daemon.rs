//! The daemon: built, started, reloaded, drained. The list of all that runs is here and nowhere else.

mod running;

use crate::config::{Config, load_categories};
use crate::domain::Clock;
use crate::services::ageing::{Ageing, Ages};
use crate::services::digest::Digester;
use crate::services::hub::Hub;
use crate::services::mailer::load_templates;
use crate::services::newsroom::{Newsroom, SharedNewsroom};
use crate::services::notify::Notify as Notices;
use crate::services::returns::Returns;
use crate::services::sources::{Look, Sources};
use crate::services::{Tail, due};
use crate::store::{Order, Store};
use crate::telemetry;
use crate::web::server::{Limits, bind, bind_each, serve_public, serve_router};
use crate::web::{self, App};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use running::{Part, Running, finish, shared, single};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

/// Descriptors beside connections: the store, the log, mail, folders.
const DESCRIPTORS_SPARE: u64 = 128;
/// Operators and scrapers are few.
const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Histograms are emptied and gauges set this often.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(5);

/// Serves until SIGTERM or SIGINT, and returns when everything is drained and durable.
///
/// Errors: whatever keeps it from starting, in a sentence.
pub fn serve(config: Config) -> anyhow::Result<()> {
    finish(shared()?, run(config))
}

/// What the daemon is told from outside. Set up first of all, so that a signal during the start is kept for later.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let [terminate, interrupt, hang_up] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        Ok(Signals { terminate: terminate?, interrupt: interrupt?, hang_up: hang_up? })
    }

    /// Waits until the daemon is to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let clock = Clock::system();
    let Some(store) = opened(&config.store.folder, &mut signals).await? else { return Ok(()) };
    let (site, categories, hub) = (config.site.clone(), config.categories.clone(), config.hub.clone());
    let newsroom = Newsroom::now(&store, &clock, site, categories, hub).await?;
    let newsroom: SharedNewsroom = Arc::new(ArcSwap::from_pointee(newsroom));
    let mail = &config.mail;
    let (names, floods) = (Arc::clone(&newsroom), config.flood_max);
    let app = App::new(Arc::clone(&store), names, clock.clone(), mail, &config.subscriptions, &config.server, floods)?;
    let app = Arc::new(app);
    app.mailer.use_templates(load_templates(mail.templates.as_deref())?);
    app.quarantine.look().await?;

    let stop = CancellationToken::new();
    let limits = Limits {
        connections: Arc::new(Semaphore::new(connections_max(config.server.connections_max))),
        stop: stop.clone(),
        drain: config.server.drain,
    };
    let admin_limits = Limits { connections: Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX)), ..limits.clone() };
    let control_limits = Limits { connections: Arc::new(Semaphore::new(ADMIN_CONNECTIONS_MAX)), ..limits.clone() };
    let (listen, admin_listen) = (config.server.listen, config.server.admin_listen);
    let sockets = bind_each(listen, config.server.threads)
        .with_context(|| format!("cannot listen on {listen} (`server.listen`)"))?;
    let admin =
        bind(admin_listen).with_context(|| format!("cannot listen on {admin_listen} (`server.admin_listen`)"))?;
    let control = control_socket(&config.store.control_socket())?;

    let mut running = Running::new();
    running.start("control", serve_router(control, web::control(&app), control_limits));
    running.start("admin", serve_router(TcpListener::from_std(admin)?, web::admin(&app), admin_limits));
    let (standard, hint) = (config.subscriptions.clone(), Arc::clone(&app.mail_hint));
    let digests = Digester::new(Arc::clone(&store), clock.clone(), standard.clone(), mail.article_age_max, hint);
    running.start("digests", due::run_each(Arc::new(digests), Arc::clone(&store), clock.clone(), stop.clone()));
    running.start("erasures", due::run_each(Arc::clone(&app.eraser), Arc::clone(&store), clock.clone(), stop.clone()));
    let (hint, lead) = (Arc::clone(&app.mail_hint), Arc::clone(&app.mail_lead));
    let notices = Notices::new(Arc::clone(&store), standard, mail.article_age_max, mail.grace, hint, lead);
    let notify = Tail::new(Arc::clone(&store), notices)?.run(stop.clone());
    let mailer = Arc::clone(&app.mailer).run(stop.clone());
    running.start_apart("mail", [("notify", Box::pin(notify) as Part), ("mailer", Box::pin(mailer))])?;
    running.start("corrections", Arc::clone(&app.corrections).run(stop.clone()));
    running.start("watchdog", Arc::clone(&app.watchdog).run(stop.clone()));
    let ages = Ages { numbers: mail.numbers_age_max, messages: mail.ledger_age_max };
    running.start("ageing", Ageing::new(Arc::clone(&store), clock.clone(), ages).run(stop.clone()));
    if let Some(address) = &mail.return_address {
        let (rows, held) = (Arc::clone(&store), Arc::clone(&app.subscriptions));
        let returns = Returns::new(rows, clock.clone(), address.clone(), held);
        if let Some(folder) = &mail.returns.maildir {
            running.start("returns", Arc::clone(&returns).read_maildir(folder.clone(), stop.clone()));
        }
        if let Some(listen) = mail.returns.lmtp {
            let listener = bind(listen).with_context(|| format!("cannot listen on {listen} (`mail.returns_lmtp`)"))?;
            running.start("lmtp", returns.serve_lmtp(TcpListener::from_std(listener)?, stop.clone()));
        }
    }
    if let Some(hub) = &config.hub {
        let hub = Hub::open(Arc::clone(&store), Arc::clone(&newsroom), clock.clone(), hub.clone()).await?;
        running.start("hub", hub.run(stop.clone()));
    }
    running.start("due", due::run(app.publisher.clone(), clock, stop.clone()));
    running.start("housekeeping", housekeeping(Arc::clone(&app), stop.clone()));
    let serving = sockets.into_iter().enumerate().map(|(number, socket)| {
        let (app, limits) = (Arc::clone(&app), limits.clone());
        let (tell, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(format!("serve-{number}"));
        // Who has stopped listening has ended by an error of its own.
        thread.spawn(move || drop(tell.send(serve_thread(socket, app, limits)))).map(|_| ended)
    });
    let serving: Vec<_> = serving.collect::<Result<_, _>>()?;
    let sources = Arc::new(Sources::new(Arc::clone(&store), app.publisher.clone(), Arc::clone(&newsroom)));
    // A folder with many new files takes a while; what was not taken in by the end is at the next start.
    let look = tokio::select! {
        look = sources.first_look() => Some(look?),
        () = signals.end() => None,
    };
    if let Some(look) = &look {
        running.start("sources", {
            let (sources, stop) = (Arc::clone(&sources), stop.clone());
            async move { sources.run(stop).await }
        });
        announce(&config, &store, look)?;
        tracing::info!(changes = store.head().0, "serving {listen}, for the operator {admin_listen}");
    }
    let told = async {
        match look {
            Some(_) => until_told(&mut signals, &config, &newsroom, &app, &sources).await,
            None => Ok(()),
        }
    };
    let ended = tokio::select! {
        ended = told => ended,
        () = running.failed.cancelled() => Err(anyhow::anyhow!("a part of the daemon broke off; the log tells which")),
    };
    tracing::info!("stopping: no new connections; open requests get {} s", config.server.drain.as_secs());
    stop.cancel();
    for ended in serving {
        // Not joined on a blocking thread: long reads may have them all.
        ended.await.map_err(|_| anyhow::anyhow!("a serving thread broke off"))??;
    }
    running.tasks.close();
    if tokio::time::timeout(config.server.drain, running.tasks.wait()).await.is_err() {
        // What a mail server has not answered yet is on the wire in the ledger, and told of at the next start.
        tracing::warn!("not everything came to its end in time; what was on its way to a mail server may be doubtful");
    }
    store.close();
    // A stale socket would only slow the next command down; the next start replaces it.
    let _ = fs::remove_file(config.store.control_socket());
    tracing::info!(changes = store.head().0, "stopped");
    ended
}

/// The store; none if the daemon is to end before it is open. What the journal tells may take minutes to carry over, and
/// a start that breaks off there is a crash like any: the next one begins again.
async fn opened(folder: &Path, signals: &mut Signals) -> anyhow::Result<Option<Arc<Store>>> {
    let folder = folder.to_owned();
    let opening = tokio::task::spawn_blocking(move || Store::open(&folder));
    tokio::select! {
        opened = opening => Ok(Some(Arc::new(opened??))),
        () = signals.end() => {
            tracing::info!("stopped while the store was being opened");
            Ok(None)
        }
    }
}

/// One serving thread: a runtime of its own, so that a connection stays on one core.
fn serve_thread(socket: std::net::TcpListener, app: Arc<App>, limits: Limits) -> std::io::Result<()> {
    let router = web::public(&app);
    finish(single()?, async {
        serve_public(TcpListener::from_std(socket)?, app, router, limits).await;
        Ok(())
    })
}

/// Waits for SIGTERM or SIGINT; SIGHUP reloads meanwhile.
async fn until_told(
    signals: &mut Signals,
    config: &Config,
    newsroom: &SharedNewsroom,
    app: &App,
    sources: &Sources,
) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.hang_up.recv() => {}
        }
        match load_categories(&config.feeds_folder, &config.site.language) {
            Ok(categories) => {
                let known = categories.known();
                let (site, hub) = (config.site.clone(), config.hub.clone());
                match Newsroom::now(&app.store, &app.clock, site, categories, hub).await {
                    Ok(new) => {
                        newsroom.store(Arc::new(new));
                        app.feeds.reload();
                        sources.look_soon();
                        tracing::info!("reloaded the feed definitions: {known}");
                    }
                    Err(error) => {
                        tracing::error!(%error, "the feed definitions were not reloaded, the ones before stay: {error}");
                    }
                }
            }
            Err(mistakes) => tracing::error!("the feed definitions have mistakes, the ones before stay:\n{mistakes}"),
        }
        let Some(folder) = &config.mail.templates else { continue };
        match load_templates(Some(folder)) {
            Ok(templates) => {
                app.mailer.use_templates(templates);
                tracing::info!("reloaded the mail templates");
            }
            Err(mistakes) => tracing::error!("the mail templates have mistakes, the ones before stay:\n{mistakes}"),
        }
    }
}

async fn housekeeping(app: Arc<App>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        app.metrics.upkeep();
        metrics::gauge!(telemetry::CHANGES_HEAD).set(app.store.head().0 as f64);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(HOUSEKEEPING_EVERY) => {}
        }
    }
}

/// Tells the person who started it what to open next, on standard output.
fn announce(config: &Config, store: &Store, look: &Look) -> anyhow::Result<()> {
    let site = &config.site;
    let category =
        config.categories.iter().find(|category| category.articles.is_some()).or(config.categories.iter().next());
    let slug = category.map(|category| &category.slug);
    let newest = store.articles(Order::Public, None, 1)?.articles.into_iter().next();
    let mut out = std::io::stdout().lock();
    let left_out = look.faults + look.waiting;
    writeln!(out, "{} is up; article files: {} new or changed, {left_out} left out.\n", site.title, look.taken)?;
    writeln!(out, "  home       {}", site.category_page(None))?;
    writeln!(out, "  feed       {}", site.feed(slug, "rss.xml"))?;
    if let Some(article) = &newest {
        writeln!(out, "  article    {}", site.article_page(article))?;
        writeln!(out, "  print      {}", site.print_page(&article.id))?;
    }
    writeln!(out, "  subscribe  {}", site.address("subscribe"))?;
    writeln!(out, "  API        {}", site.address("api/v1/articles"))?;
    writeln!(out, "  health     http://{}/healthz, /readyz, /metrics", config.server.admin_listen)?;
    if store.quarantined_since()?.is_some() {
        writeln!(out, "  quarantine this store was restored or copied: no mail leaves it; see `tidings quarantine`")?;
    }
    match &config.mail.smtp {
        Some(smtp) => writeln!(out, "  mail       by {}:{}", smtp.host, smtp.port)?,
        None => writeln!(
            out,
            "  mail       no [mail.smtp] is configured: mails are files in {}",
            config.mail.outbox.display()
        )?,
    }
    for advice in config.advice() {
        writeln!(out, "  note       {advice}")?;
    }
    out.flush()?;
    Ok(())
}

/// The socket of the operator's commands; whoever may write to the store's folder may use it.
fn control_socket(path: &Path) -> anyhow::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        // The store's lock is ours, so a socket that is there belongs to nobody any more.
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)
        .with_context(|| format!("cannot listen on {} (a socket's path has at most 107 bytes)", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// As many connections as are configured, or as the system allows this process.
fn connections_max(configured: usize) -> usize {
    let wanted = configured as u64 + DESCRIPTORS_SPARE;
    let allowed = rlimit::increase_nofile_limit(wanted).unwrap_or(wanted);
    let connections = usize::try_from(allowed.saturating_sub(DESCRIPTORS_SPARE).max(1)).unwrap_or(configured);
    if connections < configured {
        tracing::warn!(
            "the system allows {allowed} open files, so at most {connections} connections instead of {configured}"
        );
    }
    connections.min(configured)
}
