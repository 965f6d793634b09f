//! The mapping packs of a running server: the built-in ones, those of the data folder's
//! `mappings`, and those that the configuration names; taken up anew when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result};
use watchfloor_api::ports::{MappingPack, MappingPacks};
use watchfloor_normalize::PackSet;
use watchfloor_pipeline::Pipeline;

use crate::content;
use crate::file_watch::FileWatch;
use crate::rules::scan::Scan;

/// Folder of a data folder.
const FOLDER: &str = "mappings";

/// The packs in force. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Packs {
    folders: Arc<Vec<PathBuf>>,
    known: Arc<Scan>,
    /// Why the packs as they are in the files are not in force.
    held_back: Arc<RwLock<Option<String>>>,
}

impl Packs {
    /// Reads the packs; the data folder's own folder for them is made.
    pub(crate) fn open(data: &Path, folders: &[PathBuf]) -> Result<(Self, Arc<PackSet>)> {
        let own = data.join(FOLDER);
        std::fs::create_dir_all(&own)
            .with_context(|| format!("cannot make the folder {}", own.display()))?;
        let folders = [vec![own], folders.to_vec()].concat();
        let known = Scan::of(&folders);
        let set = content::packs(&folders)?;
        let packs = Self {
            folders: Arc::new(folders),
            known: Arc::new(known),
            held_back: Arc::default(),
        };
        Ok((packs, Arc::new(set)))
    }

    /// Starts to look at the files. Packs with a fault are named, and those before stay in force.
    pub(crate) fn watch(&self, pipeline: Arc<Pipeline>) -> Result<FileWatch> {
        let packs = self.clone();
        let known = (*self.known).clone();
        let paths = (*self.folders).clone();
        FileWatch::start("mapping packs", paths, content::is_yaml, known, move || {
            packs.take_up(&pipeline);
        })
    }

    fn take_up(&self, pipeline: &Pipeline) {
        let held_back = match content::packs(&self.folders) {
            Ok(set) => {
                tracing::info!(packs = set.packs().len(), "mapping packs taken up");
                pipeline.replace_packs(Arc::new(set));
                None
            }
            Err(error) => {
                tracing::warn!("{error:#}");
                Some(format!("{error:#}"))
            }
        };
        *self
            .held_back
            .write()
            .unwrap_or_else(PoisonError::into_inner) = held_back;
    }

    /// The packs, for the API.
    pub(crate) fn list(&self, pipeline: &Pipeline) -> MappingPacks {
        let set = pipeline.packs();
        let packs = set.packs().iter().map(|pack| MappingPack {
            name: pack.product.to_string(),
            title: pack.title.to_string(),
            versions: pack.versions.to_string(),
        });
        let held_back = self
            .held_back
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        MappingPacks {
            packs: packs.collect(),
            held_back: held_back.clone(),
        }
    }
}
