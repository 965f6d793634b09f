//! The enricher: what is known, and what is learnt on the way, put beside the events of a batch.
//!
//! Each distinct address, name and account of a batch is looked up once. Leases and
//! translations depend on the time of the event and are asked for each event, where anything is
//! known of its address at all.

use std::net::IpAddr;
use std::sync::Arc;

use watchfloor_event::{EventBatch, Namespace, RowMeta};

use crate::context::Context;
use crate::leases::{Lease, Leases};
use crate::nat::{Translation, Translations};
use crate::note::{Note, NoteKind, Notes};
use crate::table::Table;
use crate::{address, note};

/// Sides of an event that have an address and a name.
const ENDPOINTS: [&str; 3] = ["src_endpoint", "dst_endpoint", "device"];
/// Places of accounts, with the attributes by which a person may be found, surest first.
const ACCOUNTS: [&str; 2] = ["actor.user", "user"];
const ACCOUNT_KEYS: [&str; 3] = ["uid", "email_addr", "name"];

/// OCSF DHCP Activity, with the activities that give an address and take it back.
const DHCP_CLASS: u32 = 4004;
const DHCP_ACK: i32 = 5;
const DHCP_OVER: [i32; 2] = [7, 9];
/// OCSF Tunnel Activity and Authentication end with these activities.
const SESSION_OVER: [(u32, i32); 2] = [(4014, 2), (3002, 2)];

/// Source fields in which VPN gateways and RADIUS servers say which address they gave.
const ASSIGNED: [&str; 8] = [
    "private_ip",
    "tunnelip",
    "assignip",
    "assigned_ip",
    "vpn_ip",
    "Framed-IP-Address",
    "framed_ip_address",
    "office_mode_ip",
];

/// Source fields in which firewalls say the translated source: address, port.
const TRANSLATED: [(&str, &str); 9] = [
    ("natsrc", "natsport"),
    ("transip", "transport"),
    ("mapped_ip", "mapped_port"),
    ("xlatesrc", "xlatesport"),
    ("nat-source-address", "nat-source-port"),
    ("nat_source_address", "nat_source_port"),
    ("source.nat.ip", "source.nat.port"),
    ("nat_src_ip", "nat_src_port"),
    ("NAT_SourceIP", "NAT_SourcePort"),
];

/// Enriches batch by batch.
#[derive(Debug, Default)]
pub struct Enricher {
    context: Arc<Context>,
    learnt: Leases,
    translations: Translations,
}

/// An address of an event: where it stands and what it is.
struct Side<'a> {
    /// Path below which what is found is added.
    below: String,
    /// Path and text of the value that it is found by.
    about: String,
    value: &'a str,
}

