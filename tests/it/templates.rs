//! A newsroom's own mail templates, in a daemon that runs.

use crate::harness::{Mail, Newsroom, Setup, eventually};

const OWN: &str = "{{ title }}\n{{ t('mail-read') }}: {{ link }}\nBye: {{ leave }}\n";

fn news(newsroom: &Newsroom, title: &str) -> Mail {
    newsroom.publish_titled(title);
    let mail = eventually("the news", || newsroom.outbox().into_iter().find(|mail| mail.subject == title));
    Mail { text: mail.text.replace("\r\n", "\n"), ..mail }
}

#[test]
fn a_file_takes_the_place_of_a_template_and_a_mistake_at_a_reload_leaves_what_was_there() {
    let mut newsroom = Newsroom::prepare(Setup { mail: "templates = \"own\"\n", ..Setup::default() });
    newsroom.write("own/notice.txt", OWN);
    newsroom.write("own/locales/en.ftl", "mail-read = All of it\n");
    newsroom.run();
    newsroom.subscribe("reader@example.net", &["economy"], || newsroom.outbox());
    let first = news(&newsroom, "First");
    assert!(first.text.starts_with("First\n") && first.text.contains("\nAll of it: http"), "{}", first.text);
    assert!(first.text.contains("\nBye: http") && first.html.contains(">All of it</a>"), "{}", first.html);
    assert!(first.html.contains("Unsubscribe, or change what you get"), "the other part is built in: {}", first.html);

    newsroom.write("own/notice.txt", "{{ titel }}\n");
    newsroom.write("own/notices.html", "");
    newsroom.daemon().signal("HUP");
    let line = newsroom.daemon().log_line("the mail templates have mistakes");
    assert!(line.contains("own/notice.txt:1") && line.contains("found titel, expected one of"), "{line}");
    assert!(line.contains("notices.html"), "both at once: {line}");
    let second = news(&newsroom, "Second");
    assert!(second.text.contains("\nBye: http"), "{}", second.text);

    newsroom.remove("own/notices.html");
    newsroom.write("own/notice.txt", &OWN.replace("Bye", "Leave"));
    newsroom.daemon().signal("HUP");
    newsroom.daemon().log_line("reloaded the mail templates");
    let third = news(&newsroom, "Third");
    assert!(third.text.contains("\nLeave: http") && !third.text.contains("Bye"), "{}", third.text);
}

#[test]
fn mistakes_in_templates_are_told_before_the_daemon_starts() {
    let mut newsroom = Newsroom::prepare(Setup { mail: "templates = \"own\"\n", ..Setup::default() });
    newsroom.write("own/digest.html", "<p>{{ html_items }}</p>\n");
    newsroom.write("own/confirmation.txt", "{{ confirm\n");
    let checked = newsroom.cli(&["config", "check"]);
    let refused = newsroom.try_run().expect_err("it does not start");
    for said in [checked, refused] {
        assert_ne!(said.code, Some(0));
        for part in ["own/confirmation.txt:1", "`confirmation.txt`: found"] {
            assert!(said.err.contains(part), "{part}: {said:?}");
        }
    }
    newsroom.write("own/confirmation.txt", "{{ confirm }}\n");
    let checked = newsroom.cli(&["config", "check"]);
    assert!(checked.err.contains("own/digest.html `digest.html`: found no link leave that is seen"), "{checked:?}");
    newsroom.remove("own/digest.html");
    newsroom.cli(&["config", "check"]).good();
    newsroom.run();
}
