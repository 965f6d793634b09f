//! Where the lake of a data folder stands. A server writes it down in the folder, without
//! credentials, so that commands find the lake and a change of location keeps the former tables
//! in reach.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use watchfloor_lake::{Lake, Place, Places};

/// Name of the file in the data folder.
const FILE: &str = "lake.toml";
/// Name of the lake's folder in the data folder, where it stands if nothing else is said.
const FOLDER: &str = "lake";

/// What the configuration says of the lake's places.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Where new events are written: a folder or `s3://bucket/prefix`.
    pub location: Option<String>,
    /// Where old events are moved to.
    pub cold: Option<String>,
    /// Days after which they are.
    pub cold_after_days: Option<u32>,
    /// What a GB costs in a month, in whatever money; the storage page shows the cost by source.
    pub price_per_gb_month: Option<f64>,
    /// How S3-compatible stores are reached, such as `endpoint` and `region`.
    #[serde(default)]
    pub storage: BTreeMap<String, String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Noted {
    #[serde(default)]
    places: Vec<NotedPlace>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NotedPlace {
    role: Role,
    location: String,
    #[serde(default)]
    storage: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    Hot,
    Former,
    Cold,
}

/// The places that a server is to use; they are written down for commands and later starts.
pub(crate) fn settle(data: &Path, wanted: &Wanted) -> Result<Places> {
    let before = noted(data)?;
    let hot = NotedPlace {
        role: Role::Hot,
        location: match &wanted.location {
            Some(location) => whole(location)?,
            None => default(data),
        },
        storage: wanted.storage.clone(),
    };
    let cold = wanted.cold.as_deref().map(whole).transpose()?;
    let cold = cold.map(|location| NotedPlace {
        role: Role::Cold,
        location,
        storage: wanted.storage.clone(),
    });
    let named: Vec<NotedPlace> = [hot].into_iter().chain(cold).collect();
    if named
        .iter()
        .skip(1)
        .any(|place| place.location == named[0].location)
    {
        bail!("lake.cold is where lake.location is; name another place, or leave it out");
    }
    let is_named = |place: &NotedPlace| named.iter().any(|one| one.location == place.location);
    let former: Vec<NotedPlace> = before
        .into_iter()
        .filter(|place| !is_named(place))
        .map(|place| NotedPlace {
            role: Role::Former,
            ..place
        })
        .collect();
    let places: Vec<NotedPlace> = named.into_iter().chain(former).collect();
    write(data, &places)?;
    // Credentials may stand in the configuration, and are not written down.
    let places = places.iter().map(|place| {
        let mut place = place.clone();
        if place.role == Role::Former {
            place.storage.extend(wanted.storage.clone());
        }
        place
    });
    to_places(&places.collect::<Vec<_>>())
}

/// The places that a server used last; the credentials come from the environment.
pub(crate) fn of_data(data: &Path) -> Result<Places> {
    let places = noted(data)?;
    if places.is_empty() {
        bail!(
            "{} is no data folder of Watchfloor: it has no lake in it",
            data.display()
        );
    }
    to_places(&places)
}

/// As [`of_data`]; where there is no lake yet, in the data folder.
pub(crate) fn last(data: &Path) -> Result<Places> {
    if noted(data)?.is_empty() {
        return settle(data, &Wanted::default());
    }
    of_data(data)
}

/// Opens the lake of a data folder to read it, beside a server that may write to it.
pub(crate) async fn open_to_read(data: &Path) -> Result<Lake> {
    Ok(Lake::open_to_read_at(&of_data(data)?).await?)
}

/// Opens the lake of a data folder to change it; the folder must be held.
pub(crate) async fn open(data: &Path) -> Result<Lake> {
    Ok(Lake::open_at(&of_data(data)?).await?)
}

/// A folder's whole path: commands may run elsewhere.
fn whole(location: &str) -> Result<String> {
    if location.contains("://") {
        return Ok(location.to_owned());
    }
    let path = std::path::absolute(location)
        .with_context(|| format!("the lake cannot stand at {location}"))?;
    Ok(path.to_string_lossy().into_owned())
}

fn default(data: &Path) -> String {
    data.join(FOLDER).to_string_lossy().into_owned()
}

fn noted(data: &Path) -> Result<Vec<NotedPlace>> {
    let path = data.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(of_folder(data));
        }
        text => text.with_context(|| format!("cannot read {}", path.display()))?,
    };
    let noted: Noted = toml::from_str(&text).with_context(|| {
        format!(
            "{} is not as a server wrote it; a server start writes it anew once it is deleted",
            path.display()
        )
    })?;
    // The data folder may have been moved since.
    let places = noted
        .places
        .into_iter()
        .map(|place| match place.location.as_str() {
            FOLDER => NotedPlace {
                location: default(data),
                ..place
            },
            _ => place,
        });
    Ok(places.collect())
}