impl Enricher {
    /// An enricher over a snapshot, that has learnt nothing yet.
    pub fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            ..Self::default()
        }
    }

    /// Takes another snapshot; what was learnt stays.
    pub fn set_context(&mut self, context: Arc<Context>) {
        self.context = context;
    }

    /// Leases learnt from events, one JSON object a line, to be given to [`Enricher::restore`].
    pub fn learnt(&self) -> String {
        let lines = self.learnt.all().into_iter();
        let lines = lines.filter_map(|lease| serde_json::to_string(lease).ok());
        lines.fold(String::new(), |text, line| text + &line + "\n")
    }

    /// Takes up what was learnt before; lines that cannot be read are passed over.
    pub fn restore(&mut self, lines: &str) {
        let leases = lines.lines();
        let leases = leases.filter_map(|line| serde_json::from_str::<Lease>(line).ok());
        leases.for_each(|lease| self.learnt.add(lease));
    }

    /// Learns from the events of a normalised batch, then adds what is known of them.
    pub fn enrich(&mut self, batch: &mut EventBatch) {
        self.learn_leases(batch);
        self.learn_sessions(batch);
        self.learn_translations(batch);
        let is_idle =
            self.context.is_empty() && self.learnt.is_empty() && self.translations.is_empty();
        if is_idle || batch.is_empty() {
            return;
        }
        let mut notes = Notes::default();
        for place in ENDPOINTS {
            let mut is_known = vec![false; batch.len()];
            self.addresses(batch, place, &mut is_known, &mut notes);
            self.hosts(batch, place, &is_known, &mut notes);
        }
        for place in ACCOUNTS {
            self.accounts(batch, place, &mut notes);
        }
        if !notes.is_empty() {
            notes.write(batch);
        }
    }

    /// Addresses of one side: place and network, asset, holder, what stands behind.
    fn addresses(&self, batch: &EventBatch, place: &str, known: &mut [bool], notes: &mut Notes) {
        let path = format!("{place}.ip");
        let Some(column) = batch.column(Namespace::Ocsf, &path) else {
            return;
        };
        let values: Vec<_> = column.dictionary().values().collect();
        let looked_up: Vec<(Option<IpAddr>, Vec<u32>, bool)> = values
            .iter()
            .map(|value| {
                let Some(address) = address::parse(value.text) else {
                    return (None, Vec::new(), false);
                };
                let side = Side {
                    below: place.to_owned(),
                    about: path.clone(),
                    value: value.text,
                };
                let mut found = self.geo(address, &side, notes);
                let asset = self.asset_by_address(address, &side, notes);
                let is_asset = asset.is_some();
                found.extend(asset);
                (Some(address), found, is_asset)
            })
            .collect();
        let ports = batch.column(Namespace::Ocsf, &format!("{place}.port"));
        for (row, meta) in batch.rows().iter().enumerate() {
            let code = column.code(row) as usize;
            let Some((Some(address), found, is_asset)) =
                code.checked_sub(1).and_then(|at| looked_up.get(at))
            else {
                continue;
            };
            found.iter().for_each(|note| notes.give(row, *note));
            if let Some(slot) = known.get_mut(row) {
                *slot = *is_asset;
            }
            let side = Side {
                below: place.to_owned(),
                about: path.clone(),
                value: values.get(code - 1).map_or("", |value| value.text),
            };
            self.holder(*address, &side, (row, meta), notes);
            if self.translations.knows(*address) {
                let port = ports.and_then(|ports| ports.get(row)?.text.parse().ok());
                self.behind(*address, port.unwrap_or(0), &side, (row, meta), notes);
            }
        }
    }

    fn geo(&self, address: IpAddr, side: &Side<'_>, notes: &mut Notes) -> Vec<u32> {
        if !address::is_public(address) {
            return Vec::new();
        }
        let mut known: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        for base in &self.context.geo {
            let mut fields = base.look_up(address);
            fields.retain(|(attribute, _)| !known.contains(attribute));
            if fields.is_empty() {
                continue;
            }
            known.extend(fields.iter().map(|(attribute, _)| *attribute));
            found.push(notes.intern(side.note(NoteKind::Geo, base.name(), &fields)));
        }
        found
    }

    fn asset_by_address(&self, address: IpAddr, side: &Side<'_>, notes: &mut Notes) -> Option<u32> {
        let mut tables = self.context.assets.iter();
        let (table, row) = tables.find_map(|table| Some((table, table.by_address(address)?)))?;
        Some(notes.intern(side.note(NoteKind::Asset, table.name(), row)))
    }

    /// Who held an address when the event happened, and what asset that is.
    fn holder(
        &self,
        address: IpAddr,
        side: &Side<'_>,
        (row, meta): (usize, &RowMeta),
        notes: &mut Notes,
    ) {
        if !self.learnt.knows(address) && !self.context.leases.knows(address) {
            return;
        }
        let time = meta.time.as_microsecond();
        let learnt = self.learnt.at(address, time);
        let Some(lease) = learnt.or_else(|| self.context.leases.at(address, time)) else {
            return;
        };
        let fields = [
            ("hostname", &lease.host),
            ("mac", &lease.mac),
            ("owner.name", &lease.user),
        ];
        let fields: Vec<(&str, String)> = fields
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, value.clone()))
            .collect();
        let note = notes.intern(side.note(NoteKind::Lease, &lease.provider, &fields));
        notes.give(row, note);
        let names = [&lease.host, &lease.mac];
        let asset = names
            .into_iter()
            .filter(|name| !name.is_empty())
            .find_map(|name| find(&self.context.assets, name));
        if let Some((table, fields)) = asset {
            let note = notes.intern(side.note(NoteKind::Asset, table.name(), fields));
            notes.give(row, note);
        }
    }

    /// What stood behind a translated address when the event happened.
    fn behind(
        &self,
        address: IpAddr,
        port: u16,
        side: &Side<'_>,
        (row, meta): (usize, &RowMeta),
        notes: &mut Notes,
    ) {
        let time = meta.time.as_microsecond();
        let Some(found) = self.translations.at(address, port, time) else {
            return;
        };
        let inside = found.inside.to_string();
        let mut fields = vec![("inside.ip", inside.clone())];
        if found.inside_port != 0 {
            fields.push(("inside.port", found.inside_port.to_string()));
        }
        let note = notes.intern(side.note(NoteKind::Nat, &found.provider, &fields));
        notes.give(row, note);
        let inner = Side {
            below: format!("{}.inside", side.below),
            about: format!("{}.inside.ip", side.below),
            value: &inside,
        };
        if let Some(note) = self.asset_by_address(found.inside, &inner, notes) {
            notes.give(row, note);
        }
        self.holder(found.inside, &inner, (row, meta), notes);
    }

    /// Names of machines of one side, where the address did not tell the asset.
    fn hosts(&self, batch: &EventBatch, place: &str, known: &[bool], notes: &mut Notes) {
        if self.context.assets.is_empty() {
            return;
        }
        for key in ["hostname", "mac"] {
            let path = format!("{place}.{key}");
            let found = look_up(
                batch,
                &path,
                &self.context.assets,
                NoteKind::Asset,
                place,
                notes,
            );
            for (row, note) in found {
                if !known.get(row).copied().unwrap_or(false) {
                    notes.give(row, note);
                }
            }
        }
    }

    /// Accounts of one place; the surest attribute counts.
    fn accounts(&self, batch: &EventBatch, place: &str, notes: &mut Notes) {
        if self.context.identities.is_empty() {
            return;
        }
        let mut is_known = vec![false; batch.len()];
        for key in ACCOUNT_KEYS {
            let path = format!("{place}.{key}");
            let tables = &self.context.identities;
            for (row, note) in look_up(batch, &path, tables, NoteKind::Identity, place, notes) {
                if let Some(slot) = is_known.get_mut(row)
                    && !std::mem::replace(slot, true)
                {
                    notes.give(row, note);
                }
            }
        }
    }

    fn learn_leases(&mut self, batch: &EventBatch) {
        let is_lease = |kind: &Arc<watchfloor_event::EventKind>| kind.class_uid == DHCP_CLASS;
        if !batch.kinds().iter().any(is_lease) {
            return;
        }
        for (row, meta) in batch.rows().iter().enumerate() {
            if !is_lease(batch.kind_of(row)) {
                continue;
            }
            let text = |path: &str| {
                batch
                    .get(Namespace::Ocsf, path, row)
                    .map(|value| value.text)
            };
            let Some(address) = text("src_endpoint.ip").and_then(address::parse) else {
                continue;
            };
            let time = meta.time.as_microsecond();
            if DHCP_OVER.contains(&meta.activity_id) {
                self.learnt.end(address, time);
            } else if meta.activity_id == DHCP_ACK && !address.is_unspecified() {
                let host = text("src_endpoint.hostname").unwrap_or_default();
                let mac = text("src_endpoint.mac").and_then(address::parse_mac);
                self.learnt.add(Lease {
                    address,
                    from_us: time,
                    to_us: None,
                    host: host.trim_end_matches('.').to_owned(),
                    mac: mac.unwrap_or_default(),
                    user: String::new(),
                    provider: Arc::clone(&batch.kind_of(row).name),
                });
            }
        }
    }

    /// Sessions of VPN gateways: an address that a person got.
    fn learn_sessions(&mut self, batch: &EventBatch) {
        for name in ASSIGNED {
            let Some(column) = batch.column(Namespace::Source, name) else {
                continue;
            };
            for (row, meta) in batch.rows().iter().enumerate() {
                let Some(address) = column.get(row).and_then(|value| address::parse(value.text))
                else {
                    continue;
                };
                let kind = batch.kind_of(row);
                let time = meta.time.as_microsecond();
                if address.is_unspecified() {
                    continue;
                }
                if SESSION_OVER.contains(&(kind.class_uid, meta.activity_id)) {
                    self.learnt.end(address, time);
                    continue;
                }
                let mut users = ["user.name", "actor.user.name"].into_iter();
                let user = users.find_map(|path| batch.get(Namespace::Ocsf, path, row));
                let Some(user) = user else { continue };
                let host = batch.get(Namespace::Ocsf, "src_endpoint.hostname", row);
                self.learnt.add(Lease {
                    address,
                    from_us: time,
                    to_us: None,
                    host: host.map_or_else(String::new, |host| host.text.to_owned()),
                    mac: String::new(),
                    user: user.text.to_owned(),
                    provider: Arc::clone(&kind.name),
                });
            }
        }
    }

    fn learn_translations(&mut self, batch: &EventBatch) {
        for (name, port_name) in TRANSLATED {
            let Some(column) = batch.column(Namespace::Source, name) else {
                continue;
            };
            for (row, meta) in batch.rows().iter().enumerate() {
                let number = |namespace, name: &str| -> u16 {
                    let value = batch.get(namespace, name, row);
                    value.and_then(|value| value.text.parse().ok()).unwrap_or(0)
                };
                let outside = column.get(row).and_then(|value| address::parse(value.text));
                let inside = batch.get(Namespace::Ocsf, "src_endpoint.ip", row);
                let inside = inside.and_then(|value| address::parse(value.text));
                let (Some(outside), Some(inside)) = (outside, inside) else {
                    continue;
                };
                if outside.is_unspecified() {
                    continue;
                }
                let translation = Translation {
                    seen_us: meta.time.as_microsecond(),
                    inside,
                    inside_port: number(Namespace::Ocsf, "src_endpoint.port"),
                    provider: Arc::clone(&batch.kind_of(row).name),
                };
                let port = number(Namespace::Source, port_name);
                self.translations.add(outside, port, translation);
            }
        }
    }
}

