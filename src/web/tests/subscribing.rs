//! Asking, confirming, leaving.

use super::{Newspaper, at};
use crate::domain::{Address, Cadence, Hour, Subscription, SubscriptionState};
use crate::store::Batch;
use crate::wire::check;
use crate::wire::mail::Token;
use axum::body::Body;
use axum::http::{Request, StatusCode};

#[tokio::test]
async fn asking_answers_the_same_for_everybody() {
    let paper = Newspaper::new();
    paper.subscriber("known@example.org", SubscriptionState::Confirmed { at: at("2026-01-01T00:00:00Z") }).await;
    let known = paper.post("/subscribe", "address=known%40example.org&category=science").await;
    let new = paper.post("/subscribe", "address=brand-new%40example.org&category=economy&category=science").await;
    assert_eq!((known.status, new.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(known.text.replace("known@", "brand-new@"), new.text);
    new.says(&["Look into your mailbox", "brand-new@example.org"]);
    assert_eq!((new.header("cache-control"), new.header("referrer-policy")), ("no-store", "no-referrer"));
    let address = Address::parse("address", "brand-new@example.org").unwrap();
    let subscriber = paper.app.store.subscriber_of(&address).unwrap().unwrap().record;
    let stored = paper.app.store.subscriptions_of(&subscriber).unwrap().remove(0).record;
    assert_eq!(stored.state, SubscriptionState::Pending);
    assert!(stored.selection.terms().count() == 2);
}

#[tokio::test]
async fn a_mistake_in_the_form_is_shown_beside_its_field_and_nothing_is_lost() {
    let paper = Newspaper::new();
    let form = paper.get("/subscribe?category=economy").await;
    form.says(&["value=\"economy\" checked", "value=\"science\">", "method=\"post\" action=\"/subscribe\""]);
    form.says_nothing_of(&["class=\"fault\""]);
    let wrong = paper.post("/subscribe", "address=me%22%3E&category=science").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    wrong.says(&["value=\"me&quot;&gt;\"", "id=\"address-fault\"", "value=\"science\" checked"]);
    wrong.says_nothing_of(&["category-fault"]);
    let days = paper.post("/subscribe", "address=&category=science&cadence=daily&hour=18&day=Mon&day=Fri").await;
    days.says(&["value=\"Mon\" checked", "value=\"Fri\" checked", "value=\"Tue\">", "value=\"18\" selected"]);
    let empty = paper.post("/subscribe", "address=").await;
    empty.says(&["id=\"address-fault\"", "id=\"category-fault\"", "Please give a mail address"]);
    let unknown = paper.post("/subscribe", "address=a%40example.org&category=sports").await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    unknown.says(&["id=\"category-fault\"", "no category “sports”", "value=\"a@example.org\""]);
    let json = Request::post("/subscribe").header("content-type", "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(paper.send(json).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = format!("address={}", "a".repeat(70_000));
    assert_eq!(paper.post("/subscribe", &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn too_many_who_ask_within_the_hour_are_told_to_come_back() {
    let paper = Newspaper::new();
    for n in 0..3 {
        assert_eq!(paper.post("/subscribe", &format!("address=a{n}%40example.org&everything=yes")).await.status, 200);
    }
    let refused = paper.post("/subscribe", "address=a4%40example.org&everything=yes").await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (429, "30"));
    refused.says(&["<h1>Too many at once</h1>"]);
}

#[tokio::test]
async fn opening_the_link_changes_nothing_and_the_button_confirms() {
    let paper = Newspaper::new();
    let subscription = paper.subscriber("reader@example.org", SubscriptionState::Pending).await;
    let path = format!("/subscriptions/{}", Token::confirm(&subscription).seal(&paper.app.store.identity().secret));
    let link = paper.get(&path).await;
    link.says(&[
        "name=\"act\" value=\"confirm\"",
        ">r…@example.org<",
        "<li>Science</li>",
        &format!("action=\"{path}\""),
    ]);
    link.says_nothing_of(&["reader@example.org"]);
    assert_eq!(link.header("referrer-policy"), "no-referrer");
    assert_eq!((link.header("x-robots-tag"), link.header("cache-control")), ("noindex", "no-store"));
    assert_eq!(paper.state(subscription.id), SubscriptionState::Pending);
    for other in ["", "List-Unsubscribe=One-Click", "act=leave"] {
        assert_eq!(paper.post(&path, other).await.status, StatusCode::BAD_REQUEST, "{other:?}");
        assert_eq!(paper.state(subscription.id), SubscriptionState::Pending, "{other:?}");
    }
    paper.post(&path, "act=confirm").await.says(&["<h1>You are subscribed</h1>", "<li>Science</li>"]);
    assert!(matches!(paper.state(subscription.id), SubscriptionState::Confirmed { .. }));
    // From now on it is its owner's, and mails are passed on: no link of an old one shows what it has become.
    let again = paper.post(&path, "act=confirm").await;
    again.says(&["<h1>You are subscribed</h1>"]);
    let leave = format!("/subscriptions/{}", Token::leave(subscription.id).seal(&paper.app.store.identity().secret));
    for page in [again, paper.get(&path).await, paper.get(&leave).await] {
        assert_eq!(page.status, StatusCode::OK);
        page.says_nothing_of(&["<li>Science</li>", "reader@example.org"]);
    }
    assert_eq!(paper.get(&format!("{path}x")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_confirms_a_digest_is_told_when_the_first_one_comes() {
    let paper = Newspaper::new();
    let asked = paper.subscriber("reader@example.org", SubscriptionState::Pending).await;
    let stored = paper.app.store.subscription(asked.id).unwrap().unwrap();
    let cadence = Cadence::Weekly { hour: Hour::SEVEN, day: chrono::Weekday::Fri };
    let mut batch = Batch::default();
    paper.app.store.write_subscription(&mut batch, Some(&stored), &Subscription { cadence, ..asked.clone() });
    paper.app.store.commit(batch).await.unwrap();
    let path = format!("/subscriptions/{}", Token::confirm(&asked).seal(&paper.app.store.identity().secret));
    paper.post(&path, "act=confirm").await.says(&["The next mail comes on 6 March 2026, 07:00 UTC."]);
    paper.get("/subscribe").await.says(&["Monday, if no other day is ticked"]);
}

#[tokio::test]
async fn one_click_leaves_without_a_page_and_the_button_with_one() {
    let paper = Newspaper::new();
    let confirmed = SubscriptionState::Confirmed { at: at("2026-01-01T00:00:00Z") };
    let subscription = paper.subscriber("reader@example.org", confirmed.clone()).await;
    let path = format!("/subscriptions/{}", Token::leave(subscription.id).seal(&paper.app.store.identity().secret));
    paper.get(&path).await.says(&["name=\"act\" value=\"leave\"", ">r…@example.org<"]);
    assert_eq!(paper.state(subscription.id), confirmed, "a scanner that opens links unsubscribes nobody");
    let boundary = "multipart/form-data; boundary=b";
    let parts = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
    for (media_type, body) in [("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"), (boundary, parts)] {
        let request = Request::post(&path).header("content-type", media_type).header("sec-fetch-site", "cross-site");
        let answer = paper.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "You are unsubscribed\n"));
        assert_eq!((answer.header("set-cookie"), answer.header("location")), ("", ""));
        assert!(matches!(paper.state(subscription.id), SubscriptionState::Unsubscribed { .. }));
    }
    paper.post(&path, "act=leave").await.says(&["<h1>You are unsubscribed</h1>"]);
}

/// A confirmed reader, and the path of a link to the preferences that was asked for just now.
async fn with_preferences(paper: &Newspaper) -> (Subscription, String) {
    let confirmed = SubscriptionState::Confirmed { at: at("2026-01-01T00:00:00Z") };
    let reader = paper.subscriber("reader@example.org", confirmed).await;
    let secret = &paper.app.store.identity().secret;
    let leave = format!("/subscriptions/{}", Token::leave(reader.id).seal(secret));
    let asked = paper.post(&leave, "act=preferences").await;
    asked.says(&["Look into your mailbox", ">r…@example.org<"]).says_nothing_of(&["reader@example.org"]);
    assert!(matches!(paper.state(reader.id), SubscriptionState::Confirmed { .. }), "nobody has left");
    let subscriber = paper.app.store.subscriber_of(&reader.address).unwrap().unwrap().record;
    (reader, format!("/subscriptions/{}", Token::preferences(&subscriber).seal(secret)))
}

#[tokio::test]
async fn the_preferences_show_and_change_what_an_address_gets() {
    let paper = Newspaper::new();
    let (reader, path) = with_preferences(&paper).await;
    let id = reader.id;
    let shown = paper.get(&path).await;
    shown.says(&["reader@example.org", "value=\"science\" checked", "value=\"instant\" checked", "export.json"]);
    assert_eq!((shown.header("cache-control"), shown.header("referrer-policy")), ("no-store", "no-referrer"));
    let form = format!("act=save&id={id}&category=economy&cadence=weekly&hour=18&day=Fri");
    let saved = paper.post(&path, &form).await;
    saved.says(&["Saved.", "value=\"economy\" checked", "value=\"weekly\" checked", "<option value=\"18\" selected>"]);
    let stored = paper.app.store.subscription(id).unwrap().unwrap().record;
    assert_eq!(stored.selection.to_string(), "category:economy");
    assert_eq!(stored.digests.next.unwrap().at, at("2026-03-06T18:00:00Z"));
    let wrong = paper.post(&path, &format!("act=save&id={id}&query=category%3Aeconomy+AND&cadence=daily")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    wrong.says(&["from character 21 on", "value=\"category:economy AND\""]);
    let wrong = paper.post(&path, "act=settings&time_zone=Mars%2FPhobos&language=en").await;
    wrong.says(&["“Mars/Phobos” is not a time zone"]);
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    paper.post(&path, "act=add&query=tag%3Aspace&cadence=instant").await.says(&["tag:space"]);
    let subscriber = paper.app.store.subscriber_of(&reader.address).unwrap().unwrap().record;
    let added = subscriber.subscriptions[1];
    let ended = paper.post(&path, &format!("act=remove&id={added}")).await;
    ended
        .says(&["You are unsubscribed", "a link to take it back is on its way"])
        .says_nothing_of(&["tag:space", "Saved."]);
    paper.post(&path, &format!("act=pause&id={id}")).await.says(&["(paused)", "value=\"resume\""]);
    assert_eq!(paper.post(&path, "act=nonsense").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let json = paper.get(&format!("{path}/export.json")).await;
    assert_eq!((json.header("content-type"), json.header("cache-control")), ("application/json", "no-store"));
    json.says(&["\"address\": \"reader@example.org\""]);
    paper.post(&path, "act=erase").await.says(&["Please tick that you are sure."]);
    paper.post(&path, "act=erase&sure=yes").await.says(&["<h1>Erased</h1>"]);
    assert!(paper.app.store.subscriber_of(&reader.address).unwrap().is_none());
    assert_eq!(paper.get(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_subscription_is_a_feed_under_an_address_that_can_be_revoked() {
    let paper = Newspaper::new();
    let article = paper.publish("a1", "Of science", |_| {}).await;
    paper.log(&article).await;
    let (reader, path) = with_preferences(&paper).await;
    let feed = |token: &str, file: &str| format!("/subscriptions/{token}/{file}");
    let token = paper.app.subscriptions.feed_token(&reader);
    for (file, media_type) in [
        ("rss.xml", "application/rss+xml"),
        ("atom.xml", "application/atom+xml"),
        ("feed.json", "application/feed+json"),
    ] {
        let answer = paper.get(&feed(&token, file)).await;
        answer.says(&["Of science"]);
        assert!(answer.header("content-type").starts_with(media_type), "{file}");
        assert_eq!((answer.header("cache-control"), answer.header("x-robots-tag")), ("private, no-cache", "noindex"));
        let known = Request::get(feed(&token, file)).header("if-none-match", answer.header("etag"));
        let known = paper.send(known.body(Body::empty()).unwrap()).await;
        assert_eq!((known.status, known.header("cache-control")), (StatusCode::NOT_MODIFIED, "private, no-cache"));
    }
    paper.name_a_hub("https://hub.example/");
    for file in ["rss.xml", "atom.xml", "feed.json"] {
        let own = paper.get(&feed(&token, file)).await;
        let public = Request::get(format!("/science/{file}")).body(()).unwrap().into_parts().0;
        let public = crate::web::feeds::serve(&paper.app, &public, None).await.unwrap();
        let (public, body) = public.into_parts();
        let body = axum::body::to_bytes(Body::new(body), usize::MAX).await.unwrap();
        own.says(&["Of science"]);
        assert!(!own.text.contains("hub.example") && own.header("link").is_empty(), "{file}: {}", own.text);
        assert!(public.headers.contains_key("link"), "{file}");
        assert!(String::from_utf8_lossy(&body).contains("https://hub.example/"), "{file}");
        assert_ne!(own.header("etag").as_bytes(), public.headers["etag"].as_bytes(), "they are other bytes");
        let found = check::examine(own.text.as_bytes(), &check::Context::default()).findings;
        assert!(found.iter().all(|one| one.severity == check::Severity::Advice), "{file}: {found:?}");
    }
    paper.get(&path).await.says(&[&feed(&token, "rss.xml")]);
    paper.post(&path, &format!("act=new-feed&id={}", reader.id)).await;
    assert_eq!(paper.get(&feed(&token, "rss.xml")).await.status, StatusCode::NOT_FOUND, "revoked");
    let renewed = paper.app.store.subscription(reader.id).unwrap().unwrap().record;
    let token = paper.app.subscriptions.feed_token(&renewed);
    assert_eq!(paper.get(&feed(&token, "rss.xml")).await.status, StatusCode::OK);
    assert_eq!(paper.get(&feed(&token, "index.html")).await.status, StatusCode::NOT_FOUND);
    let leave = Token::leave(reader.id).seal(&paper.app.store.identity().secret);
    assert_eq!(paper.get(&feed(&leave, "rss.xml")).await.status, StatusCode::NOT_FOUND, "not with any link");
    paper.post(&format!("/subscriptions/{leave}"), "act=leave").await;
    assert_eq!(paper.get(&feed(&token, "rss.xml")).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_form_that_a_program_has_filled_in_asks_nobody_and_says_nothing_of_it() {
    let paper = Newspaper::new();
    let trapped =
        paper.post("/subscribe", "address=a%40example.org&everything=yes&website=http%3A%2F%2Fspam.example").await;
    let person = paper.post("/subscribe", "address=b%40example.org&everything=yes&website=").await;
    assert_eq!((trapped.status, trapped.text.replace("a@", "b@")), (person.status, person.text));
    let known =
        |text: &str| paper.app.store.subscriber_of(&Address::parse("address", text).unwrap()).unwrap().is_some();
    assert_eq!((known("a@example.org"), known("b@example.org")), (false, true));
}

#[tokio::test]
async fn a_program_that_fills_in_the_form_gets_nobody_a_link_to_preferences_and_the_same_answer() {
    let paper = Newspaper::new();
    let confirmed = SubscriptionState::Confirmed { at: at("2026-01-01T00:00:00Z") };
    paper.subscriber("reader@example.org", confirmed).await;
    let owed = || paper.app.store.count_due(crate::store::Due::Message, 9).unwrap();
    let form = "act=preferences&address=reader%40example.org&website=";
    let trapped = paper.post("/subscribe", &format!("{form}http%3A%2F%2Fspam.example")).await;
    assert_eq!(owed(), 0, "no person fills that field in");
    let person = paper.post("/subscribe", form).await;
    assert_eq!(owed(), 1, "a person is owed the link");
    assert_eq!(trapped.status, StatusCode::OK);
    assert_eq!((trapped.status, trapped.text), (person.status, person.text), "a program is not told");
    assert_eq!(trapped.headers, person.headers);
}

#[tokio::test]
async fn a_proof_of_work_spares_the_wait() {
    let paper = Newspaper::new();
    let form = paper.get("/subscribe").await;
    assert!(form.header("content-security-policy").contains("script-src 'self'"));
    let challenge = form.text.split("name=\"challenge\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let nonce = (0_u32..).find(|nonce| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{challenge}:{nonce}").as_bytes());
        u32::from_be_bytes(digest.as_ref()[..4].try_into().unwrap()).leading_zeros() >= super::super::proof::BITS
    });
    let now = paper.app.clock.now();
    let owed = || paper.app.store.messages_due(now, None, 9).unwrap().len();
    let nonce = nonce.unwrap();
    for (address, nonce, due) in [("a", String::new(), 0), ("b", nonce.to_string(), 1), ("c", nonce.to_string(), 1)] {
        let body = format!("address={address}%40example.org&everything=yes&challenge={challenge}&nonce={nonce}");
        assert_eq!(paper.post("/subscribe", &body).await.status, StatusCode::OK);
        assert_eq!(owed(), due, "{address}: none, a good one, and the same again");
    }
    for script in ["/assets/subscribe.js", "/assets/confirm.js"] {
        assert!(paper.get(script).await.header("content-type").starts_with("text/javascript"), "{script}");
    }
}

#[tokio::test]
async fn the_page_confirms_by_itself_once_those_who_open_links_before_people_have_been_there() {
    let paper = Newspaper::new();
    let waiting = paper.subscriber("reader@example.org", SubscriptionState::Pending).await;
    let path = format!("/subscriptions/{}", Token::confirm(&waiting).seal(&paper.app.store.identity().secret));
    let script = "/assets/confirm.js";
    paper.get(&path).await.says_nothing_of(&[script]).says(&["I want to get these mails at this address"]);
    let message = crate::store::Message::Confirmation { round: waiting.round };
    let mut row = crate::store::LedgerRow::new(message, waiting.id, None, paper.app.clock.now());
    row.state = crate::store::Delivery::Sent { at: paper.app.clock.now(), reply: "250 OK".into() };
    let mut batch = crate::store::Batch::default();
    paper.app.store.write_message(&mut batch, &row);
    paper.app.store.commit(batch).await.unwrap();
    for (minutes, is_automatic) in [(0, false), (4, false), (1, true)] {
        paper.app.clock.advance(chrono::Duration::minutes(minutes));
        let page = paper.get(&path).await;
        assert_eq!(page.text.contains(script), is_automatic, "after {minutes} more minutes");
        page.says(&["name=\"act\" value=\"confirm\""]);
        assert_eq!(paper.state(waiting.id), SubscriptionState::Pending, "a GET changes nothing");
    }
    let secret = &paper.app.store.identity().secret;
    let never = format!("/subscriptions/{}", Token::never(waiting.id, &waiting.address, secret).seal(secret));
    for is_known in [true, false] {
        paper.get(&never).await.says(&["name=\"act\" value=\"never\""]).says_nothing_of(&[script]);
        assert_eq!(paper.post(&never, "").await.status, StatusCode::BAD_REQUEST);
        paper.post(&never, "act=never").await.says(&["You will not be asked again"]);
        assert!(paper.app.subscriptions.never(&waiting.address).unwrap().is_some(), "known: {is_known}");
        if is_known {
            paper.app.eraser.erase(&[waiting.id].into()).await.unwrap();
            paper.app.subscriptions.allow(&waiting.address).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_that_takes_no_more_is_told_of_as_such_by_whatever_would_change_it() {
    let paper = Newspaper::new();
    let waiting = paper.subscriber("waiting@example.org", SubscriptionState::Pending).await;
    let confirm = Token::confirm(&waiting).seal(&paper.app.store.identity().secret);
    paper.app.store.close();
    let article = r#"{"title": "A", "categories": ["science"]}"#;
    let answers = [
        paper.operate("POST", "/api/v1/articles", article).await,
        paper.operate("POST", "/control/keys", r#"{"name": "desk"}"#).await,
        paper.post("/subscribe", "address=new%40example.org&everything=yes").await,
        paper.post(&format!("/subscriptions/{confirm}"), "act=confirm").await,
    ];
    for answer in answers {
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "30"), "{}", answer.text);
        answer.says_nothing_of(&["the operator", "example.org"]);
    }
    paper.get(&format!("/subscriptions/{confirm}")).await.says(&["Science"]);
    assert_eq!(paper.state(waiting.id), SubscriptionState::Pending);
}
