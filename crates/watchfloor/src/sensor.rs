//! A sensor: an installed Suricata, looked after. Its configuration is written from a few
//! settings, its rule sets are fetched, tuned and tested before they are used, what it sees goes
//! to a server, and it is started again when it ends.
//!
//! # Source
//! Suricata User Guide 7.0: configuration, EVE output, rule management, Unix socket.

mod configuration;
mod live;
mod offline;
mod process;
mod rule_files;
mod settings;
mod tuning;

pub(crate) use live::{Target, watch};
pub(crate) use offline::{PcapRun, run_pcap};
pub(crate) use rule_files::{build, update};
pub(crate) use settings::{Settings, default_folder};
pub(crate) use tuning::Suppression;
