//! The templates that mails are made of: read from the newsroom's folder, and replaced while everything runs.

use super::Mailer;
use crate::config::{Mistakes, template_files};
use crate::wire::mail::Templates;
use std::path::Path;
use std::sync::Arc;

/// The built-in templates, with those of `folder` in their places. Errors: all that is wrong with its files.
pub fn load(folder: Option<&Path>) -> Result<Arc<Templates>, Mistakes> {
    let Some(folder) = folder else { return Ok(Templates::built_in()) };
    let (files, mut mistakes) = template_files(folder);
    match Templates::with(&files) {
        Ok(templates) if mistakes.none() => Ok(Arc::new(templates)),
        Ok(_) => Err(mistakes),
        Err(others) => {
            mistakes.extend(others);
            Err(mistakes.in_order())
        }
    }
}

impl Mailer {
    /// What mails would be made of after a reload: the files as they are now. Reads and tries out files, some
    /// milliseconds. Errors: as for [`load`].
    pub fn fresh_templates(&self) -> Result<Arc<Templates>, Mistakes> {
        load(self.settings.templates.as_deref())
    }

    /// From now on mails are made of `templates`. What was made of others is not used any more.
    pub fn use_templates(&self, templates: Arc<Templates>) {
        templates.go_into_use();
        self.templates.store(templates);
    }
}