/// A data folder of an earlier version, or of commands alone.
fn of_folder(data: &Path) -> Vec<NotedPlace> {
    let is_there = data.join(FOLDER).is_dir();
    let place = is_there.then(|| NotedPlace {
        role: Role::Hot,
        location: default(data),
        storage: BTreeMap::new(),
    });
    place.into_iter().collect()
}

fn write(data: &Path, places: &[NotedPlace]) -> Result<()> {
    let is_secret = |name: &str| {
        ["secret", "token", "access_key"]
            .iter()
            .any(|part| name.contains(part))
    };
    let places = places.iter().map(|place| NotedPlace {
        location: match place.location == default(data) {
            true => FOLDER.to_owned(),
            false => place.location.clone(),
        },
        storage: place
            .storage
            .iter()
            .filter(|(name, _)| !is_secret(name) && place.location.contains("://"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ..place.clone()
    });
    let noted = Noted {
        places: places.collect(),
    };
    let text = format!(
        "# Where this folder's events stand; written by the server, without credentials.\n{}",
        toml::to_string(&noted).context("the lake's places cannot be written down")?
    );
    let path = data.join(FILE);
    if std::fs::read_to_string(&path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    let new = data.join("lake.toml.new");
    std::fs::write(&new, text)
        .and_then(|()| std::fs::rename(&new, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn to_places(places: &[NotedPlace]) -> Result<Places> {
    let of_role = |role: Role| {
        let places = places.iter().filter(move |place| place.role == role);
        let places = places.map(|place| {
            let parsed = Place::parse(&place.location, &place.storage);
            parsed.with_context(|| format!("the lake cannot stand at {}", place.location))
        });
        places.collect::<Result<Vec<_>>>()
    };
    let hot = of_role(Role::Hot)?.into_iter().next();
    Ok(Places {
        hot: hot.context("no place of the lake is the one that is written to")?,
        cold: of_role(Role::Cold)?.into_iter().next(),
        former: of_role(Role::Former)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_location_keeps_the_former_in_reach() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        let first = settle(data, &Wanted::default()).unwrap();
        assert_eq!(first.hot, Place::Folder(data.join(FOLDER)));
        assert!(first.former.is_empty() && first.cold.is_none());
        let wanted = Wanted {
            location: Some("s3://soc/lake".to_owned()),
            storage: [
                ("endpoint", "http://127.0.0.1:1"),
                ("secret_access_key", "hush"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
            ..Wanted::default()
        };
        for _ in 0..2 {
            let moved = settle(data, &wanted).unwrap();
            assert_eq!(moved.hot.to_string(), "s3://soc/lake");
            assert_eq!(moved.former, [Place::Folder(data.join(FOLDER))]);
        }
        let text = std::fs::read_to_string(data.join(FILE)).unwrap();
        assert!(
            text.contains("127.0.0.1:1") && !text.contains("hush"),
            "{text}"
        );
        assert_eq!(of_data(data).unwrap().hot.to_string(), "s3://soc/lake");
        let back = settle(data, &Wanted::default()).unwrap();
        assert_eq!(back.hot, first.hot);
        assert_eq!(back.former.len(), 1);
    }

    #[test]
    fn a_folder_without_a_lake_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = of_data(folder.path()).unwrap_err().to_string();
        assert!(error.contains("has no lake"), "{error}");
    }
}
