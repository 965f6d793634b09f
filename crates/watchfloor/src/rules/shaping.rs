//! What changes rules before they are compiled, kept up to date while the server runs: pipelines
//! and placeholders. One that is broken by a change stays in force as it was.

use std::path::PathBuf;
use std::sync::Arc;

use watchfloor_rules::{LoadOptions, Refusal};

use super::scan::Scan;
use crate::cli::Shaping;
use crate::content;

/// Where rules come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// Files and folders of rules beside the built-in ones.
    pub paths: Vec<PathBuf>,
    /// What changes them.
    pub shaping: Shaping,
}

/// Files of pipelines and placeholders, and what was last good of them.
#[derive(Debug)]
pub(crate) struct Shaper {
    shaping: Shaping,
    scan: Scan,
    good: LoadOptions,
}

impl Shaper {
    pub(crate) fn new(shaping: Shaping) -> Self {
        let mut shaper = Self {
            shaping,
            scan: Scan::default(),
            good: LoadOptions::default(),
        };
        shaper.look();
        shaper
    }

    /// Looks at the files; says whether one changed since the last look.
    pub(crate) fn look(&mut self) -> bool {
        let paths = [
            self.shaping.pipelines.as_slice(),
            self.shaping.placeholders.as_slice(),
        ];
        let scan = Scan::of(&paths.concat());
        let is_changed = scan != self.scan;
        self.scan = scan;
        is_changed
    }

    /// What the files say now; what is in force, and the refusal, where they cannot be read.
    pub(crate) fn newest(&self) -> (LoadOptions, Option<Refusal>) {
        match content::load_options(&self.shaping) {
            Ok(options) => (options, None),
            Err(error) => {
                let mut paths = self.shaping.pipelines.iter();
                let path = paths.next().or(self.shaping.placeholders.first());
                let path = path.map(|path| path.to_string_lossy().into_owned());
                let refusal = Refusal {
                    path: Arc::from(path.unwrap_or_default()),
                    line: 1,
                    rule: String::new(),
                    reason: format!("what was read before stays in force: {error:#}"),
                };
                (self.good.clone(), Some(refusal))
            }
        }
    }

    /// What is in force.
    pub(crate) fn in_force(&self) -> &LoadOptions {
        &self.good
    }

    /// Takes into force what rules were loaded with.
    pub(crate) fn take(&mut self, options: LoadOptions) {
        self.good = options;
    }
}
