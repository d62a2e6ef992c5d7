//! A catalogue: all messages of one language.

use crate::domain::Language;
use crate::wire::html;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
use intl_memoizer::concurrent::IntlLangMemoizer;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use unic_langid::LanguageIdentifier;

/// The files of a language, by what their messages are for.
const FILES: [[(&str, &str); 5]; 3] = [
    [
        ("dates.ftl", include_str!("../../../locales/en/dates.ftl")),
        ("mails.ftl", include_str!("../../../locales/en/mails.ftl")),
        ("pages.ftl", include_str!("../../../locales/en/pages.ftl")),
        ("forms.ftl", include_str!("../../../locales/en/forms.ftl")),
        ("problems.ftl", include_str!("../../../locales/en/problems.ftl")),
    ],
    [
        ("dates.ftl", include_str!("../../../locales/ru/dates.ftl")),
        ("mails.ftl", include_str!("../../../locales/ru/mails.ftl")),
        ("pages.ftl", include_str!("../../../locales/ru/pages.ftl")),
        ("forms.ftl", include_str!("../../../locales/ru/forms.ftl")),
        ("problems.ftl", include_str!("../../../locales/ru/problems.ftl")),
    ],
    [
        ("dates.ftl", include_str!("../../../locales/zh/dates.ftl")),
        ("mails.ftl", include_str!("../../../locales/zh/mails.ftl")),
        ("pages.ftl", include_str!("../../../locales/zh/pages.ftl")),
        ("forms.ftl", include_str!("../../../locales/zh/forms.ftl")),
        ("problems.ftl", include_str!("../../../locales/zh/problems.ftl")),
    ],
];

/// Those whose messages stand in mails: a newsroom may have its own of them.
pub const MAIL_FILES: [&str; 2] = ["dates.ftl", "mails.ftl"];

/// A value that a message shows.
#[derive(Debug, Clone, Copy)]
pub enum Arg<'a> {
    /// Text, as it is.
    Text(&'a str),
    /// A number: it chooses the plural, and is written as the language writes numbers.
    Number(f64),
}

/// What is wrong with messages: the line, counted from 1, what was found, what was expected.
pub type Problems = Vec<(usize, String, String)>;

type Bundle = FluentBundle<Arc<FluentResource>>;

/// All messages of one language.
pub struct Catalogue {
    language: Language,
    /// For text.
    plain: Bundle,
    /// For HTML: the words are escaped, the values have to be already.
    html: Bundle,
}

static BUILT_IN: LazyLock<[Arc<Catalogue>; 3]> =
    LazyLock::new(|| Language::ALL.map(|language| Arc::new(Catalogue::read(language))));

