//! Where an address is and whose network it belongs to, from MMDB files of any vendor.
//!
//! # Source
//! MaxMind DB file format 2.0; field names of GeoIP2/GeoLite2, IPinfo, DB-IP and ip-location-db.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;

/// An address data base.
pub struct GeoBase {
    name: Arc<str>,
    reader: maxminddb::Reader<Vec<u8>>,
}

impl std::fmt::Debug for GeoBase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeoBase").field("name", &self.name).finish()
    }
}

/// Why a file is no address data base.
#[derive(Debug, thiserror::Error)]
#[error("'{name}' is no MMDB file; take one in MaxMind's format (City, Country or ASN)")]
pub struct GeoError {
    name: String,
    #[source]
    source: maxminddb::MaxMindDbError,
}

/// Attribute below the end point, and the places in a record where its value may stand.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "location.country",
        &[
            "/country/iso_code",
            "/country_code",
            "/country",
            "/registered_country/iso_code",
        ],
    ),
    ("location.city", &["/city/names/en", "/city"]),
    (
        "location.region",
        &["/subdivisions/0/iso_code", "/region", "/state1"],
    ),
    ("location.continent", &["/continent/code", "/continent"]),
    (
        "autonomous_system.number",
        &["/autonomous_system_number", "/asn", "/as_number"],
    ),
    (
        "autonomous_system.name",
        &[
            "/autonomous_system_organization",
            "/as_name",
            "/as_organization",
            "/as_org",
        ],
    ),
    ("location.isp", &["/isp"]),
    ("anonymizer.is_anonymous", &["/is_anonymous"]),
    ("anonymizer.is_anonymous_vpn", &["/is_anonymous_vpn"]),
    ("anonymizer.is_hosting_provider", &["/is_hosting_provider"]),
    ("anonymizer.is_public_proxy", &["/is_public_proxy"]),
    ("anonymizer.is_tor_exit_node", &["/is_tor_exit_node"]),
];

impl GeoBase {
    /// Reads a file's bytes; `name` is what enrichments give as their origin.
    ///
    /// # Errors
    /// If the bytes are no MMDB file.
    pub fn read(name: &str, bytes: Vec<u8>) -> Result<Self, GeoError> {
        let reader = maxminddb::Reader::from_source(bytes).map_err(|source| GeoError {
            name: name.to_owned(),
            source,
        })?;
        Ok(Self {
            name: Arc::from(name),
            reader,
        })
    }

    /// Name of the file.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it knows of an address: attributes below the end point and their values. A damaged
    /// record is as one that is not there.
    pub(crate) fn look_up(&self, address: IpAddr) -> Vec<(&'static str, String)> {
        let found = self.reader.lookup(address).ok();
        let Some(record) = found.and_then(|found| found.decode::<Value>().ok().flatten()) else {
            return Vec::new();
        };
        let known = FIELDS.iter().filter_map(|(attribute, places)| {
            let value = places
                .iter()
                .find_map(|place| text(record.pointer(place)?))?;
            let value = match *attribute {
                "autonomous_system.number" => value.trim_start_matches("AS").to_owned(),
                _ => value,
            };
            Some((*attribute, value))
        });
        known.collect()
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() && text != "-" => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(true) => Some("true".to_owned()),
        _ => None,
    }
}
