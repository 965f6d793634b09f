//! Rule files and what they load to.
//!
//! A file with an error changes nothing: the last version of that file that loaded without one
//! stays in force as a whole, and is marked so. A file that is deleted takes its rules with it:
//! that is how one removes them. What cannot be read (a share that is away) is no deletion.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_rules::{LoadOptions, Refusal, RuleSet};

use super::scan::{Scan, Stamp};
use super::shaping::{Shaper, Sources};
use crate::content::{self, ContentFile};

/// Wait for a checkout or a copy under way to come to its end.
const SETTLE_WAIT: Duration = Duration::from_millis(150);
/// Looks that wait for it; then what is there is taken, and the next look mends it.
const SETTLE_LOOKS: usize = 20;
/// Largest rule file in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// A file whose last good version is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Since when the file does not load.
    pub since: Timestamp,
    /// Its last good text.
    pub text: String,
}

/// What was loaded.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The rules in force.
    pub set: RuleSet,
    /// What is wrong with files whose last good version is in force; the rest is in the set.
    pub held_refusals: Vec<Refusal>,
    /// Paths that could not be read.
    pub unreadable: Vec<String>,
}

/// Rule files: those in the program, and those below paths.
#[derive(Debug)]
pub(crate) struct Library {
    embedded: Vec<ContentFile>,
    paths: Vec<PathBuf>,
    scan: Scan,
    texts: BTreeMap<PathBuf, (Stamp, Arc<str>)>,
    /// Files in the order in which they were first seen: of two rules with one id, the one that
    /// came first stays.
    order: Vec<PathBuf>,
    /// By path, the last text that loaded without an error.
    good: BTreeMap<String, Arc<str>>,
    held: BTreeMap<String, Held>,
    shaper: Shaper,
}

impl Library {
    /// A library over paths; `held` is what [`Library::held`] gave at the last end.
    pub(crate) fn new(sources: Sources, held: BTreeMap<String, Held>) -> Self {
        let good = held
            .iter()
            .map(|(path, held)| (path.clone(), Arc::from(held.text.as_str())));
        Self {
            embedded: content::embedded("rules/"),
            scan: Scan::default(),
            texts: BTreeMap::new(),
            order: Vec::new(),
            good: good.collect(),
            held,
            paths: sources.paths,
            shaper: Shaper::new(sources.shaping),
        }
    }

    /// The pipelines and placeholders in force.
    pub(crate) fn options(&self) -> LoadOptions {
        self.shaper.in_force().clone()
    }

    /// Files whose last good version is in force, by path.
    pub(crate) fn held(&self) -> &BTreeMap<String, Held> {
        &self.held
    }

    /// The texts of all files, cases among them: those in the program first.
    pub(crate) fn files(&self) -> Vec<ContentFile> {
        let named = self.order.iter().filter_map(|path| {
            let (_, text) = self.texts.get(path)?;
            Some(ContentFile {
                path: path.to_string_lossy().into_owned(),
                text: text.to_string(),
            })
        });
        self.embedded.iter().cloned().chain(named).collect()
    }

    /// Looks at the files, and reads those that changed; says whether there was one.
    pub(crate) fn look(&mut self) -> bool {
        let is_reshaped = self.shaper.look();
        let mut scan = Scan::of(&self.paths);
        if scan == self.scan {
            return is_reshaped;
        }
        for _ in 0..SETTLE_LOOKS {
            std::thread::sleep(SETTLE_WAIT);
            let again = Scan::of(&self.paths);
            if again == scan {
                break;
            }
            scan = again;
        }
        self.take(scan);
        true
    }

    /// As [`Library::look`], at the start: nothing is waited for.
    pub(crate) fn first_look(&mut self) {
        self.take(Scan::of(&self.paths));
    }

    fn take(&mut self, mut scan: Scan) {
        let away: Vec<PathBuf> = scan.unreadable.keys().cloned().collect();
        let is_away = |path: &Path| away.iter().any(|folder| path.starts_with(folder));
        let mut texts = BTreeMap::new();
        for (path, stamp) in &scan.files {
            match self.texts.get(path) {
                Some(known) if known.0 == *stamp => {
                    texts.insert(path.clone(), known.clone());
                }
                known => match read(path) {
                    Ok(text) => {
                        texts.insert(path.clone(), (*stamp, text));
                    }
                    Err(reason) => {
                        scan.unreadable.insert(path.clone(), reason);
                        texts.extend(known.map(|known| (path.clone(), known.clone())));
                    }
                },
            }
        }
        for (path, known) in &self.texts {
            if !texts.contains_key(path) && is_away(path) {
                texts.insert(path.clone(), known.clone());
            }
        }
        self.order.retain(|path| texts.contains_key(path));
        let known: BTreeSet<PathBuf> = self.order.iter().cloned().collect();
        let new = texts.keys().filter(|path| !known.contains(*path));
        self.order.extend(new.cloned());
        self.texts = texts;
        self.scan = scan;
    }

