//! The names of objects met so far, in the order in which they follow one another.
//!
//! Records of one product have the same names in the same order. Each name here knows which
//! name came after it, so the next one is mostly met by comparing bytes: no search for its
//! end, no path put together, no column looked up.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::sink::clip;

/// Most names kept from record to record; hostile records make many.
const NAMES_MAX: usize = 16_384;
/// Longest piece of a name in a path, in bytes.
const NAME_BYTES_MAX: usize = 1024;
/// The place of no name: the parent of the outermost ones.
pub(super) const ROOT: u32 = 0;

/// What is done with the values of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// They are a field of that path.
    Plain,
    /// They belong to a Windows event as EVTX tools render it.
    WindowsEvent,
    /// They belong to a Winlogbeat record.
    Winlog,
    /// They lie in an object of Windows data at the root.
    WindowsData,
}

/// One name at its place in an object.
#[derive(Debug)]
pub(super) struct Name {
    parent: u32,
    /// As it stands in the text, with its quotes.
    written: Box<[u8]>,
    /// With the names around it, joined by dots.
    pub(super) path: Arc<str>,
    /// The place of its column in the batch last filled.
    pub(super) column: u32,
    pub(super) route: Route,
    /// The names that followed it in the same object, the latest first.
    followers: [u32; 2],
    /// The first name inside its value.
    first: u32,
}

/// All names, found by what came before them or by a hash.
#[derive(Debug)]
pub(super) struct Outline {
    names: Vec<Name>,
    table: HashTable<u32>,
    hasher: FixedState,
}

impl Default for Outline {
    fn default() -> Self {
        let mut outline = Self {
            names: Vec::new(),
            table: HashTable::new(),
            hasher: FixedState::default(),
        };
        outline.forget();
        outline
    }
}

impl Outline {
    /// Makes room between two records.
    pub(super) fn prepare(&mut self) {
        if self.names.len() > NAMES_MAX {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.names.clear();
        self.table.clear();
        self.names.push(Name {
            parent: ROOT,
            written: Box::default(),
            path: Arc::from(""),
            column: 0,
            route: Route::Plain,
            followers: [ROOT; 2],
            first: ROOT,
        });
    }

    pub(super) fn name_mut(&mut self, place: u32) -> Option<&mut Name> {
        self.names.get_mut(place as usize)
    }

    pub(super) fn path(&self, place: u32) -> Arc<str> {
        let name = self.names.get(place as usize);
        name.map_or_else(|| Arc::from(""), |name| Arc::clone(&name.path))
    }

    /// The name that stands at the start of `text`, guessed by what came before it in the
    /// object of `parent`, with its length in bytes.
    pub(super) fn guess(&self, parent: u32, before: u32, text: &[u8]) -> Option<(u32, usize)> {
        let candidates = if before == ROOT {
            [self.names.get(parent as usize)?.first, ROOT]
        } else {
            self.names.get(before as usize)?.followers
        };
        candidates.into_iter().find_map(|place| {
            let written = &*self.names.get(place as usize)?.written;
            let is_it = place != ROOT && text.starts_with(written);
            is_it.then_some((place, written.len()))
        })
    }

    /// The place of a name, given as it is written and as it reads; learnt if it is new. It
    /// will be guessed where the same name comes before it.
    pub(super) fn learn(&mut self, parent: u32, before: u32, written: &[u8], name: &str) -> u32 {
        let place = self.find_or_add(parent, written, name);
        let link = if before == ROOT {
            self.names
                .get_mut(parent as usize)
                .map(|name| &mut name.first)
        } else {
            let before = self.names.get_mut(before as usize);
            before.map(|before| {
                before.followers.swap(0, 1);
                &mut before.followers[0]
            })
        };
        if let Some(link) = link {
            *link = place;
        }
        place
    }

    /// The place of a name drawn out of the objects of a list; it is not guessed.
    pub(super) fn learn_inside(&mut self, parent: u32, name: &str) -> u32 {
        // Written names have quotes: these do not get in their way.
        self.find_or_add(parent, name.as_bytes(), name)
    }

    fn find_or_add(&mut self, parent: u32, written: &[u8], name: &str) -> u32 {
        let hash = self.hasher.hash_one((parent, written));
        let names = &self.names;
        let is_it = |place: &u32| {
            let known = names.get(*place as usize);
            known.is_some_and(|known| known.parent == parent && *known.written == *written)
        };
        match self.table.find(hash, is_it) {
            Some(place) => *place,
            None => self.add(parent, written, name, hash),
        }
    }

    fn add(&mut self, parent: u32, written: &[u8], name: &str, hash: u64) -> u32 {
        let name = clip(name, NAME_BYTES_MAX);
        let above = self.path(parent);
        let path: Arc<str> = if parent == ROOT {
            Arc::from(name)
        } else {
            format!("{above}.{name}").into()
        };
        let route = match path.as_bytes().first() {
            Some(b'E') if crate::windows::is_event_path(&path) => Route::WindowsEvent,
            Some(b'w') if path.starts_with("winlog.") => Route::Winlog,
            _ if crate::windows::bare_data(&path).is_some() => Route::WindowsData,
            _ => Route::Plain,
        };
        let place = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(Name {
            parent,
            written: written.into(),
            path,
            column: 0,
            route,
            followers: [ROOT; 2],
            first: ROOT,
        });
        let (names, hasher) = (&self.names, &self.hasher);
        self.table.insert_unique(hash, place, |place| {
            let known = names.get(*place as usize);
            known.map_or(0, |known| hasher.hash_one((known.parent, &*known.written)))
        });
        place
    }
}
