//! What a sensor is told: `sensor.toml` in its folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::tuning::Tuning;

/// Name of the file in the sensor's folder.
const FILE: &str = "sensor.toml";
/// Networks that are one's own, unless told otherwise.
const HOME_NETS: [&str; 3] = ["192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12"];

/// The settings of a sensor.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Name of the sensor, as it stands in the names of sources: `suricata:NAME`.
    #[serde(default = "standard_name")]
    pub name: String,
    /// Interfaces that are listened on.
    #[serde(default)]
    pub interfaces: Vec<String>,
    /// Networks that are one's own.
    #[serde(default = "standard_nets")]
    pub home_net: Vec<String>,
    /// The program; found on the path if it is not named.
    pub suricata: Option<PathBuf>,
    /// Hours between two updates of the rule sets; 0 for none.
    #[serde(default = "standard_update")]
    pub update_hours: u32,
    /// MiB of packets of alerts that are kept in the folder.
    #[serde(default = "standard_packets")]
    pub packets_mib: u32,
    /// Rule sets by name: a file, a folder, an archive (`.tar.gz`), or the URL of one.
    #[serde(default)]
    pub rule_sets: BTreeMap<String, String>,
    /// What is changed in them.
    #[serde(default)]
    pub tuning: Tuning,
}

fn standard_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "sensor".to_owned(),
        name => name.to_owned(),
    }
}

fn standard_nets() -> Vec<String> {
    HOME_NETS.map(str::to_owned).to_vec()
}

fn standard_update() -> u32 {
    24
}

fn standard_packets() -> u32 {
    1024
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: standard_name(),
            interfaces: Vec::new(),
            home_net: standard_nets(),
            suricata: None,
            update_hours: standard_update(),
            packets_mib: standard_packets(),
            rule_sets: BTreeMap::new(),
            tuning: Tuning::default(),
        }
    }
}

impl Settings {
    /// Reads the settings of a folder; without the file everything is as usual.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        toml::from_str(&text)
            .with_context(|| format!("{} is not valid; mend what is named", path.display()))
    }

    /// Writes them.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let path = folder.join(FILE);
        let temporary = folder.join("sensor.toml.new");
        let text = toml::to_string(self).context("the settings cannot be written")?;
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The folder of a sensor, unless one is named.
pub(crate) fn default_folder() -> PathBuf {
    PathBuf::from("watchfloor-sensor")
}