    /// The pipelines and placeholders to load rules with, and what is wrong with newer ones.
    fn newest_options(&self) -> (LoadOptions, Vec<Refusal>) {
        let (options, unread) = self.shaper.newest();
        let mut refusals: Vec<Refusal> = unread.into_iter().collect();
        // Without rules, what is refused is a pipeline.
        let alone = content::load_rules([], &options);
        if alone.refused.is_empty() {
            return (options, refusals);
        }
        refusals.extend(alone.refused);
        (self.options(), refusals)
    }

    /// Loads the files as they were last read.
    pub(crate) fn load(&mut self, now: Timestamp) -> Loaded {
        let files = self.files();
        let (options, mut held_refusals) = self.newest_options();
        let mut set = content::load_rules(files.clone(), &options);
        let refused: BTreeSet<String> = paths_of(&set.refused);
        let mut held = BTreeMap::new();
        for file in &files {
            let good = self.good.get(&file.path);
            // A file that is as it was when it loaded is refused because of another one.
            let Some(good) = good.filter(|good| ***good != *file.text) else {
                continue;
            };
            if refused.contains(&file.path) {
                let since = self.held.get(&file.path).map_or(now, |held| held.since);
                let text = good.to_string();
                held.insert(file.path.clone(), Held { since, text });
            }
        }
        if !held.is_empty() {
            let mut refused = std::mem::take(&mut set.refused);
            refused.retain(|refusal| held.contains_key(&*refusal.path));
            held_refusals.append(&mut refused);
            let as_held = files.iter().map(|file| match held.get(&file.path) {
                Some(held) => ContentFile {
                    path: file.path.clone(),
                    text: held.text.clone(),
                },
                None => file.clone(),
            });
            set = content::load_rules(as_held, &options);
        }
        self.shaper.take(options);
        let refused = paths_of(&set.refused);
        for file in files {
            let is_good = !refused.contains(&file.path) && !held.contains_key(&file.path);
            if is_good && content::is_rule(&file.path) {
                self.good.insert(file.path, Arc::from(file.text));
            }
        }
        let present: BTreeSet<String> = self
            .order
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        self.good.retain(|path, _| present.contains(path));
        self.held = held;
        let unreadable = self.scan.unreadable.iter();
        Loaded {
            set,
            held_refusals,
            unreadable: unreadable
                .map(|(path, reason)| format!("{}: {reason}", path.display()))
                .collect(),
        }
    }
}

fn paths_of(refused: &[Refusal]) -> BTreeSet<String> {
    let paths = refused.iter().map(|refusal| refusal.path.to_string());
    paths.collect()
}