impl Catalogue {
    /// The one that is compiled in.
    pub fn of(language: Language) -> &'static Arc<Catalogue> {
        &BUILT_IN[index(language)]
    }

    /// The same with `source`, a file of the newsroom's own messages in place of some of those in [`MAIL_FILES`].
    ///
    /// Errors: all that is wrong with it: syntax, messages that are not there to be replaced, values they do not get.
    pub fn with(language: Language, source: &str) -> Result<Catalogue, Problems> {
        let line = |at: usize| source.get(..at).unwrap_or(source).matches('\n').count() + 1;
        let resource = FluentResource::try_new(source.to_owned()).map_err(|(_, errors)| {
            let told = |error: &fluent_syntax::parser::ParserError| {
                (line(error.pos.start), error.to_string(), "a message in Fluent's syntax".to_owned())
            };
            errors.iter().map(told).collect::<Problems>()
        })?;
        let known = variables_of(|file| MAIL_FILES.contains(&file));
        let mut problems = Problems::new();
        for entry in resource.entries() {
            let (id, pattern) = match entry {
                Entry::Message(message) => (message.id.name, message.value.as_ref()),
                Entry::Term(_) | Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => continue,
                Entry::Junk { content } => (*content, None),
            };
            // Where the id stands: names are slices of the source.
            let at = source.match_indices(id).map(|(at, _)| at).find(|at| is_line_start(source, *at)).unwrap_or(0);
            match (known.get(id), pattern) {
                (None, _) => problems.push((line(at), format!("message \"{id}\""), "one of the built-in ones".into())),
                (Some(_), None) => problems.push((line(at), format!("\"{id}\" without a text"), "a text".into())),
                (Some(known), Some(pattern)) => {
                    let mut used = BTreeSet::new();
                    variables(pattern, &mut used);
                    for name in used.difference(known) {
                        let known: Vec<String> = known.iter().map(|name| format!("${name}")).collect();
                        let expected = match known.as_slice() {
                            [] => "no value: it gets none".to_owned(),
                            known => format!("a value that it gets: {}", known.join(", ")),
                        };
                        problems.push((line(at), format!("${name} in \"{id}\""), expected));
                    }
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut catalogue = Catalogue::read(language);
        let resource = Arc::new(resource);
        catalogue.plain.add_resource_overriding(Arc::clone(&resource));
        catalogue.html.add_resource_overriding(resource);
        Ok(catalogue)
    }

    /// Of which language it is.
    pub fn language(&self) -> Language {
        self.language
    }

    /// The message `id` with its values, for text. A message that is not there is shown by its name; that each is there,
    /// a test sees to.
    pub fn text(&self, id: &str, args: &[(&str, Arg<'_>)]) -> String {
        let args = args.iter().map(|(name, value)| (*name, FluentValue::from(*value))).collect();
        message(&self.plain, id, &args).unwrap_or_else(|_| id.to_owned())
    }

    /// The message `id` for a template: for HTML if `is_html`, and then `args` have to be escaped.
    /// Errors: what is missing.
    pub(super) fn message(&self, id: &str, args: &FluentArgs<'_>, is_html: bool) -> Result<String, String> {
        message(if is_html { &self.html } else { &self.plain }, id, args)
    }

    fn read(language: Language) -> Self {
        let tag = language.tag().parse::<LanguageIdentifier>().unwrap_or_default();
        let bundle = || {
            let mut bundle = Bundle::new_concurrent(vec![tag.clone()]);
            // All of them run from left to right, and marks that nobody sees do not belong into subjects and addresses.
            bundle.set_use_isolating(false);
            bundle.set_formatter(Some(match language {
                Language::English | Language::Chinese => |value, _: &IntlLangMemoizer| grouped(value, ",", 4),
                // A number of four digits has no gap in Russian; the gap does not break (Milchin, §6.1).
                Language::Russian => |value, _: &IntlLangMemoizer| grouped(value, "\u{a0}", 5),
            }));
            bundle
        };
        let (mut plain, mut html) = (bundle(), bundle());
        html.set_transform(Some(|text| Cow::Owned(html::escape(text))));
        for (_, source) in FILES[index(language)] {
            let resource = match FluentResource::try_new(source.to_owned()) {
                // What could be read of it; a test sees to it that this is all.
                Ok(resource) | Err((resource, _)) => Arc::new(resource),
            };
            plain.add_resource_overriding(Arc::clone(&resource));
            html.add_resource_overriding(resource);
        }
        Catalogue { language, plain, html }
    }
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Catalogue").field(&self.language).finish()
    }
}

impl From<Arg<'_>> for FluentValue<'static> {
    fn from(arg: Arg<'_>) -> Self {
        match arg {
            Arg::Text(text) => FluentValue::from(text.to_owned()),
            Arg::Number(number) => FluentValue::from(number),
        }
    }
}

fn index(language: Language) -> usize {
    match language {
        Language::English => 0,
        Language::Russian => 1,
        Language::Chinese => 2,
    }
}

fn message(bundle: &Bundle, id: &str, args: &FluentArgs<'_>) -> Result<String, String> {
    let pattern = bundle.get_message(id).and_then(|message| message.value());
    let pattern = pattern.ok_or_else(|| format!("there is no message \"{id}\""))?;
    let mut errors = Vec::new();
    let text = bundle.format_pattern(pattern, Some(args), &mut errors).into_owned();
    match errors.first() {
        None => Ok(text),
        Some(error) => Err(format!("message \"{id}\": {error}")),
    }
}

/// A whole number with `mark` between its thousands, from so many digits on.
fn grouped(value: &FluentValue<'_>, mark: &str, digits_min: usize) -> Option<String> {
    let FluentValue::Number(number) = value else { return None };
    let digits = number.as_string().into_owned();
    if digits.len() < digits_min || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(digits);
    }
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push_str(mark);
        }
        out.push(digit);
    }
    Some(out)
}

fn is_line_start(source: &str, at: usize) -> bool {
    at == 0 || source.get(..at).is_some_and(|before| before.ends_with('\n'))
}

/// The messages of the English files that `is_wanted` takes, with the values that each gets.
fn variables_of(is_wanted: impl Fn(&str) -> bool) -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    for (_, source) in FILES[0].iter().filter(|(file, _)| is_wanted(file)) {
        let (Ok(resource) | Err((resource, _))) = FluentResource::try_new((*source).to_owned());
        for entry in resource.entries() {
            if let Entry::Message(message) = entry {
                let mut used = BTreeSet::new();
                message.value.iter().for_each(|pattern| variables(pattern, &mut used));
                known.insert(message.id.name.to_owned(), used);
            }
        }
    }
    // What a message refers to gets the same values.
    if let Some(date) = known.get("date").cloned()
        && let Some(moment) = known.get_mut("moment")
    {
        moment.extend(date);
    }
    known
}

fn variables(pattern: &Pattern<&str>, into: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        match element {
            PatternElement::TextElement { .. } => {}
            PatternElement::Placeable { expression: Expression::Inline(inline) } => inline_variables(inline, into),
            PatternElement::Placeable { expression: Expression::Select { selector, variants } } => {
                inline_variables(selector, into);
                variants.iter().for_each(|variant| variables(&variant.value, into));
            }
        }
    }
}

fn inline_variables(inline: &InlineExpression<&str>, into: &mut BTreeSet<String>) {
    match inline {
        InlineExpression::VariableReference { id } => {
            into.insert(id.name.to_owned());
        }
        InlineExpression::FunctionReference { arguments, .. } => {
            arguments.positional.iter().for_each(|inline| inline_variables(inline, into));
        }
        InlineExpression::Placeable { expression } => {
            if let Expression::Inline(inline) = &**expression {
                inline_variables(inline, into);
            }
        }
        InlineExpression::StringLiteral { .. }
        | InlineExpression::NumberLiteral { .. }
        | InlineExpression::MessageReference { .. }
        | InlineExpression::TermReference { .. } => {}
    }
}
