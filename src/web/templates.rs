//! Templates and style sheet of the pages, compiled in; the templates once for each language.

use crate::domain::{Kind, Language, Problem, hex};
use crate::wire::locale::{Catalogue, environment};
use minijinja::value::Value;
use minijinja::{Environment, Error};

/// All templates by their names.
const TEMPLATES: [(&str, &str); 16] = [
    ("article.html", include_str!("../../templates/pages/article.html")),
    ("asked.html", include_str!("../../templates/pages/asked.html")),
    ("base.html", include_str!("../../templates/pages/base.html")),
    ("category.html", include_str!("../../templates/pages/category.html")),
    ("done.html", include_str!("../../templates/pages/done.html")),
    ("erased.html", include_str!("../../templates/pages/erased.html")),
    ("home.html", include_str!("../../templates/pages/home.html")),
    ("parts.html", include_str!("../../templates/pages/parts.html")),
    ("preferences.html", include_str!("../../templates/pages/preferences.html")),
    ("preview.html", include_str!("../../templates/operator/preview.html")),
    ("print.html", include_str!("../../templates/pages/print.html")),
    ("feed.html", include_str!("../../templates/pages/feed.html")),
    ("search.html", include_str!("../../templates/pages/search.html")),
    ("problem.html", include_str!("../../templates/pages/problem.html")),
    ("subscribe.html", include_str!("../../templates/pages/subscribe.html")),
    ("subscription.html", include_str!("../../templates/pages/subscription.html")),
];

/// The one style sheet.
pub(super) const STYLE: &str = include_str!("../../templates/pages/site.css");

/// The templates, ready to be filled in, and what names this version of the style sheet.
pub struct Templates {
    /// In the order of [`Language::ALL`].
    environments: Vec<(Language, Environment<'static>)>,
    style_version: String,
}

impl Templates {
    /// Reads the compiled-in templates. Errors: one of them has a mistake, which a test rules out.
    pub fn new() -> Result<Self, Error> {
        let read = |language: Language| {
            let mut environment = environment(Catalogue::of(language));
            for (name, source) in TEMPLATES {
                environment.add_template(name, source)?;
            }
            Ok((language, environment))
        };
        let environments = Language::ALL.into_iter().map(read).collect::<Result<_, Error>>()?;
        Ok(Templates { environments, style_version: digest(STYLE.as_bytes()) })
    }

    /// Names this version of the style sheet; part of its address, so that it can be cached for ever.
    pub(super) fn style_version(&self) -> &str {
        &self.style_version
    }

    /// The page `name` in `language` filled in with `context`.
    pub(super) fn render(&self, language: Language, name: &str, context: Value) -> Result<String, Problem> {
        let environment = self.environments.iter().find(|(spoken, _)| *spoken == language);
        let (_, environment) =
            environment.ok_or_else(|| Problem::new(Kind::Internal, "a language without templates"))?;
        let rendered = environment.get_template(name).and_then(|template| template.render(context));
        rendered.map_err(|error| Problem::new(Kind::Internal, format!("template {name}: {error:#}")))
    }
}

/// The first 128 bits of SHA-256, in hexadecimal: names bytes in an `ETag` or an address.
pub(super) fn digest(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hex(&digest.as_ref()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use minijinja::context;

    #[test]
    fn every_template_can_be_read_and_text_in_it_is_escaped() {
        let mut templates = Templates::new().unwrap();
        templates.environments[0]
            .1
            .add_template("test.html", "<a href=\"{{ href }}\">{{ text }}</a>{{ body }}")
            .unwrap();
        let body = Value::from_safe_string("<p>&amp;</p>".into());
        let page = templates
            .render(
                Language::English,
                "test.html",
                context! { href => "https://a.example/?a=1&b=\"", text => "<i>'", body => body },
            )
            .unwrap();
        assert_eq!(page, "<a href=\"https://a.example/?a=1&amp;b=&quot;\">&lt;i&gt;'</a><p>&amp;</p>");
        let problem = templates.render(Language::English, "test.html", context! { text => "x" }).unwrap_err();
        assert!(problem.kind == Kind::Internal && problem.detail.contains("test.html"), "{problem}");
    }

    /// Relative luminance and contrast ratio: WCAG 2.2, "relative luminance" and "contrast ratio".
    fn contrast(one: &str, other: &str) -> f64 {
        let luminance = |colour: &str| {
            let channel = |at: usize| {
                let share = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
                if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
        };
        let (a, b) = (luminance(one), luminance(other));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_stands_out_from_its_paper_in_both_schemes() {
        let mut schemes = STYLE.split(":root {").skip(1);
        for scheme in [schemes.next().unwrap(), schemes.next().unwrap()] {
            let colour = |name: &str| {
                let at = scheme.find(&format!("--{name}: #")).unwrap_or_else(|| panic!("no --{name}"));
                &scheme[at + name.len() + 4..][..7]
            };
            for text in ["ink", "quiet", "accent", "fault"] {
                for ground in ["paper", "shade"] {
                    let ratio = contrast(colour(text), colour(ground));
                    assert!(ratio >= 4.5, "--{text} on --{ground}: {ratio:.2}, expected 4.5 or more");
                }
            }
        }
    }
}