fn read(path: &Path) -> Result<Arc<str>, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(format!(
            "has {} bytes; a rule file has at most {MAX_FILE_BYTES}",
            metadata.len()
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    Ok(Arc::from(String::from_utf8_lossy(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn sources(path: &Path) -> Sources {
        Sources {
            paths: vec![path.to_owned()],
            ..Sources::default()
        }
    }

    struct Folder {
        folder: tempfile::TempDir,
        library: Library,
    }

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let library = Library::new(sources(folder.path()), BTreeMap::new());
            Self { folder, library }
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }

        /// Titles of the rules in this folder, and what is refused of it or held.
        fn load(&mut self) -> (Vec<String>, Vec<String>) {
            self.library.look();
            let loaded = self.library.load(NOW);
            let ours = self.folder.path().to_string_lossy().into_owned();
            let metas = loaded.set.metas();
            let titles = metas
                .filter(|meta| meta.path.starts_with(&ours))
                .map(|meta| meta.title.clone());
            let refused = loaded.set.refused.iter().map(|one| ("refused", one));
            let held = loaded.held_refusals.iter().map(|one| ("held", one));
            let troubles = refused.chain(held).map(|(word, one)| {
                let name = Path::new(&*one.path).file_name().unwrap().to_string_lossy();
                format!("{word} {name}:{}", one.line)
            });
            (titles.collect(), troubles.collect())
        }
    }

    fn rule(title: &str, id: &str, field: &str) -> String {
        format!(
            "title: {title}\nid: {id}\nlogsource:\n  product: x\ndetection:\n  s:\n    {field}: v\n  condition: s\n"
        )
    }

    #[test]
    fn the_last_good_version_of_a_broken_file_stays_in_force() {
        let mut folder = Folder::new();
        folder.write("a.yml", &rule("A", "id-a", "f"));
        folder.write("b.yml", &rule("B", "id-b", "f"));
        assert_eq!(
            folder.load(),
            (vec!["A".to_owned(), "B".to_owned()], vec![])
        );
        folder.write("a.yml", &rule("A changed", "id-a", "f|nonsense"));
        let (titles, troubles) = folder.load();
        assert_eq!(titles, ["A", "B"]);
        assert_eq!(troubles, ["held a.yml:7"]);
        // The state survives the end of the program.
        let held = folder.library.held().clone();
        assert_eq!(held.len(), 1);
        folder.library = Library::new(sources(folder.folder.path()), held);
        let (titles, troubles) = folder.load();
        assert_eq!(titles, ["A", "B"]);
        assert_eq!(troubles, ["held a.yml:7"]);
        // Mended, it is in force again; deleted, it goes.
        folder.write("a.yml", &rule("A mended", "id-a", "f"));
        assert_eq!(folder.load().0, ["A mended", "B"]);
        std::fs::remove_file(folder.folder.path().join("a.yml")).unwrap();
        assert_eq!(folder.load(), (vec!["B".to_owned()], vec![]));
    }

    #[test]
    fn a_new_file_cannot_take_the_id_of_a_rule_that_works() {
        let mut folder = Folder::new();
        folder.write("m.yml", &rule("Mine", "one", "f"));
        folder.load();
        folder.write("a.yml", &rule("Late", "one", "f"));
        let (titles, troubles) = folder.load();
        assert_eq!(titles, ["Mine"]);
        assert_eq!(troubles, ["refused a.yml:2"]);
    }

    #[test]
    fn a_folder_that_is_away_takes_nothing_down() {
        let outer = tempfile::tempdir().unwrap();
        let share = outer.path().join("share");
        std::fs::create_dir(&share).unwrap();
        std::fs::write(share.join("a.yml"), rule("A", "id-a", "f")).unwrap();
        let mut library = Library::new(sources(&share), BTreeMap::new());
        library.first_look();
        let before = library.load(NOW).set.len();
        std::fs::rename(&share, outer.path().join("elsewhere")).unwrap();
        assert!(library.look());
        let loaded = library.load(NOW);
        assert_eq!(loaded.set.len(), before);
        assert_eq!(loaded.unreadable.len(), 1);
    }

    #[test]
    fn a_pipeline_that_breaks_stays_in_force_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let (rules, pipeline) = (folder.path().join("r.yml"), folder.path().join("p.yaml"));
        std::fs::write(&rules, rule("A", "id-a", "f")).unwrap();
        let mapping = |to: &str| {
            format!("transformations: [{{type: field_name_mapping, mapping: {{f: {to}}}}}]\n")
        };
        std::fs::write(&pipeline, mapping("first")).unwrap();
        let shaping = crate::cli::Shaping {
            pipelines: vec![pipeline.clone()],
            ..Default::default()
        };
        let sources = Sources {
            paths: vec![rules],
            shaping,
        };
        let mut library = Library::new(sources, BTreeMap::new());
        library.first_look();
        let field = |library: &mut Library| {
            let loaded = library.load(NOW);
            let one = loaded.set.rules.iter().find(|one| one.meta.id == "id-a");
            let one = one.unwrap();
            let mut fields = Vec::new();
            one.expr
                .for_each_leaf(&mut |leaf| fields.extend(leaf.field.clone()));
            let held = loaded.held_refusals.len();
            (fields.concat(), one.meta.version.clone(), held)
        };
        let (first, version, _) = field(&mut library);
        assert_eq!(first, "first");
        assert!(!library.look());
        std::fs::write(&pipeline, mapping("second")).unwrap();
        assert!(library.look());
        let (second, changed, held) = field(&mut library);
        assert_eq!((second.as_str(), held), ("second", 0));
        assert_ne!(version, changed);
        std::fs::write(&pipeline, "transformations: [{type: nonsense}]\n").unwrap();
        assert!(library.look());
        assert_eq!(
            field(&mut library),
            ("second".to_owned(), changed.clone(), 1)
        );
        std::fs::remove_file(&pipeline).unwrap();
        assert!(library.look());
        assert_eq!(field(&mut library), ("second".to_owned(), changed, 1));
    }
}
