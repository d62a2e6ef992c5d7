//! Subscribing by mail, confirming and leaving: forms that work without a script.
//!
//! The POSTs here change something and carry no CSRF token, for there is nothing a forged one could borrow: no cookie,
//! no login. What `/subscribe` does, anybody may do for any address from anywhere (it sends one confirmation mail,
//! within limits), so a form on another site of the newsroom's may post to it too, and `Sec-Fetch-Site` is not asked.
//! What `/subscriptions/{token}` does, the token alone allows, and mailbox providers post there from their own sites.

use super::App;
use super::asking::{AskedFrom, next_digest, spoken_to};
use super::body::{is_of, read_body};
use super::frame::{Segments, javascript, line, own_page, say, scripted, segments};
use super::mishap::PageProblem;
use super::preferences;
use super::subscribe_form::{Filled, show};
use crate::domain::{Address, Kind, Language, Problem, Reason, Selection, Subscription, SubscriptionState};
use crate::services::newsroom::Newsroom;
use crate::services::subscribe::Asking;
use crate::wire::mail::Purpose;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use minijinja::context;
use minijinja::value::Serde;
use std::sync::Arc;
use url::form_urlencoded;

/// A form with every category ticked and the longest address fits several times.
const FORM_BYTES_MAX: usize = 64 << 10;