impl Side<'_> {
    fn note(&self, kind: NoteKind, provider: &Arc<str>, fields: &[(&str, String)]) -> note::Note {
        let added = fields.iter();
        let added = added.map(|(name, value)| (format!("{}.{name}", self.below), value.clone()));
        // The value that it was found by is there already.
        let added = added.filter(|(path, _)| *path != self.about);
        Note {
            about: self.about.clone(),
            value: self.value.to_owned(),
            kind,
            provider: Arc::clone(provider),
            added: added.collect(),
        }
    }
}

fn find<'a>(tables: &'a [Table], name: &str) -> Option<(&'a Table, &'a [(&'static str, String)])> {
    let mut tables = tables.iter();
    tables.find_map(|table| Some((table, table.by_name(name)?)))
}

/// The rows whose value of an attribute stands in a table, with a note of what it says.
fn look_up(
    batch: &EventBatch,
    path: &str,
    tables: &[Table],
    kind: NoteKind,
    place: &str,
    notes: &mut Notes,
) -> Vec<(usize, u32)> {
    let Some(column) = batch.column(Namespace::Ocsf, path) else {
        return Vec::new();
    };
    let values = column.dictionary().values();
    let found: Vec<Option<u32>> = values
        .map(|value| {
            let (table, row) = find(tables, value.text)?;
            let side = Side {
                below: place.to_owned(),
                about: path.to_owned(),
                value: value.text,
            };
            Some(notes.intern(side.note(kind, table.name(), row)))
        })
        .collect();
    let rows = column.codes().iter().enumerate();
    rows.filter_map(|(row, code)| {
        let at = (*code as usize).checked_sub(1)?;
        Some((row, (*found.get(at)?)?))
    })
    .collect()
}
