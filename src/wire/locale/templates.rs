//! Templates that speak one language: `t("id", name=value)` is a message, `date` and `moment` write a [`super::When`].

use super::Catalogue;
use crate::wire::html;
use fluent_bundle::{FluentArgs, FluentValue};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, escape_formatter};
use std::sync::Arc;

/// An environment without templates. Names ending in `.html` escape what they are given; others give it as it is.
///
/// Beside what the template engine has of its own: `t`, `date`, `moment`; `ui`, the tag of the language; and the filters
/// `strong` and `bdi`, which put a value into that element.
pub fn environment(catalogue: &Arc<Catalogue>) -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    // A misspelt name breaks the page in its test, instead of leaving a hole that nobody sees.
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_formatter(format);
    environment.add_global("ui", catalogue.language().tag());
    let own = Arc::clone(catalogue);
    environment.add_function("t", move |state: &State<'_, '_>, id: &str, args: Kwargs| message(&own, state, id, &args));
    for id in ["date", "moment"] {
        let own = Arc::clone(catalogue);
        environment.add_function(id, move |state: &State<'_, '_>, when: &Value| dated(&own, state, id, when));
    }
    for element in ["strong", "bdi"] {
        environment.add_filter(element, move |state: &State<'_, '_>, value: &Value| within(state, element, value));
    }
    environment
}

fn is_html(state: &State<'_, '_>) -> bool {
    matches!(state.auto_escape(), AutoEscape::Html)
}

fn message(catalogue: &Catalogue, state: &State<'_, '_>, id: &str, args: &Kwargs) -> Result<Value, Error> {
    let mut values = FluentArgs::new();
    for name in args.args() {
        let value: Value = args.get(name)?;
        if value.is_undefined() {
            let what = format!("${name} of message \"{id}\"");
            return Err(Error::new(ErrorKind::UndefinedError, what));
        }
        values.set(name.to_owned(), fluent(state, &value));
    }
    finished(catalogue, state, id, &values)
}

fn dated(catalogue: &Catalogue, state: &State<'_, '_>, id: &str, when: &Value) -> Result<Value, Error> {
    let mut values = FluentArgs::new();
    for name in ["year", "month", "day", "time"] {
        let part = when.get_attr(name)?;
        if part.is_undefined() {
            return Err(Error::new(ErrorKind::UndefinedError, format!("{id}() of something that is no time")));
        }
        values.set(name, fluent(state, &part));
    }
    finished(catalogue, state, id, &values)
}

fn finished(catalogue: &Catalogue, state: &State<'_, '_>, id: &str, values: &FluentArgs<'_>) -> Result<Value, Error> {
    let is_html = is_html(state);
    let text = catalogue.message(id, values, is_html).map_err(|what| Error::new(ErrorKind::InvalidOperation, what))?;
    Ok(if is_html { Value::from_safe_string(text) } else { Value::from(text) })
}

fn fluent(state: &State<'_, '_>, value: &Value) -> FluentValue<'static> {
    match f64::try_from(value.clone()) {
        Ok(number) if value.kind() == ValueKind::Number => FluentValue::from(number),
        Ok(_) | Err(_) => FluentValue::from(escaped(state, value)),
    }
}

fn escaped(state: &State<'_, '_>, value: &Value) -> String {
    let text = value.to_string();
    if is_html(state) && !value.is_safe() { html::escape(&text) } else { text }
}

fn within(state: &State<'_, '_>, element: &str, value: &Value) -> Value {
    match is_html(state) {
        true => Value::from_safe_string(format!("<{element}>{}</{element}>", escaped(state, value))),
        false => value.clone(),
    }
}

/// Text is escaped as HTML asks, and no further: the engine's own way writes `/` as `&#x2f;`, which makes every address in
/// the source unreadable for people and for simple feed finders, and which mail filters take for a disguise.
fn format(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) if is_html(state) && !value.is_safe() => Ok(out.write_str(&html::escape(text))?),
        Some(_) | None => escape_formatter(out, state, value),
    }
}
