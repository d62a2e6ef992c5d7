//! What is wrong in the configuration: all of it at once, one line a mistake.

use crate::domain::Fault;
use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake, shown as ``tidings.toml:7 `server.listen`: found "abc", expected …``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file it is in.
    pub file: PathBuf,
    /// Its line there, from 1; none where something is missing altogether.
    pub line: Option<usize>,
    /// The key, what was found, what was expected. No secret is ever part of it.
    pub fault: Fault,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, " {}", self.fault)
    }
}

/// All that was found wrong, by file and line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// Is there none?
    pub fn none(&self) -> bool {
        self.0.is_empty()
    }

    /// One more: in `file`, and if it is at a line, there.
    pub fn add(&mut self, file: &Path, line: Option<usize>, fault: Fault) {
        self.0.push(Mistake { file: file.to_owned(), line, fault });
    }

    /// Those of others too.
    pub fn extend(&mut self, others: Mistakes) {
        self.0.extend(others.0);
    }

    /// By file and line: the reader meets keys in its own order, people read a file from its top.
    pub fn in_order(mut self) -> Self {
        self.0.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        self
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
