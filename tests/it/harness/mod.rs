//! A newsroom in a temporary folder, and the real daemon on it: verbs for tests.

mod http;
mod mailbox;
mod mount;
mod place;
mod process;

pub(crate) use http::{Answer, Client, Headers};
pub(crate) use mailbox::{Mail, Sink};
pub(crate) use mount::{Mounted, may_mount};
pub(crate) use place::Place;
pub(crate) use process::{Daemon, Said, eventually, eventually_well, tidings};

use serde_json::{Value, json};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Lines that are added to sections of the configuration.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) site: &'a str,
    pub(crate) server: &'a str,
    pub(crate) feeds: &'a str,
    pub(crate) mail: &'a str,
    pub(crate) subscriptions: &'a str,
    pub(crate) log: &'a str,
    pub(crate) base_url: Option<&'a str>,
}

/// The newsroom. When it goes, its daemon has to end well and its store has to be good.
pub(crate) struct Newsroom {
    folder: TempDir,
    public: Place,
    admin: Place,
    daemon: Option<Daemon>,
    key: OnceLock<String>,
}

impl Newsroom {
    /// One with a running daemon: `science` is fed by a folder in Moscow time, `economy` by the API alone.
    pub(crate) fn start() -> Self {
        Self::with(Setup::default())
    }

    /// The same with more in its configuration.
    pub(crate) fn with(setup: Setup<'_>) -> Self {
        let mut newsroom = Self::prepare(setup);
        newsroom.run();
        newsroom
    }

    /// Its files alone.
    pub(crate) fn prepare(setup: Setup<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (public, admin) = (Place::take(), Place::take());
        let newsroom = Newsroom { folder, public, admin, daemon: None, key: OnceLock::new() };
        newsroom.configure(setup);
        newsroom.write(
            "feeds/science.toml",
            "title = \"Science\"\narticles = \"../articles/science\"\ntime_zone = \"Europe/Moscow\"\n",
        );
        newsroom.write("feeds/economy.toml", "title = \"Economy\"\nlimit = 200\n");
        std::fs::create_dir_all(newsroom.path("articles/science")).expect("writable");
        newsroom
    }

    /// Writes the configuration anew; the addresses stay.
    pub(crate) fn configure(&self, setup: Setup<'_>) {
        let Setup { site, server, feeds, mail, subscriptions, log, base_url } = setup;
        let (public, admin) = (self.public(), self.admin());
        let base_url = base_url.map_or_else(|| format!("http://{public}/"), str::to_owned);
        let text = format!(
            "[site]\ntitle = \"Test News\"\nbase_url = \"{base_url}\"\n{site}\n\
             [server]\nlisten = \"{public}\"\nadmin_listen = \"{admin}\"\nthreads = 2\n{server}\n\
             [store]\nfolder = \"data\"\n\
             [feeds]\nfolder = \"feeds\"\n{feeds}\n\
             [subscriptions]\nunproven_wait_s = 0\n{subscriptions}\n\
             [mail]\ngrace_s = 0\n{mail}\n\
             [log]\n{log}\n"
        );
        self.write("tidings.toml", &text);
    }

