//! Small files beside the hot table that processes of a cluster share: what one wrote before it
//! went away, another reads that takes its work over.

use object_store::ObjectStoreExt;
use object_store::path::Path;

use crate::table::{CommitError, HOT, Lake};

/// Folder of these files; Delta's readers pass over names that begin so.
const FOLDER: &str = "_watchfloor";

impl Lake {
    /// Writes a file, durably.
    ///
    /// # Errors
    /// If the place refuses.
    pub async fn put_shared(&self, name: &str, bytes: Vec<u8>) -> Result<(), CommitError> {
        self.tiers[HOT].put(&path_of(name), bytes).await
    }

    /// Reads a file; `None` if it is not there.
    ///
    /// # Errors
    /// If the place refuses.
    pub async fn get_shared(&self, name: &str) -> Result<Option<Vec<u8>>, CommitError> {
        let (tier, path) = (&self.tiers[HOT], path_of(name));
        match tier.store.get(&path).await {
            Ok(found) => {
                let bytes = found.bytes().await;
                let bytes = bytes.map_err(|error| tier.write_error(&path, error))?;
                Ok(Some(bytes.to_vec()))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(tier.write_error(&path, error)),
        }
    }

    /// Names of the files below a folder, without it, in order.
    ///
    /// # Errors
    /// If the place refuses.
    pub async fn list_shared(&self, folder: &str) -> Result<Vec<String>, CommitError> {
        use futures::TryStreamExt;
        let (tier, path) = (&self.tiers[HOT], path_of(folder));
        let listed: Result<Vec<_>, _> = tier.store.list(Some(&path)).try_collect().await;
        let listed = listed.map_err(|error| tier.write_error(&path, error))?;
        let names = listed.iter().filter_map(|file| file.location.filename());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Deletes a file; one that is not there is as good as deleted.
    ///
    /// # Errors
    /// If the place refuses.
    pub async fn delete_shared(&self, name: &str) -> Result<(), CommitError> {
        self.tiers[HOT].delete(&path_of(name)).await
    }
}

fn path_of(name: &str) -> Path {
    Path::from(format!("{FOLDER}/{name}"))
}
