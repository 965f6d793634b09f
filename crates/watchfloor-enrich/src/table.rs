//! Tables of assets and of identities: what an installation knows of its machines and people.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use ipnet::IpNet;
use watchfloor_model::Criticality;

use crate::delimited::Row;
use crate::{address, delimited, directory};

/// Most rows of a table.
const MAX_ROWS: usize = 2_000_000;
/// Longest value that is added to events, in bytes; a longer one is cut.
const MAX_VALUE_BYTES: usize = 512;
/// The attribute that says how much a row matters.
const CRITICALITY: &str = "criticality";
/// Faults that are told of; the rest is a number.
const MAX_FAULTS: usize = 20;

/// What the rows of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Machines, by address, network, name or hardware address.
    Assets,
    /// Accounts, by name, e-mail address or id.
    Identities,
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// No row can be found by anything.
    #[error("'{name}' has no column to look rows up by; name one of {wanted}")]
    NoKey {
        /// The file.
        name: String,
        /// Names that would do.
        wanted: String,
    },
    /// Too much.
    #[error("'{name}' has more than {MAX_ROWS} rows; split off what is no longer used")]
    TooMany {
        /// The file.
        name: String,
    },
}

/// One table.
#[derive(Debug)]
pub struct Table {
    name: Arc<str>,
    kind: TableKind,
    /// What each row adds: attribute below the place of the key, and value.
    rows: Vec<Vec<(&'static str, String)>>,
    addresses: HashMap<IpAddr, u32, FixedState>,
    networks: Vec<(IpNet, u32)>,
    /// Names, hardware addresses, accounts and ids, in small letters.
    names: HashMap<String, u32, FixedState>,
    faults: Vec<(usize, String)>,
    fault_count: usize,
}

/// What a column of a table says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A row is found by it; the attribute that it also is.
    Key(Key, &'static str),
    /// It is added as this attribute.
    Attribute(&'static str),
    /// It grades how much the row matters.
    Criticality,
    /// It is the tier of administration, 0 the highest.
    Tier,
    /// It says that an account has rights above others.
    Privilege,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Address,
    Name,
    Mac,
    Account,
}

/// Names of columns by what they say of a machine.
const ASSET_COLUMNS: &[(&[&str], Role)] = &[
    (
        &[
            "ip",
            "address",
            "ipaddress",
            "network",
            "cidr",
            "subnet",
            "ipv4address",
        ],
        Role::Key(Key::Address, "ip"),
    ),
    (
        &[
            "hostname",
            "host",
            "name",
            "fqdn",
            "dnshostname",
            "computer",
            "device",
            "devicename",
        ],
        Role::Key(Key::Name, "hostname"),
    ),
    (
        &["mac", "macaddress", "hwaddress"],
        Role::Key(Key::Mac, "mac"),
    ),
    (
        &["owner", "assignedto", "managedby"],
        Role::Attribute("owner.name"),
    ),
    (
        &["criticality", "priority", "importance"],
        Role::Criticality,
    ),
    (&["zone", "segment", "vlan"], Role::Attribute("zone")),
    (
        &["os", "operatingsystem", "osname"],
        Role::Attribute("os.name"),
    ),
    (
        &["osversion", "operatingsystemversion"],
        Role::Attribute("os.version"),
    ),
    (
        &["department", "businessunit", "team"],
        Role::Attribute("department"),
    ),
    (
        &["location", "site", "office"],
        Role::Attribute("location.desc"),
    ),
    (
        &["type", "role", "function", "kind"],
        Role::Attribute("type"),
    ),
    (&["environment", "env"], Role::Attribute("environment")),
    (&["tags", "labels"], Role::Attribute("tags")),
    (
        &["description", "notes", "comment"],
        Role::Attribute("desc"),
    ),
    (
        &["id", "uid", "assetid", "assettag", "serial"],
        Role::Attribute("uid"),
    ),
];

/// Names of columns by what they say of an account.
const IDENTITY_COLUMNS: &[(&[&str], Role)] = &[
    (
        &[
            "user",
            "username",
            "samaccountname",
            "login",
            "account",
            "uid",
            "userid",
            "logonname",
        ],
        Role::Key(Key::Account, "name"),
    ),
    (
        &[
            "email",
            "mail",
            "emailaddress",
            "userprincipalname",
            "upn",
            "primaryemail",
        ],
        Role::Key(Key::Account, "email_addr"),
    ),
    (
        &[
            "sid",
            "objectsid",
            "onpremisessecurityidentifier",
            "id",
            "objectid",
            "objectguid",
        ],
        Role::Key(Key::Account, "uid"),
    ),
    (
        &["displayname", "fullname", "cn", "name"],
        Role::Attribute("full_name"),
    ),
    (
        &["department", "departmentname", "ou"],
        Role::Attribute("ldap_person.department"),
    ),
    (
        &["title", "jobtitle"],
        Role::Attribute("ldap_person.job_title"),
    ),
    (&["manager"], Role::Attribute("ldap_person.manager")),
    (
        &[
            "office",
            "officelocation",
            "physicaldeliveryofficename",
            "l",
            "city",
        ],
        Role::Attribute("ldap_person.office_location"),
    ),
    (
        &["country", "c", "co", "usagelocation"],
        Role::Attribute("ldap_person.country"),
    ),
    (&["groups", "memberof", "roles"], Role::Attribute("groups")),
    (&["criticality"], Role::Criticality),
    (&["tier"], Role::Tier),
    (&["privileged", "admincount"], Role::Privilege),
    (
        &["enabled", "accountenabled", "useraccountcontrol"],
        Role::Attribute("account.enabled"),
    ),
    (
        &["type", "usertype", "accounttype"],
        Role::Attribute("type"),
    ),
];

impl Table {
    /// Reads a table: CSV with a head line, JSON, JSON lines or LDIF. `name` is what
    /// enrichments give as their origin. Lines that cannot be read are kept as faults.
    ///
    /// # Errors
    /// If no row could ever be found, or there are too many.
    pub fn read(name: &str, kind: TableKind, text: &str) -> Result<Self, TableError> {
        let (rows, faults) = if directory::is_ldif(text) {
            directory::rows(text)
        } else {
            delimited::rows(text)
        };
        if rows.len() > MAX_ROWS {
            return Err(TableError::TooMany {
                name: name.to_owned(),
            });
        }
        let mut table = Self {
            name: Arc::from(name),
            kind,
            rows: Vec::with_capacity(rows.len()),
            addresses: HashMap::default(),
            networks: Vec::new(),
            names: HashMap::default(),
            fault_count: faults.len(),
            faults: faults.into_iter().take(MAX_FAULTS).collect(),
        };
        for row in &rows {
            table.add(row);
        }
        table
            .networks
            .sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        let is_empty = table.addresses.is_empty() && table.networks.is_empty();
        if is_empty && table.names.is_empty() && !rows.is_empty() {
            let keys = columns(kind).iter().filter_map(|(names, role)| {
                matches!(role, Role::Key(..))
                    .then(|| names.first().copied())
                    .flatten()
            });
            return Err(TableError::NoKey {
                name: name.to_owned(),
                wanted: keys.collect::<Vec<_>>().join(", "),
            });
        }
        Ok(table)
    }

    /// Name of the file.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What its rows are.
    pub fn kind(&self) -> TableKind {
        self.kind
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first values and lines that could not be read, with line and reason, and how many there
    /// are. The rest of such a line counts, unless it could not be taken apart.
    pub fn faults(&self) -> (&[(usize, String)], usize) {
        (&self.faults, self.fault_count)
    }

    fn add(&mut self, row: &Row) {
        let place = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let mut added: Vec<(&'static str, String)> = Vec::new();
        for (name, value) in &row.cells {
            let Some(role) = role_of(self.kind, name) else {
                continue;
            };
            let (attribute, value) = match role {
                Role::Key(key, attribute) => {
                    self.add_key(key, value, place, row.line);
                    (attribute, value.clone())
                }
                Role::Attribute(attribute) => (attribute, value.clone()),
                Role::Criticality | Role::Tier | Role::Privilege => {
                    match self.grade(role, value, row.line) {
                        Some(word) => (CRITICALITY, word),
                        None => continue,
                    }
                }
            };
            let is_network = attribute == "ip" && value.contains('/');
            if !is_network && added.iter().all(|(known, _)| *known != attribute) {
                added.push((attribute, cut(&value)));
            }
        }
        self.rows.push(added);
    }

    /// What a column says of how much a row matters; a word that nobody knows is kept, and told.
    fn grade(&mut self, role: Role, value: &str, line: usize) -> Option<String> {
        let word = match role {
            Role::Privilege => {
                let is_said = matches!(value.to_ascii_lowercase().as_str(), "true" | "yes" | "1");
                return is_said.then(|| "high".to_owned());
            }
            Role::Tier if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("tier {value}")
            }
            _ => value.to_owned(),
        };
        if Criticality::from_word(&word).is_none() {
            let known = Criticality::WORDS;
            self.fault(line, format!("'{word}' is no criticality; say {known}"));
        }
        Some(word)
    }

    fn fault(&mut self, line: usize, reason: String) {
        self.fault_count += 1;
        if self.faults.len() < MAX_FAULTS {
            self.faults.push((line, reason));
        }
    }

    fn add_key(&mut self, key: Key, text: &str, place: u32, line: usize) {
        for value in text.split([';', ' ']).map(str::trim) {
            if value.is_empty() {
                continue;
            }
            match key {
                Key::Address => match (address::parse(value), value.parse::<IpNet>()) {
                    (Some(address), _) => {
                        self.addresses.entry(address).or_insert(place);
                    }
                    (None, Ok(network)) => self.networks.push((network.trunc(), place)),
                    _ => self.fault(line, format!("'{value}' is no address and no network")),
                },
                Key::Mac => match address::parse_mac(value) {
                    Some(mac) => {
                        self.names.entry(mac).or_insert(place);
                    }
                    None => self.fault(line, format!("'{value}' is no hardware address")),
                },
                Key::Name => {
                    let name = value.trim_end_matches('.').to_lowercase();
                    if let Some((short, _)) = name.split_once('.') {
                        self.names.entry(short.to_owned()).or_insert(place);
                    }
                    self.names.entry(name).or_insert(place);
                }
                Key::Account => {
                    self.names.entry(value.to_lowercase()).or_insert(place);
                }
            }
        }
    }

    /// The row of an address: its own, else that of the narrowest network around it.
    pub(crate) fn by_address(&self, address: IpAddr) -> Option<&[(&'static str, String)]> {
        let own = self.addresses.get(&address);
        let place = own.or_else(|| {
            let mut networks = self.networks.iter();
            networks
                .find(|(network, _)| network.contains(&address))
                .map(|(_, place)| place)
        })?;
        self.rows.get(*place as usize).map(Vec::as_slice)
    }

    /// The row of a name: of a host (whole, else its first label), a hardware address, an
    /// account (with or without its domain) or an id.
    pub(crate) fn by_name(&self, name: &str) -> Option<&[(&'static str, String)]> {
        let name = name.trim_end_matches('.').to_lowercase();
        let bare = match self.kind {
            TableKind::Assets => name.split('.').next(),
            TableKind::Identities => name.rsplit('\\').next(),
        };
        let mac = address::parse_mac(&name);
        let place = self
            .names
            .get(&name)
            .or_else(|| self.names.get(mac.as_deref()?))
            .or_else(|| self.names.get(bare?))?;
        self.rows.get(*place as usize).map(Vec::as_slice)
    }
}

fn columns(kind: TableKind) -> &'static [(&'static [&'static str], Role)] {
    match kind {
        TableKind::Assets => ASSET_COLUMNS,
        TableKind::Identities => IDENTITY_COLUMNS,
    }
}

fn role_of(kind: TableKind, column: &str) -> Option<Role> {
    let plain: String = column
        .chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    let mut columns = columns(kind).iter();
    columns
        .find(|(names, _)| names.contains(&plain.as_str()))
        .map(|(_, role)| *role)
}

fn cut(value: &str) -> String {
    let mut end = value.len().min(MAX_VALUE_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value.get(..end).unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(row: Option<&'a [(&'static str, String)]>, name: &str) -> Option<&'a str> {
        let found = row?.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn assets_are_found_by_all_their_names() {
        let text = "IP Address,Hostname,MAC,Criticality,Owner\n\
            10.0.0.5,dc01.corp.example,00-1B-63-84-45-E6,high,Ann\n10.0.0.0/8,,,low,\n10.1.0.0/16,,,medium,\n";
        let table = Table::read("assets.csv", TableKind::Assets, text).unwrap();
        let address = |text: &str| text.parse().unwrap();
        assert_eq!(
            get(table.by_address(address("10.0.0.5")), "criticality"),
            Some("high")
        );
        assert_eq!(
            get(table.by_address(address("10.1.2.3")), "criticality"),
            Some("medium")
        );
        assert_eq!(
            get(table.by_address(address("10.9.2.3")), "criticality"),
            Some("low")
        );
        assert_eq!(get(table.by_address(address("10.9.2.3")), "ip"), None);
        assert!(table.by_address(address("192.0.2.1")).is_none());
        for name in ["DC01", "dc01.corp.example.", "001b.6384.45e6"] {
            assert_eq!(
                get(table.by_name(name), "owner.name"),
                Some("Ann"),
                "{name}"
            );
        }
    }

    #[test]
    fn people_are_found_by_account_mail_and_id() {
        let text = "dn: CN=Ann\nsAMAccountName: alee\nmail: ann.lee@corp.example\n\
            displayName: Ann Lee\nobjectSid: S-1-5-21-1-2-3-1001\ntitle: Treasurer\n";
        let table = Table::read("ad.ldif", TableKind::Identities, text).unwrap();
        for name in [
            "CORP\\alee",
            "ALEE",
            "ann.lee@corp.example",
            "s-1-5-21-1-2-3-1001",
        ] {
            let row = table.by_name(name);
            assert_eq!(get(row, "full_name"), Some("Ann Lee"), "{name}");
            assert_eq!(get(row, "ldap_person.job_title"), Some("Treasurer"));
        }
        assert!(table.by_name("bob").is_none());
    }

    #[test]
    fn values_that_cannot_be_read_are_told_and_the_rest_of_the_line_counts() {
        let text = "hostname,ip,mac,criticality\ndb-1,10.20.300.1,00:1b:63:84:45,hihg\n\
            db-2,10.0.0.2;10.0.1.0/33,,high\n";
        let table = Table::read("assets.csv", TableKind::Assets, text).unwrap();
        assert_eq!(get(table.by_name("db-1"), "criticality"), Some("hihg"));
        assert!(table.by_address("10.0.0.2".parse().unwrap()).is_some());
        let (faults, count) = table.faults();
        let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(
            (lines.as_slice(), count),
            ([2, 2, 2, 3].as_slice(), 4),
            "{faults:?}"
        );
        assert!(faults[0].1.contains("10.20.300.1"), "{faults:?}");
        assert!(faults[2].1.contains("critical, high"), "{faults:?}");
    }

    #[test]
    fn tiers_and_privileges_say_how_much_an_account_matters() {
        let text = "user,tier,admincount\nann,0,\nbob,,1\ncid,2,0\ndan,,0\n";
        let table = Table::read("people.csv", TableKind::Identities, text).unwrap();
        let of = |name: &str| get(table.by_name(name), "criticality").map(str::to_owned);
        let words = ["ann", "bob", "cid", "dan"].map(of);
        let words = words.each_ref().map(Option::as_deref);
        assert_eq!(words, [Some("tier 0"), Some("high"), Some("tier 2"), None]);
        assert_eq!(table.faults().1, 0);
    }

    #[test]
    fn a_table_without_a_key_is_refused_with_the_mend() {
        let error = Table::read("x.csv", TableKind::Assets, "color,shape\nred,round\n");
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("x.csv") && text.contains("hostname"),
            "{text}"
        );
    }
}
