//! Mails as they arrive: files of an outbox, and Postfix's `smtp-sink`, a mail server that is not ours.

use super::{Newsroom, Place, eventually, needed};
use mail_parser::MessageParser;
use serde_json::json;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A mail, read by a parser that is not the writer.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) subject: String,
    pub(crate) message_id: String,
    pub(crate) text: String,
    pub(crate) html: String,
    /// The header section as it is.
    pub(crate) head: String,
}

impl Mail {
    #[track_caller]
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mail = MessageParser::new().parse(bytes).expect("a mail");
        let raw = String::from_utf8_lossy(bytes).replace("\r\n", "\n");
        Mail {
            to: mail.to().and_then(|to| to.first()).and_then(|to| to.address()).expect("a recipient").to_owned(),
            subject: mail.subject().unwrap_or_default().to_owned(),
            message_id: mail.message_id().unwrap_or_default().to_owned(),
            text: mail.body_text(0).unwrap_or_default().into_owned(),
            html: mail.body_html(0).unwrap_or_default().into_owned(),
            head: raw.split("\n\n").next().unwrap_or_default().replace("\n ", " ").replace("\n\t", " "),
        }
    }

    /// The path of the first link below `subscriptions/` in its text.
    #[track_caller]
    pub(crate) fn subscription(&self, base_url: &str) -> String {
        let rest = self.text.split(&format!("{base_url}subscriptions/")).nth(1).expect("a link");
        let token = rest.split(|c: char| c.is_whitespace() || c == '>').next().unwrap_or_default();
        format!("/subscriptions/{token}")
    }

    /// The value of a header, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = |line: &str| line.split_once(':').filter(|(known, _)| known.eq_ignore_ascii_case(name)).is_some();
        self.head.lines().find(|line| found(line)).and_then(|line| Some(line.split_once(':')?.1.trim()))
    }
}

/// All mails in the files of a folder whose names end so.
pub(crate) fn mails_in(folder: &Path, end: &str) -> Vec<Mail> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(end));
    paths.filter_map(|path| std::fs::read(path).ok()).map(|bytes| Mail::read(&bytes)).collect()
}

impl Newsroom {
    /// The mails in its outbox.
    pub(crate) fn outbox(&self) -> Vec<Mail> {
        mails_in(&self.path("data/outbox"), ".eml")
    }

    /// Subscribes an address through the API and confirms it as a person would; `mails` is where its mail arrives.
    #[track_caller]
    pub(crate) fn subscribe(&self, address: &str, categories: &[&str], mails: impl Fn() -> Vec<Mail>) {
        let body = json!({ "address": address, "categories": categories }).to_string();
        self.api("POST", "/subscriptions", &[], &body).expect(202);
        let mail = eventually("the confirmation", || mails().into_iter().find(|mail| mail.to == address));
        self.confirm(&mail);
    }

    /// Presses the button on the page that a confirmation links to.
    #[track_caller]
    pub(crate) fn confirm(&self, mail: &Mail) {
        let path = mail.subscription(&self.base_url());
        self.post_form(&path, "act=confirm").expect(200);
    }

    /// Posts a form.
    #[track_caller]
    pub(crate) fn post_form(&self, path: &str, form: &str) -> super::Answer {
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        self.client().send("POST", path, &headers, form.as_bytes()).expect("an answer")
    }
}

/// Postfix's `smtp-sink`, each mail in a file of its own.
pub(crate) struct Sink {
    child: Child,
    folder: PathBuf,
    place: Place,
}

impl Sink {
    /// Needs `TIDINGS_SMTP_SINK`, its path; `scripts/test` sees to it.
    pub(crate) fn start(folder: &Path) -> Option<Self> {
        let program = needed(std::env::var_os("TIDINGS_SMTP_SINK"), "TIDINGS_SMTP_SINK")?;
        std::fs::create_dir_all(folder).expect("writable");
        let place = Place::take();
        let mut command = Command::new(program);
        if std::fs::metadata(folder).expect("just made").uid() == 0 {
            // As root it wants to be told whom to run as.
            command.args(["-u", "root"]);
        }
        // `-d` gives each mail a file, whose name begins so.
        command.current_dir(folder).args(["-d", "mail."]).arg(place.address().to_string()).arg("128");
        let child = command.stdin(Stdio::null()).spawn().expect("smtp-sink");
        let sink = Sink { child, folder: folder.to_owned(), place };
        eventually("smtp-sink to listen", || std::net::TcpStream::connect(sink.place.address()).ok());
        Some(sink)
    }

    pub(crate) fn port(&self) -> u16 {
        self.place.address().port()
    }

    /// What has arrived.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let files = entries.filter_map(|entry| std::fs::read(entry.path()).ok());
        // A file is there from its first byte on, and whole when its last part is closed.
        files.filter(|bytes| bytes.trim_ascii_end().ends_with(b"--")).map(|bytes| Mail::read(&bytes)).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // It is ours, and holds nothing that is not in its files.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
