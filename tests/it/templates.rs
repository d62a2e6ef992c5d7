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
fn a_template_that_fails_at_a_real_article_costs_nobody_a_mail() {
    let mut newsroom = Newsroom::prepare(Setup { mail: "templates = \"own\"\n", ..Setup::default() });
    newsroom.write("own/notice.txt", &format!("{OWN}{{% if title == 'Second' %}}{{{{ title | int }}}}{{% endif %}}"));
    newsroom.run();
    newsroom.subscribe("reader@example.net", &["economy"], || newsroom.outbox());
    assert!(news(&newsroom, "First").text.contains("\nBye: http"));
    let second = news(&newsroom, "Second");
    assert!(second.text.contains("Unsubscribe") && !second.text.contains("Bye"), "the built-in one: {}", second.text);
    let line = newsroom.daemon().log_line("built-in template");
    assert!(line.contains("notice.txt"), "{line}");
    assert!(news(&newsroom, "Third").text.contains("\nBye: http"));
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

#[test]
fn a_test_goes_to_an_address_once_in_each_language_and_its_links_do_no_harm() {
    let mut newsroom = Newsroom::prepare(Setup { mail: "templates = \"own\"\n", ..Setup::default() });
    newsroom.write("own/notice.txt", OWN);
    newsroom.run();
    newsroom.publish_titled("Hello & welcome");
    for (kind, language, subject) in [
        ("notice", "en", "Test: Hello & welcome"),
        ("digest", "ru", "Проба: Test News: Hello & welcome"),
        ("confirmation", "zh", "测试：Test News：请确认您的订阅"),
        ("correction", "ru", "Проба: Исправление: Hello & welcome"),
        ("farewell", "en", "Test: Test News: you are unsubscribed"),
    ] {
        let asked = ["mail", "test", "--to", "chief@example.net", "--kind", kind, "--language", language];
        let said = newsroom.cli(&asked).good();
        assert!(said.contains("is on its way to chief@example.net"), "{said}");
        let mail = eventually(subject, || newsroom.outbox().into_iter().find(|mail| mail.subject == subject));
        assert_eq!(mail.to, "chief@example.net");
        assert!(mail.html.contains(&format!("<html lang=\"{language}\">")), "{}", mail.html);
        if kind == "notice" {
            assert!(mail.text.contains("Bye: http"), "with the newsroom's own template: {}", mail.text);
            let leave = mail.header("List-Unsubscribe").unwrap().trim_matches(['<', '>']).to_owned();
            let path = leave.replacen(&newsroom.base_url(), "/", 1);
            newsroom.post_form(&path, "List-Unsubscribe=One-Click").expect(404);
        }
    }
    assert_eq!(newsroom.outbox().len(), 5);
    for (wrong, told) in [
        (["--to", "nobody", "--kind", "notice"], "`to`: found \"nobody\""),
        (["--to", "a@example.net", "--kind", "postcard"], "expected one of notice, correction, digest"),
        (["--to", "a@example.net", "--language", "tlh"], "expected one of en, ru, zh"),
        (["--to", "a@example.net", "--article", "none"], "there is no article"),
    ] {
        let said = newsroom.cli(&[&["mail", "test"][..], &wrong].concat());
        assert!(said.code != Some(0) && said.err.contains(told), "{told}: {said:?}");
    }
    newsroom.check();
    let shown = newsroom.cli(&["mail", "preview"]).good();
    let address = shown.lines().next().unwrap().replacen(&newsroom.base_url(), "/", 1);
    let page = newsroom.get(&address, &[]).expect(200);
    assert!(page.text().contains("Hello &amp; welcome") && page.text().contains("Bye: http"), "{}", page.text());
    newsroom.stop();
    let alone = newsroom.cli(&["mail", "preview"]);
    assert!(alone.code != Some(0) && alone.err.contains("no daemon is running"), "{alone:?}");
}

#[test]
fn what_is_wrong_with_a_template_is_told_where_it_is_looked_at_and_mails_go_out_by_the_last_good_one() {
    let mut newsroom = Newsroom::prepare(Setup { mail: "templates = \"own\"\n", ..Setup::default() });
    newsroom.write("own/notice.txt", OWN);
    newsroom.run();
    newsroom.subscribe("reader@example.net", &["economy"], || newsroom.outbox());
    let shown = newsroom.cli(&["mail", "preview"]).good();
    let address = shown.lines().next().unwrap().replacen(&newsroom.base_url(), "/", 1);

    // What a file says now is shown before mails are made of it.
    newsroom.write("own/notice.txt", &OWN.replace("Bye", "So long"));
    let page = newsroom.get(&address, &[]).expect(200).text();
    assert!(page.contains("So long: http") && !page.contains("role=\"alert\""), "{page}");
    let mail = news(&newsroom, "Before");
    assert!(mail.text.contains("Bye: http"), "{}", mail.text);

    for (name, text, told) in [
        ("notice.txt", "{{ title }}\n{{ leave }\n", "own/notice.txt:2 `notice.txt`: found"),
        (
            "notice-subject.txt",
            "{{ titel }}",
            "own/notice-subject.txt:1 `notice-subject.txt`: found titel, expected one of",
        ),
        (
            "correction.html",
            "<p>{{ title }}</p>",
            "own/correction.html `correction.html`: found no link leave that is seen",
        ),
        ("digest.txt", "{{ leave }} {{ t('no-such') }}", "own/digest.txt:1"),
        ("digest-line.html", "{% if %}", "own/digest-line.html:1"),
        ("confirmation.html", "<a href=\"{{ confirm }}\">{{ days | nothing }}</a>", "own/confirmation.html:1"),
        ("farewell.txt", "{{ undo }} {{ date(undo) }}", "own/farewell.txt:1"),
        ("preferences.html", "{{ lnk }}", "own/preferences.html:1 `preferences.html`: found lnk"),
        ("locales/ru.ftl", "mail-read = {", "own/locales/ru.ftl:"),
        ("locales/zh.ftl", "no-such = x", "own/locales/zh.ftl:1"),
    ] {
        newsroom.write(&format!("own/{name}"), text);
        let page = newsroom.get(&address, &[]).expect(422).text().replace("&#x2f;", "/");
        assert!(page.contains(told) && page.contains("role=\"alert\""), "{name}: {page}");
        assert!(newsroom.get(&format!("{address}/notice/en"), &[]).expect(422).text().contains("mistakes"));
        let preview = newsroom.cli(&["mail", "preview"]);
        assert!(preview.code == Some(1) && preview.err.contains(told), "{name}: {preview:?}");
        for kind in ["notice", "correction", "digest", "confirmation", "farewell", "preferences"] {
            let test = newsroom.cli(&["mail", "test", "--to", "chief@example.net", "--kind", kind]);
            assert!(test.code == Some(1) && test.err.contains(told), "{name}, {kind}: {test:?}");
        }
        newsroom.remove(&format!("own/{name}"));
    }
    let mail = news(&newsroom, "After");
    assert!(mail.text.contains("Bye: http"), "{}", mail.text);

    // And every kind is shown and sent in every language by templates that are right.
    newsroom.write("own/notice.txt", OWN);
    let page = newsroom.get(&address, &[]).expect(200).text();
    assert!(!page.contains("role=\"alert\""), "{page}");
    for kind in ["notice", "correction", "digest", "confirmation", "farewell", "preferences"] {
        for language in ["en", "ru", "zh"] {
            assert!(page.contains(&format!("aria-label=\"{kind} {language}\"")), "{kind} {language}");
            let asked = ["mail", "test", "--to", "chief@example.net", "--kind", kind, "--language", language];
            newsroom.cli(&asked).good();
        }
    }
    eventually("all of them", || {
        (newsroom.outbox().iter().filter(|mail| mail.to == "chief@example.net").count() == 18).then_some(())
    });
}
