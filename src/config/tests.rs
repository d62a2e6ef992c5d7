//! Configuration files with everything wrong, with nothing written, and as they ship.

use super::*;
use std::collections::BTreeSet;
use std::fs;
use tempfile::TempDir;

const LEAST: &str = "[site]\ntitle = \"Gazette\"\nbase_url = \"https://news.example.org\"\n";

/// A folder with `tidings.toml` and files below `feeds/`.
fn newsroom(main: &str, feeds: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("temporary folder");
    let file = folder.path().join("tidings.toml");
    fs::write(&file, main).expect("writable");
    fs::create_dir(folder.path().join("feeds")).expect("writable");
    for (name, text) in feeds {
        fs::write(folder.path().join("feeds").join(name), text).expect("writable");
    }
    (folder, file)
}

/// The messages, with the folder's name cut off.
fn mistakes(main: &str, feeds: &[(&str, &str)]) -> Vec<String> {
    let (folder, file) = newsroom(main, feeds);
    let prefix = format!("{}/", folder.path().display());
    let text = load(&file).expect_err("it is full of mistakes").to_string();
    text.lines().map(|line| line.replace(&prefix, "")).collect()
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let main = r#"[site]
base_url = "ftp://example.org"
langauge = "en"
print_line = "yes"

[server]
listen = "abc"
threads = 65
drain_s = -1
body_bytes_max = 1.5

[feeds]
hub = "https://me:secret@hub.example/"

[mail]
from = "nobody"
doubtful = "maybe"
text = "all"

[mail.smtp]
tls = "ssl"
port = 0

[web]
colour = "red"

[log]
level = "loud"
"#;
    let science = "title = \"Science\"\nlimit = 201\ntime_zone = \"Mars/Phobos\"\narticles = \"nowhere\"\n";
    let found = mistakes(main, &[("science.toml", science), ("Big News.toml", "language = \"x\"\n")]);
    let threads = "expected 1 to 64";
    let expected = [
        "feeds/Big News.toml `slug`: found \"Big News\", expected 1 to 64 of a-z, 0-9 and hyphen, not at the ends",
        "feeds/Big News.toml `title`: found nothing, expected text on one line",
        "feeds/Big News.toml:1 `language`: found \"x\", expected a language tag such as en or ru-RU",
        "feeds/science.toml:2 `limit`: found 201, expected 1 to 200",
        "feeds/science.toml:3 `time_zone`: found \"Mars/Phobos\", expected an IANA time zone such as Europe/Moscow",
        "feeds/science.toml:4 `articles`: found feeds/nowhere, which is no folder, expected a folder that exists",
        "tidings.toml:1 `site.title`: found nothing, expected text on one line",
        "tidings.toml:2 `site.base_url`: found \"ftp://example.org\", expected an address such as https://news.example.org/",
        "tidings.toml:3 `site.langauge`: found an unknown key, expected `language` perhaps",
        "tidings.toml:4 `site.print_line`: found \"yes\", expected true or false",
        "tidings.toml:7 `server.listen`: found \"abc\", expected an address such as 127.0.0.1:8080",
        &format!("tidings.toml:8 `server.threads`: found 65, {threads}"),
        "tidings.toml:9 `server.drain_s`: found -1, expected 0 to 600",
        "tidings.toml:10 `server.body_bytes_max`: found 1.5, expected 1024 to 16777216",
        "tidings.toml:13 `feeds.hub`: found an address with an @, expected an address such as https://news.example.org/",
        "tidings.toml:16 `mail.from`: found \"nobody\", expected a mail address such as Newsroom <news@example.org>",
        "tidings.toml:17 `mail.doubtful`: found \"maybe\", expected one of \"hold\", \"resend\"",
        "tidings.toml:18 `mail.text`: found \"all\", expected one of \"summary\", \"full\"",
        "tidings.toml:20 `mail.smtp.host`: found nothing, expected text on one line",
        "tidings.toml:21 `mail.smtp.tls`: found \"ssl\", expected one of \"starttls\", \"implicit\", \"none\"",
        "tidings.toml:22 `mail.smtp.port`: found 0, expected 1 to 65535",
        "tidings.toml:24 `web`: found an unknown section, expected one of site, server, store, feeds, mail, subscriptions, log",
        "tidings.toml:28 `log.level`: found \"loud\", expected one of \"error\", \"warn\", \"info\", \"debug\", \"trace\"",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_not_written_has_its_default() {
    let (folder, file) = newsroom(LEAST, &[("science.toml", "title = \"Science\""), ("note.txt", "not a feed")]);
    let config = load(&file).expect("valid");
    assert_eq!(config.site.base_url.as_str(), "https://news.example.org/");
    assert!(config.site.print_line && config.site.language == "en" && config.site.description.is_empty());
    let server = &config.server;
    assert_eq!(
        (server.listen.to_string(), server.admin_listen.to_string()),
        ("127.0.0.1:8080".into(), "127.0.0.1:8081".into())
    );
    assert_eq!(
        (server.connections_max, server.body_bytes_max, server.drain),
        (10_000, 2_097_152, Duration::from_secs(10))
    );
    assert!((1..=64).contains(&server.threads));
    assert_eq!(config.store.folder, folder.path().join("data"));
    assert_eq!(config.store.control_socket(), folder.path().join("data/control.sock"));
    assert_eq!(config.feeds_folder, folder.path().join("feeds"));
    let mail = &config.mail;
    assert_eq!(mail.from, Sender { name: None, address: "tidings@news.example.org".into() });
    assert_eq!(mail.outbox, folder.path().join("data/outbox"));
    assert_eq!((mail.article_age_max.num_hours(), mail.attempts_max), (48, 30));
    assert_eq!((mail.doubtful, mail.confirmations_per_hour_max), (Doubtful::Hold, 1_000));
    assert!(mail.smtp.is_none());
    assert_eq!((config.log.format, config.log.level), (LogFormat::Auto, Level::INFO));
    let science = config.categories.get("science").expect("the file's name");
    assert_eq!((science.title.as_str(), science.language.as_str(), science.limit), ("Science", "en", 50));
    assert!(science.articles.is_none() && science.zone.iana_name() == Some("UTC"));
}

#[test]
fn writing_every_default_out_changes_nothing() {
    let mut main = LEAST.to_owned();
    let mut feed = "title = \"Science\"\n".to_owned();
    let mut section = "site";
    for key in reference() {
        let Standard::Value(standard) = key.standard else { continue };
        let bare = matches!(key.form, Form::Flag | Form::Whole { .. });
        let value = if bare { standard.to_owned() } else { format!("{standard:?}") };
        let line = format!("{} = {value}\n", key.name);
        if key.section == FEED {
            feed.push_str(&line);
            continue;
        }
        if key.section != section {
            section = key.section;
            main.push_str(&format!("[{section}]\n"));
            if section == "mail.smtp" {
                main.push_str("host = \"mail.example.org\"\n");
            }
        }
        main.push_str(&line);
    }
    let (_folder, file) = newsroom(&main, &[("science.toml", &feed)]);
    let written = load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}\nin\n{main}\n{feed}"));
    fs::write(&file, format!("{LEAST}[mail.smtp]\nhost = \"mail.example.org\"\n")).expect("writable");
    fs::write(file.with_file_name("feeds").join("science.toml"), "title = \"Science\"\n").expect("writable");
    assert_eq!(format!("{written:?}"), format!("{:?}", load(&file).expect("valid")));
}

#[test]
fn every_key_is_listed_once() {
    let paths: BTreeSet<(&str, &str)> = reference().iter().map(|key| (key.section, key.name)).collect();
    assert_eq!(paths.len(), reference().len());
}

#[test]
fn a_syntax_error_has_its_line_and_repeats_nothing() {
    let found = mistakes("[site]\ntitle = \"Gazette\"\n\npassword = hunter2 or so\n", &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("tidings.toml:4 `syntax`: found no TOML here: "), "{found:?}");
    assert!(!found[0].contains("hunter2"), "{found:?}");
}

#[test]
fn secrets_are_not_shown() {
    let smtp = "[mail.smtp]\nhost = \"mail.example.org\"\nusername = \"news\"\n";
    for (line, told) in [
        (
            "password = \"hunter2\"",
            "tidings.toml:7 `mail.smtp.password`: found an unknown key, expected `password_file` perhaps",
        ),
        (
            "password_file = \"hunter2\"",
            "tidings.toml:7 `mail.smtp.password_file`: found no readable file (entity not found), expected the path of a readable file that holds the secret",
        ),
        (
            "password_file = [\"hunter2\"]",
            "tidings.toml:7 `mail.smtp.password_file`: found something else, expected the path of a readable file that holds the secret",
        ),
    ] {
        let found = mistakes(&format!("{LEAST}{smtp}{line}\n"), &[("a.toml", "title = \"A\"")]);
        assert!(
            found.iter().any(|found| found == told) && !found.iter().any(|found| found.contains("hunter2")),
            "{found:?}"
        );
    }
    let found = mistakes(
        "[site]\ntitle = \"G\"\nbase_url = \"https://me:hunter2@example.org/\"",
        &[("a.toml", "title = \"A\"")],
    );
    assert_eq!(
        found,
        [
            "tidings.toml:3 `site.base_url`: found an address with an @, expected an address such as https://news.example.org/"
        ]
    );

    let main = format!("{LEAST}{smtp}password_file = \"secret\"\n");
    let (folder, file) = newsroom(&main, &[("a.toml", "title = \"A\"")]);
    fs::write(folder.path().join("secret"), "hunter2 \r\n").expect("writable");
    let config = load(&file).expect("valid");
    assert!(!format!("{config:?}").contains("hunter2"));
    let login = config.mail.smtp.expect("written").login.expect("written");
    assert_eq!((login.username.as_str(), login.password.expose()), ("news", "hunter2 "));
}

#[test]
fn a_login_is_whole_and_not_sent_in_the_clear() {
    let feeds = [("a.toml", "title = \"A\"")];
    let smtp = |rest: &str| format!("{LEAST}[mail.smtp]\nhost = \"mail.example.org\"\n{rest}");
    assert_eq!(
        mistakes(&smtp("username = \"news\"\n"), &feeds),
        ["tidings.toml:6 `mail.smtp.username`: found only one half of a login, expected a password_file beside it"]
    );
    let (folder, file) = newsroom(&smtp("tls = \"none\"\nusername = \"news\"\npassword_file = \"secret\"\n"), &feeds);
    fs::write(folder.path().join("secret"), "hunter2").expect("writable");
    let found = load(&file).expect_err("in the clear").to_string();
    assert!(
        found.contains("tidings.toml:6 `mail.smtp.tls`: found \"none\", which would send the password in the clear")
    );
    let here = fs::read_to_string(&file).expect("readable").replace("mail.example.org", "127.0.0.1");
    fs::write(&file, here).expect("writable");
    let smtp = load(&file).expect("on this machine it may").mail.smtp.expect("written");
    assert_eq!((smtp.tls, smtp.port, smtp.connections, smtp.timeout), (Tls::None, 25, 4, Duration::from_secs(30)));
}

#[test]
fn two_files_with_one_slug_are_both_named() {
    let found = mistakes(LEAST, &[("a.toml", "title = \"A\"\nslug = \"b\""), ("b.toml", "title = \"B\"")]);
    assert_eq!(found, ["feeds/b.toml `slug`: found \"b\", which feeds/a.toml has as well, expected a slug of its own"]);
}

#[test]
fn two_feeds_with_one_folder_of_articles_are_both_named() {
    let text = |folder: &str| format!("title = \"T\"\narticles = \"{folder}\"\n");
    let found = mistakes(LEAST, &[("a.toml", &text(".")), ("b.toml", &text("../feeds"))]);
    assert_eq!(
        found,
        ["feeds/b.toml:2 `articles`: found feeds, which feeds/a.toml has as well, expected a folder of its own"]
    );
}

#[test]
fn a_newsroom_without_feeds_is_a_mistake() {
    let found = mistakes(LEAST, &[(".#a.toml", "title = \"left by an editor\"")]);
    assert_eq!(
        found,
        ["feeds `feeds.folder`: found no *.toml in it, expected at least one feed definition such as science.toml"]
    );
    let found = mistakes(&format!("{LEAST}[feeds]\nfolder = \"none\"\n"), &[]);
    assert_eq!(
        found,
        [
            "tidings.toml:5 `feeds.folder`: found none, which is no folder, expected a folder of feed definitions such as science.toml"
        ]
    );
}

#[test]
fn a_value_where_a_section_belongs_is_named() {
    let found = mistakes("site = 3\n[mail]\nsmtp = \"mail.example.org\"\n", &[("a.toml", "title = \"A\"")]);
    assert!(found.iter().any(|f| f == "tidings.toml:1 `site`: found a value, expected a section [site]"), "{found:?}");
    assert!(
        found.iter().any(|f| f == "tidings.toml:3 `mail.smtp`: found a value, expected a section [mail.smtp]"),
        "{found:?}"
    );
}

#[test]
fn a_missing_file_is_one_mistake() {
    let found = load(Path::new("/nowhere/tidings.toml")).expect_err("missing").to_string();
    assert!(found.starts_with("/nowhere/tidings.toml `file`: found No such file"), "{found}");
}

#[test]
fn senders_with_and_without_a_name() {
    let sender = |text: &str| Sender::parse(text).map(|sender| (sender.name.unwrap_or_default(), sender.address));
    assert_eq!(sender("Newsroom <news@Example.org>"), Some(("Newsroom".into(), "news@example.org".into())));
    assert_eq!(sender("\"News, all\" <news@example.org>"), Some(("News, all".into(), "news@example.org".into())));
    assert_eq!(sender("tidings@localhost"), Some((String::new(), "tidings@localhost".into())));
    for wrong in ["", "Newsroom", "a b@localhost", "@localhost", "News\r\nBcc: <x@example.org>", "News <>"] {
        assert_eq!(sender(wrong), None, "{wrong:?}");
    }
}

#[test]
fn the_store_is_found_while_a_feed_definition_is_being_edited() {
    let (folder, file) = newsroom("[store]\nfolder = \"d\"\n[site]\n", &[("a.toml", "half a li")]);
    assert_eq!(load_store(&file).expect("enough").folder, folder.path().join("d"));
    assert!(load(&file).is_err());
}

#[test]
fn the_sample_newsroom_loads() {
    let config = load(Path::new("examples/newsroom/tidings.toml")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(config.site.base_url.as_str(), "http://127.0.0.1:8080/");
    assert_eq!(config.mail.from.address, "tidings@localhost");
    assert_eq!(config.categories.known(), "economy, science");
    let science = config.categories.get("science").expect("known");
    assert_eq!(science.zone.iana_name(), Some("Europe/Moscow"));
    let articles = fs::read_dir(science.articles.as_ref().expect("named")).expect("there").count();
    assert_eq!(articles, 11);
}

#[test]
fn a_canary_needs_a_door_through_which_it_comes_back() {
    let canary =
        "[mail.canary]\naddress = \"b+canary@example.org\"\nevery_min = 0\n[mail.watchdog]\nnotice_min = \"x\"\n";
    let found = mistakes(&format!("{LEAST}[mail]\nreturn_address = \"b@example.org\"\n{canary}"), &[]);
    for expected in [
        "`mail.canary.address`: found no door for what comes back, expected mail.returns_maildir or mail.returns_lmtp",
        "`mail.canary.every_min`: found 0, expected 1 to 10080",
        "`mail.watchdog.notice_min`: found \"x\", expected 1 to 10080",
    ] {
        assert!(found.iter().any(|line| line.contains(expected)), "{expected}: {found:#?}");
    }
    let door = "returns_lmtp = \"127.0.0.1:2424\"";
    let canary = canary.replace("every_min = 0", "deadline_min = 5").replace("\"x\"", "7");
    let main = format!("{LEAST}[mail]\nreturn_address = \"b@example.org\"\n{door}\n{canary}");
    let (_folder, file) = newsroom(&main, &[("science.toml", "title = \"Science\"\n")]);
    let mail = load(&file).expect("good").mail;
    let canary = mail.canary.expect("one");
    let minutes = |duration: chrono::TimeDelta| duration.num_minutes();
    assert_eq!(
        (canary.address.as_str(), minutes(canary.every), minutes(canary.deadline)),
        ("b+canary@example.org", 30, 5)
    );
    let found = MailClass::ALL.map(|class| minutes(mail.watchdog.of(class)));
    assert_eq!(found, [15, 7, 120, 60, 15]);
    let standard = Watchdog::default();
    assert_eq!(MailClass::ALL.map(|class| minutes(standard.of(class))), [15, 60, 120, 60, 15], "as the table has it");
}

#[test]
fn what_keeps_mails_from_doing_what_they_should_is_told() {
    let advice = |main: &str, key: Option<&str>| {
        let (folder, file) = newsroom(main, &[("science.toml", "title = \"Science\"\n")]);
        if let Some(domain) = key {
            let keys = folder.path().join("dkim");
            fs::create_dir(&keys).expect("a folder");
            fs::write(keys.join("a.toml"), format!("domain = \"{domain}\"\nkey_file = \"a.pem\"\n")).expect("written");
            fs::write(keys.join("a.pem"), "-----BEGIN PRIVATE KEY-----").expect("written");
        }
        load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}")).advice()
    };
    let smtp = "[mail.smtp]\nhost = \"localhost\"\ntls = \"none\"\n";
    assert!(advice(&format!("{LEAST}{smtp}"), None).is_empty());
    let plain = LEAST.replace("https", "http");
    assert!(advice(&plain, None).is_empty(), "mail that goes to files is read by nobody's provider");
    let said = advice(&format!("{plain}{smtp}"), None);
    assert!(said.len() == 1 && said[0].contains("`site.base_url` is http://news.example.org/"), "{said:?}");
    let said = advice(&format!("{LEAST}[mail]\nreturn_address = \"b@example.org\"\n"), None);
    assert!(said.len() == 1 && said[0].contains("`mail.returns_lmtp`"), "{said:?}");
    let signed = format!("{LEAST}[mail]\nfrom = \"n@News.example.org\"\ndkim_folder = \"dkim\"\n");
    for domain in ["news.example.org", "example.org", "a.news.example.org"] {
        assert!(advice(&signed, Some(domain)).is_empty(), "{domain}");
    }
    let said = advice(&signed, None);
    assert!(said.len() == 1 && said[0].contains("has no key: mails go out unsigned"), "{said:?}");
    for domain in ["ews.example.org", "example.net"] {
        let said = advice(&signed, Some(domain));
        assert!(said.len() == 1 && said[0].contains(&format!("signs for {domain}")), "{said:?}");
    }
}

#[test]
fn days_on_which_no_key_signs_are_told() {
    let day = |day: u32| format!("2030-01-{day:02}");
    for (days, told) in [
        (&[(None, None)][..], None),
        (&[(None, Some(10)), (Some(9), None)], None),
        (&[(None, Some(10)), (Some(10), None)], None),
        (&[(Some(5), None), (None, Some(6))], None),
        (&[(None, Some(20)), (Some(3), Some(4)), (Some(19), None)], None),
        (&[(None, Some(10)), (Some(11), None)], Some(10)),
        (&[(None, Some(10)), (Some(9), Some(12))], Some(12)),
        (&[(Some(2), Some(10)), (Some(3), Some(4)), (Some(11), None)], Some(10)),
    ] {
        let main = format!("{LEAST}[mail]\nfrom = \"n@news.example.org\"\ndkim_folder = \"dkim\"\n");
        let (folder, file) = newsroom(&main, &[("science.toml", "title = \"Science\"\n")]);
        let keys = folder.path().join("dkim");
        fs::create_dir(&keys).expect("a folder");
        for (number, (from, to)) in days.iter().enumerate() {
            let from = from.map(|from| format!("not_before = \"{}\"\n", day(from))).unwrap_or_default();
            let to = to.map(|to| format!("not_after = \"{}\"\n", day(to))).unwrap_or_default();
            fs::write(keys.join(format!("k{number}.toml")), format!("key_file = \"k.pem\"\n{from}{to}"))
                .expect("written");
        }
        fs::write(keys.join("k.pem"), "-----BEGIN PRIVATE KEY-----").expect("written");
        let said = load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}")).advice();
        let expected = told.map(|told| format!("from {} 00:00:00 UTC on no key signs", day(told)));
        assert_eq!(said.len(), usize::from(told.is_some()), "{days:?}: {said:?}");
        assert!(expected.is_none_or(|expected| said[0].contains(&expected)), "{days:?}: {said:?}");
    }
}
