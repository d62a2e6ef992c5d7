//! The real binary as a process: what it says, how it is told to end.

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Whatever is waited for has long happened by then, on a machine that is busy with other things too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until `look` finds something, and fails if that takes longer than anything should.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    eventually_well(|| look().ok_or(what))
}

/// As [`eventually`], where each look tells what is still amiss.
#[track_caller]
pub(crate) fn eventually_well<T, E: Display>(mut look: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(amiss) => assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {amiss}"),
        }
        sleep(LOOK_EVERY);
    }
}

/// Lines of a stream as they come.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Vec<String>>, Condvar)>, Arc<AtomicBool>);

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let lines = Lines::default();
        let kept = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                kept.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                kept.0.1.notify_all();
            }
            kept.1.store(true, Ordering::Release);
        });
        lines
    }

    /// Has the stream come to its end?
    fn is_whole(&self) -> bool {
        self.1.load(Ordering::Acquire)
    }

    fn all(&self) -> Vec<String> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait(&self, text: &str, patience: Duration) -> Option<String> {
        let lines = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_missing = |lines: &mut Vec<String>| !lines.iter().any(|line| line.contains(text));
        let waited = self.0.1.wait_timeout_while(lines, patience, is_missing);
        let (lines, _) = waited.unwrap_or_else(PoisonError::into_inner);
        lines.iter().find(|line| line.contains(text)).cloned()
    }
}

/// A command of the binary, not started yet.
pub(crate) fn tidings(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidings"));
    command.arg("--config").arg(config).args(arguments).stdin(Stdio::null());
    for variable in ["TIDINGS_SERVER", "TIDINGS_API_KEY", "TIDINGS_CONFIG"] {
        command.env_remove(variable);
    }
    command
}

/// What a command came to, as text.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Said {
    /// Standard output of a command that did what it was asked.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }
}

/// A daemon that runs.
pub(crate) struct Daemon {
    child: Child,
    out: Lines,
    err: Lines,
}

impl Daemon {
    /// Starts it. Errors: everything it said, if it ends before it is up.
    pub(crate) fn start(config: &Path) -> Result<Self, Said> {
        Self::of(tidings(config, &["serve"]))
    }

    /// The same on a disk where no file becomes longer than `bytes`: writes beyond that fail, as on a full one.
    pub(crate) fn start_limited(config: &Path, bytes: u64) -> Result<Self, Said> {
        let serve = tidings(config, &["serve"]);
        let mut limited = Command::new("sh");
        // The signal that comes along with the error would end it (setrlimit(2)).
        limited.args(["-c", "trap '' XFSZ; exec prlimit --fsize=\"$0\" \"$@\""]).arg(bytes.to_string());
        limited.arg(serve.get_program()).args(serve.get_args()).stdin(Stdio::null());
        for (name, _) in serve.get_envs().filter(|(_, value)| value.is_none()) {
            limited.env_remove(name);
        }
        Self::of(limited)
    }

    fn of(mut command: Command) -> Result<Self, Said> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
        let out = Lines::of(child.stdout.take().expect("piped"));
        let err = Lines::of(child.stderr.take().expect("piped"));
        let mut daemon = Daemon { child, out, err };
        let up = || match daemon.child.try_wait().expect("our own child") {
            Some(status) => Some(Some(status)),
            None => daemon.out.wait("  mail ", LOOK_EVERY).map(|_| None),
        };
        match eventually("the daemon to start", up) {
            None => Ok(daemon),
            Some(status) => {
                let err = daemon.last_words().join("\n");
                Err(Said { code: status.code(), out: daemon.out.all().join("\n"), err })
            }
        }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it said on standard output.
    pub(crate) fn announced(&self) -> Vec<String> {
        self.out.all()
    }

    /// What it has logged so far.
    pub(crate) fn logged(&self) -> Vec<String> {
        self.err.all()
    }

    /// What it logged, to the end; for a daemon that has ended.
    pub(crate) fn last_words(&self) -> Vec<String> {
        eventually("the end of the log", || self.err.is_whole().then(|| self.err.all()))
    }

    /// Waits for a line of the log with `text` in it.
    #[track_caller]
    pub(crate) fn log_line(&self, text: &str) -> String {
        self.err
            .wait(text, PATIENCE)
            .unwrap_or_else(|| panic!("no {text:?} in the log:\n{}", self.err.all().join("\n")))
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.id();
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {id}")).status().expect("sh");
        assert!(sent.success(), "kill -{name} {id}");
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the daemon to end", || self.child.try_wait().expect("our own child"))
    }

    /// Ends it at once, as a power cut of the process.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }
}