/// `GET /subscribe`: the form; `?category=` ticks that one, `?query=` offers what a query takes in, ticked, `?language=`
/// speaks it. Kept by no cache, so it may go by what the browser asks for.
pub(super) async fn form(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageProblem> {
    let newsroom = app.newsroom.load();
    let filled = Filled::of_link(query.as_deref().unwrap_or_default());
    let ui = filled.spoken(&newsroom, &headers);
    Ok(show(&app, &newsroom, StatusCode::OK, (&filled, ui), &[])?)
}

/// `POST /subscribe`: asks, and answers the same for every address.
pub(super) async fn ask(
    State(app): State<Arc<App>>,
    from: AskedFrom,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, PageProblem> {
    let filled = Filled::read(&form_body(&headers, body).await?);
    let newsroom = app.newsroom.load_full();
    let ui = filled.spoken(&newsroom, &headers);
    if filled.wants_link {
        let address = Address::parse("address", &filled.address);
        return match address {
            Ok(address) => {
                if filled.trap.is_empty() {
                    let is_proven = app.proofs.take(&filled.challenge, &filled.nonce);
                    app.subscriptions.send_link_to(&address, is_proven).await?;
                }
                asked_page(&app, &newsroom, ui, &address)
            }
            Err(fault) => Ok(show(&app, &newsroom, StatusCode::UNPROCESSABLE_ENTITY, (&filled, ui), &[fault])?),
        };
    }
    let asked = match filled.checked(&newsroom, app.subscriptions.standard(), ui) {
        // No person sees that field, so nobody is told what became of it.
        Ok(asking) if !filled.trap.is_empty() => Ok(asking.address),
        Ok(asking) => {
            let address = asking.address.clone();
            let is_proven = app.proofs.take(&filled.challenge, &filled.nonce);
            app.subscriptions.ask(Asking { from: from.0, is_proven, ..asking }).await.map(|()| address)
        }
        Err(faults) => Err(Problem::invalid(faults)),
    };
    match asked {
        Ok(address) => asked_page(&app, &newsroom, ui, &address),
        Err(problem) if problem.kind == Kind::Invalid => {
            Ok(show(&app, &newsroom, StatusCode::UNPROCESSABLE_ENTITY, (&filled, ui), &problem.faults)?)
        }
        Err(problem) => Err(problem.into()),
    }
}

/// The same for every address.
fn asked_page(app: &App, newsroom: &Newsroom, ui: Language, address: &Address) -> Result<Response, PageProblem> {
    Ok(own_page(
        app,
        newsroom,
        (StatusCode::OK, ui),
        ("asked.html", "asked-heading"),
        context! { address => address.as_str() },
    )?)
}

/// `GET /subscriptions/{token}`: one button for what the link is for, or the preferences. Changes nothing, since software
/// opens links too.
pub(super) async fn subscription(State(app): State<Arc<App>>, path: Segments<String>) -> Result<Response, PageProblem> {
    let token = segments(path)?;
    let purpose = app.subscriptions.purpose(&token)?;
    if purpose == Purpose::Preferences {
        return preferences::show(&app, &token);
    }
    let newsroom = app.newsroom.load();
    let ui = spoken_to(&app, &token)?;
    // A path, since the policy lets forms go to the page's own origin alone; see the style sheet's.
    let action = format!("{}subscriptions/{token}", newsroom.site.base_url.path());
    if purpose == Purpose::Never {
        let content = context! { purpose => word(purpose), action };
        return Ok(own_page(&app, &newsroom, (StatusCode::OK, ui), ("subscription.html", "never-heading"), content)?);
    }
    let (purpose, subscription) = app.subscriptions.look(&token)?;
    let heading = match purpose {
        Purpose::Confirm => "confirm-heading",
        Purpose::Undo => "undo-heading",
        Purpose::Leave | Purpose::Never | Purpose::Preferences | Purpose::Feed => "leave-heading",
    };
    let content = context! {
        purpose => word(purpose),
        address => veiled(&subscription.address),
        selection => titles(asked_about(purpose, &subscription), &newsroom),
        action,
        script => (purpose == Purpose::Confirm && app.subscriptions.is_past_scanners(&subscription)?)
            .then(|| format!("{}assets/confirm.js", newsroom.site.base_url.path())),
    };
    Ok(scripted(own_page(&app, &newsroom, (StatusCode::OK, ui), ("subscription.html", heading), content)?))
}

/// `POST /subscriptions/{token}`: does what the link is for, and says so; a second time changes nothing.
///
/// Leaving takes any body: a mailbox provider's `List-Unsubscribe=One-Click` (RFC 8058 §3.1, as a form or in parts)
/// gets a plain line in the subscriber's language, no redirect and no cookie. All else takes only what the page's own
/// buttons send.
pub(super) async fn act(
    State(app): State<Arc<App>>,
    path: Segments<String>,
    from: AskedFrom,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, PageProblem> {
    let token = segments(path)?;
    let purpose = app.subscriptions.purpose(&token)?;
    let sent = read_body(&headers, body, FORM_BYTES_MAX).await?;
    let is_form = is_form(&headers);
    let newsroom = app.newsroom.load_full();
    let ui = spoken_to(&app, &token)?;
    let has_pressed =
        |act: &str| is_form && form_urlencoded::parse(&sent).any(|(name, value)| name == "act" && value == act);
    let asked = match purpose {
        Purpose::Confirm | Purpose::Undo => app.subscriptions.look(&token).ok(),
        Purpose::Leave | Purpose::Never | Purpose::Preferences | Purpose::Feed => None,
    };
    let asked = asked.and_then(|(_, subscription)| asked_about(purpose, &subscription).cloned());
    let (subscription, done, heading) = match purpose {
        Purpose::Preferences if is_form => return preferences::act(&app, &token, &sent, from.0).await,
        Purpose::Confirm if has_pressed(word(purpose)) => {
            // The wording was read in the language that the page says it was in.
            let shown = form_urlencoded::parse(&sent).find(|(name, _)| name == "language");
            let shown = shown.and_then(|(_, tag)| Language::of(&tag)).unwrap_or(ui);
            (app.subscriptions.confirm(&token, from.0, shown).await?, word(purpose), "done-confirmed")
        }
        Purpose::Undo if has_pressed(word(purpose)) => {
            (app.subscriptions.undo(&token).await?, word(purpose), "done-undone")
        }
        Purpose::Never if has_pressed(word(purpose)) => {
            app.subscriptions.never_again(&token).await?;
            let content = context! { purpose => word(purpose) };
            return Ok(own_page(&app, &newsroom, (StatusCode::OK, ui), ("done.html", "done-never"), content)?);
        }
        Purpose::Confirm | Purpose::Undo | Purpose::Never | Purpose::Preferences | Purpose::Feed => {
            let detail = "nothing was changed: please open the link of the mail and press the button there";
            return Err(Problem::new(Kind::Malformed, detail).because(Reason::NoButton).into());
        }
        Purpose::Leave if has_pressed(word(Purpose::Preferences)) => {
            let (_, subscription) = app.subscriptions.look(&token)?;
            app.subscriptions.send_link(&token).await?;
            (subscription, word(Purpose::Preferences), "asked-heading")
        }
        Purpose::Leave if has_pressed(word(purpose)) => {
            (app.subscriptions.leave(&token).await?, word(purpose), "done-left")
        }
        Purpose::Leave => {
            app.subscriptions.leave(&token).await?;
            return Ok(line(ui, &say(ui, "done-left")));
        }
    };
    let content = context! {
        purpose => done,
        undo_days => Subscription::UNDO_WITHIN_DAYS,
        address => veiled(&subscription.address),
        selection => titles(asked.as_ref(), &newsroom),
        next => Serde(if asked.is_some() { next_digest(&app, &subscription)? } else { None }),
    };
    Ok(own_page(&app, &newsroom, (StatusCode::OK, ui), ("done.html", heading), content)?)
}

/// `GET /assets/subscribe.js`
pub(super) async fn script() -> Response {
    javascript(include_str!("../../templates/pages/subscribe.js"))
}

/// `GET /assets/confirm.js`
pub(super) async fn confirm_script() -> Response {
    javascript(include_str!("../../templates/pages/confirm.js"))
}

/// What the mail of a link asks about, while that is not answered. Later the selection is what its owner has made of it
/// since, and mails are passed on, with the links in them.
fn asked_about(purpose: Purpose, subscription: &Subscription) -> Option<&Selection> {
    match (purpose, &subscription.state) {
        (Purpose::Confirm, SubscriptionState::Pending) | (Purpose::Undo, SubscriptionState::Unsubscribed { .. }) => {
            Some(&subscription.selection)
        }
        (_, _) => None,
    }
}

fn titles(asked: Option<&Selection>, newsroom: &Newsroom) -> Vec<String> {
    asked.map(|asked| asked.titles(&newsroom.categories)).unwrap_or_default()
}

/// The purpose as the templates and the button have it.
pub(super) fn word(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Confirm => "confirm",
        Purpose::Leave => "leave",
        Purpose::Undo => "undo",
        Purpose::Preferences => "preferences",
        Purpose::Feed => "feed",
        Purpose::Never => "never",
    }
}

/// Enough of an address for its owner; mails are passed on, with the links in them.
fn veiled(address: &Address) -> String {
    match address.as_str().rsplit_once('@') {
        Some((local, domain)) => format!("{}…@{domain}", local.chars().next().unwrap_or_default()),
        None => "…".to_owned(),
    }
}

/// The body of a form. Errors: [`Kind::UnsupportedMedia`], [`Kind::TooLarge`].
async fn form_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    if !is_form(headers) {
        let detail = "`Content-Type`: expected application/x-www-form-urlencoded, as the form sends it";
        return Err(Problem::new(Kind::UnsupportedMedia, detail));
    }
    read_body(headers, body, FORM_BYTES_MAX).await
}

fn is_form(headers: &HeaderMap) -> bool {
    is_of(headers, "application/x-www-form-urlencoded")
}