    /// A file or folder of it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.path("tidings.toml")
    }

    /// Writes a file in one go: under another name first, as good editors do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("below the folder")).expect("writable");
        let partial = path.with_extension("partial");
        std::fs::write(&partial, text).expect("writable");
        std::fs::rename(&partial, &path).expect("writable");
    }

    /// Writes an article file into the folder of `science`.
    pub(crate) fn file(&self, name: &str, front: &str, body: &str) {
        self.write(&format!("articles/science/{name}"), &format!("+++\n{front}\n+++\n\n{body}\n"));
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).expect("it is there");
    }

    /// Starts the daemon. Errors: what it said, if it does not come up.
    pub(crate) fn try_run(&mut self) -> Result<(), Said> {
        assert!(self.daemon.is_none(), "it runs already");
        self.daemon = Some(Daemon::start(&self.config())?);
        Ok(())
    }

    /// The same where no file becomes longer than `bytes`.
    pub(crate) fn try_run_limited(&mut self, bytes: u64) -> Result<(), Said> {
        self.daemon = Some(Daemon::start_limited(&self.config(), bytes)?);
        Ok(())
    }

    /// Starts the daemon.
    #[track_caller]
    pub(crate) fn run(&mut self) {
        if let Err(said) = self.try_run() {
            panic!("{}{}", said.out, said.err);
        }
    }

    /// The daemon.
    #[track_caller]
    pub(crate) fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs")
    }

    /// Ends the daemon by SIGTERM; everything it logged.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> Vec<String> {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.signal("TERM");
        let status = daemon.ended();
        assert!(status.success(), "{status}:\n{}", daemon.logged().join("\n"));
        daemon.last_words()
    }

    /// Waits for the daemon to end well, once it was told to.
    #[track_caller]
    pub(crate) fn stopped(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        let status = daemon.ended();
        assert!(status.success(), "{status}:\n{}", daemon.logged().join("\n"));
    }

    /// Ends the daemon by SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.daemon.take().expect("it runs").kill();
    }

    /// Runs the binary on this newsroom's configuration.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Said {
        tidings(&self.config(), arguments).output().expect("the binary").into()
    }

    /// The same with `input` on standard input.
    pub(crate) fn cli_with_input(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = tidings(&self.config(), arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
        child.wait_with_output().expect("our own child").into()
    }

    /// An API key, made at the first use.
    pub(crate) fn key(&self) -> &str {
        self.key.get_or_init(|| {
            let said = self.cli(&["keys", "create", "tests"]).good();
            let line = said.lines().find_map(|line| line.strip_prefix("key")).expect("a line with the key");
            line.trim().to_owned()
        })
    }

    /// A connection to the public address.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.public())
    }

    /// The public address.
    pub(crate) fn public(&self) -> SocketAddr {
        self.public.address()
    }

    /// The admin address.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The address that all links start with, unless the set-up says another one.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/", self.public())
    }

    /// One GET of the public address.
    #[track_caller]
    pub(crate) fn get(&self, path: &str, headers: Headers<'_>) -> Answer {
        self.client().send("GET", path, headers, b"").expect("an answer")
    }

    /// One GET of the admin address.
    #[track_caller]
    pub(crate) fn get_admin(&self, path: &str) -> Answer {
        Client::new(self.admin()).send("GET", path, &[], b"").expect("an answer")
    }

    /// One request to the API with a good key and a JSON body.
    #[track_caller]
    pub(crate) fn api(&self, method: &str, path: &str, headers: Headers<'_>, body: &str) -> Answer {
        api(&mut self.client(), self.key(), method, path, headers, body).expect("an answer")
    }

    /// Pushes an article that is good and new. Returns it as the API shows it.
    #[track_caller]
    pub(crate) fn publish(&self, article: Value) -> Value {
        self.api("POST", "/articles", &[], &article.to_string()).expect(201).json()
    }

    /// Pushes an article with this title into `economy`. Returns its id.
    #[track_caller]
    pub(crate) fn publish_titled(&self, title: &str) -> String {
        id(&self.publish(json!({ "title": title, "categories": ["economy"] })))
    }

    /// A feed, read by a parser that is not the writer.
    #[track_caller]
    pub(crate) fn feed(&self, path: &str) -> feed_rs::model::Feed {
        let answer = self.get(path, &[]).expect(200);
        parsed(path, &answer.body)
    }

    /// The titles in a feed, in its order.
    #[track_caller]
    pub(crate) fn titles(&self, path: &str) -> Vec<String> {
        titles(&self.feed(path))
    }

    /// Waits until a feed shows these titles, in any order.
    #[track_caller]
    pub(crate) fn shows(&self, path: &str, expected: &[&str]) {
        let mut expected: Vec<String> = expected.iter().map(|title| (*title).to_owned()).collect();
        expected.sort();
        eventually(&format!("{path} to show {expected:?}, not {:?}", self.titles(path)), || {
            let mut found = self.titles(path);
            found.sort();
            (found == expected).then_some(())
        });
    }
}

impl Drop for Newsroom {
    fn drop(&mut self) {
        if std::thread::panicking() {
            if let Some(daemon) = self.daemon.take() {
                tell(&daemon.logged());
                daemon.kill();
            }
            return;
        }
        if self.daemon.is_some() {
            self.check();
            self.stop();
        }
        if self.path("data/HEAD").exists() {
            self.check();
        }
    }
}

impl Newsroom {
    /// The store has to be good from end to end.
    #[track_caller]
    pub(crate) fn check(&self) {
        let said = self.cli(&["check"]);
        assert!(said.code == Some(0) && said.out.starts_with("good"), "{said:?}");
    }
}

#[expect(clippy::print_stderr, reason = "a failed test is explained by what the daemon logged")]
fn tell(log: &[String]) {
    eprintln!("the daemon logged:\n{}", log.join("\n"));
}

/// One request to the API on a connection that is there.
pub(crate) fn api(
    client: &mut Client,
    key: &str,
    method: &str,
    path: &str,
    headers: Headers<'_>,
    body: &str,
) -> std::io::Result<Answer> {
    let bearer = format!("Bearer {key}");
    let mut all = vec![("Authorization", bearer.as_str())];
    if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        all.push(("Content-Type", "application/json"));
    }
    all.extend(headers);
    client.send(method, &format!("/api/v1{path}"), &all, body.as_bytes())
}

/// Reads a feed of any format.
#[track_caller]
pub(crate) fn parsed(path: &str, bytes: &[u8]) -> feed_rs::model::Feed {
    feed_rs::parser::parse(bytes).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The titles in a feed, in its order.
pub(crate) fn titles(feed: &feed_rs::model::Feed) -> Vec<String> {
    feed.entries.iter().map(|entry| entry.title.as_ref().map_or(String::new(), |title| title.content.clone())).collect()
}

/// The id of an article as the API shows it.
#[track_caller]
pub(crate) fn id(article: &Value) -> String {
    article["id"].as_str().unwrap_or_else(|| panic!("no id in {article}")).to_owned()
}

/// The feeds of everything and of `economy`, in all formats.
pub(crate) const FEEDS: [&str; 6] =
    ["/rss.xml", "/atom.xml", "/feed.json", "/economy/rss.xml", "/economy/atom.xml", "/economy/feed.json"];

/// The project's own folder.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a test needs of the machine, `what` it is called. A person may do without, and so without the test; CI may not.
#[track_caller]
pub(crate) fn needed<T>(found: Option<T>, what: &str) -> Option<T> {
    let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(found.is_some() || !is_ci, "{what} is missing; `scripts/test` sees to it");
    found
}

/// Was the long form of the tests asked for (`scripts/test --long`)?
pub(crate) fn is_long() -> bool {
    std::env::var_os("TIDINGS_LONG").is_some_and(|value| value == "1")
}
