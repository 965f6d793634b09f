//! Fields of whole events by the names that people and other products use for them.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn as df;
use datafusion::functions_nested::expr_fn::{array_element, map_extract};
use datafusion::logical_expr::{Expr as DfExpr, lit, try_cast, when};
use watchfloor_event::ocsf::{self, Attribute};
use watchfloor_query::pipe::column_aliases;
use watchfloor_query::{CoreField, FieldTarget, field_targets};

use super::expression::text;
use super::{Rows, functions};
use crate::schema;

/// Columns of other products that are numbers there and texts in the lake.
const NUMBERS: [&str; 4] = ["EventID", "LogonType", "EventLevel", "Level"];

/// Objects of other products, which are taken out of the record as it arrived.
const OBJECTS: [&str; 34] = [
    "RequestParameters",
    "ResponseElements",
    "AdditionalEventData",
    "UserIdentity",
    "TlsDetails",
    "ServiceEventDetails",
    "Resources",
    "TargetResources",
    "InitiatedBy",
    "AdditionalDetails",
    "DeviceDetail",
    "LocationDetails",
    "Status",
    "AuthenticationDetails",
    "AuthenticationProcessingDetails",
    "ConditionalAccessPolicies",
    "MfaDetail",
    "NetworkLocationDetails",
    "Properties",
    "Properties_d",
    "Authorization",
    "Authorization_d",
    "Claims",
    "Claims_d",
    "HTTPRequest",
    "ModifiedProperties",
    "ExtendedProperties",
    "Parameters",
    "Item",
    "AffectedItems",
    "AdditionalFields",
    "RawEventData",
    "ActivityObjects",
    "RequestObject",
];

/// Accounts with their domains, as `DOMAIN\user`.
const ACCOUNTS: [(&str, &[&str], &[&str]); 4] = [
    (
        "Account",
        &["user.domain", "actor.user.domain"],
        &["user.name", "actor.user.name"],
    ),
    ("TargetAccount", &["user.domain"], &["user.name"]),
    (
        "SubjectAccount",
        &["actor.user.domain"],
        &["actor.user.name"],
    ),
    (
        "CallerAccount",
        &["actor.user.domain"],
        &["actor.user.name"],
    ),
];

/// What Defender calls an activity, by class, activity and status; 0 stands for any.
const ACTIONS: [(i64, i64, i64, &str); 42] = [
    (1007, 1, 0, "ProcessCreated"),
    (1007, 2, 0, "ProcessTerminated"),
    (1007, 3, 0, "OpenProcessApiCall"),
    (1007, 4, 0, "CreateRemoteThreadApiCall"),
    (1005, 0, 0, "ImageLoaded"),
    (1002, 0, 0, "DriverLoad"),
    (1001, 1, 0, "FileCreated"),
    (1001, 3, 0, "FileModified"),
    (1001, 4, 0, "FileDeleted"),
    (1001, 5, 0, "FileRenamed"),
    (1001, 6, 0, "FileTimestampModificationEvent"),
    (1001, 2, 0, "SensitiveFileRead"),
    (201_001, 1, 0, "RegistryKeyCreated"),
    (201_001, 4, 0, "RegistryKeyDeleted"),
    (201_001, 5, 0, "RegistryKeyRenamed"),
    (201_002, 1, 0, "RegistryValueQueried"),
    (201_002, 2, 0, "RegistryValueSet"),
    (201_002, 3, 0, "RegistryValueSet"),
    (201_002, 4, 0, "RegistryValueDeleted"),
    (1006, 1, 0, "ScheduledTaskCreated"),
    (1006, 2, 0, "ScheduledTaskUpdated"),
    (1006, 3, 0, "ScheduledTaskDeleted"),
    (1006, 4, 0, "ScheduledTaskEnabled"),
    (1006, 5, 0, "ScheduledTaskDisabled"),
    (3001, 1, 0, "UserAccountCreated"),
    (3001, 3, 0, "PasswordChangeAttempt"),
    (3001, 4, 0, "PasswordChangeAttempt"),
    (3001, 6, 0, "UserAccountDeleted"),
    (3001, 0, 0, "UserAccountModified"),
    (3002, 2, 0, "LogoffSuccess"),
    (3002, 0, 1, "LogonSuccess"),
    (3002, 0, 2, "LogonFailed"),
    (3002, 0, 0, "LogonAttempted"),
    (4001, 5, 0, "ConnectionFailed"),
    (4001, 4, 0, "ConnectionFailed"),
    (4001, 0, 2, "ConnectionFailed"),
    (4001, 7, 0, "ListeningConnectionCreated"),
    (4001, 0, 0, "ConnectionSuccess"),
    (4002, 0, 0, "HttpConnectionInspected"),
    (4003, 0, 0, "DnsQueryResponse"),
    (4007, 0, 0, "SshConnectionInspected"),
    (4006, 0, 0, "SmbConnectionInspected"),
];

/// Kinds of log-on as Defender words them.
const LOGON_TYPES: [(i64, &str); 10] = [
    (2, "Interactive"),
    (3, "Network"),
    (4, "Batch"),
    (5, "Service"),
    (7, "Unlock"),
    (8, "NetworkCleartext"),
    (9, "NewCredentials"),
    (10, "RemoteInteractive"),
    (11, "CachedInteractive"),
    (12, "CachedRemoteInteractive"),
];

/// Where the fields of an event stand.
pub(super) struct Fields<'a> {
    /// What stands before the names of columns.
    pub(super) mark: &'a str,
    /// The table that the rows come from; empty where there is no single one.
    pub(super) table: &'a str,
}

/// Whether a name is one that other products or schemas give to a field, and not only a source.
pub(super) fn is_event_name(name: &str) -> bool {
    !column_aliases("", name).is_empty()
        || OBJECTS.contains(&name)
        || ACCOUNTS.iter().any(|(account, ..)| *account == name)
        || matches!(name, "ActionType" | "Type" | "EventResult")
        || !matches!(field_targets(name).first(), Some(FieldTarget::Unmapped(_)))
}

/// A field of rows that are whole events, on either side of joins; none where there are no
/// events.
pub(super) fn of_rows(rows: &Rows, name: &str) -> Option<DfExpr> {
    let side = |number: usize| {
        let side = rows.sides.get(number)?;
        let fields = Fields {
            mark: &side.mark,
            table: &side.table,
        };
        Some(fields)
    };
    // `Account1` is the right side's `Account`, where both sides have one.
    if let Some((base, number)) = numbered(name)
        && !is_event_name(name)
        && (rows.has(base) || (rows.is_wide && is_event_name(base)))
        && let Some(fields) = side(number - 1)
    {
        return Some(fields.field(base));
    }
    let mut values = Vec::new();
    if rows.is_wide {
        let left = Fields {
            mark: "",
            table: &rows.table,
        };
        values.push(left.field(name));
    }
    // A field that the left side's table has not is the right side's.
    let others = rows.sides.iter().enumerate();
    let others = others.filter(|(_, side)| !rows.is_wide || side.table != rows.table);
    values.extend(others.filter_map(|(number, _)| Some(side(number)?.field(name))));
    let shadow = rows.shadowed.iter().find(|(known, _)| known == name);
    if let Some((_, shadow)) = shadow
        && !is_time(name)
    {
        values.push(super::sources::column(shadow));
    }
    first_of(rows, values)
}

fn is_time(name: &str) -> bool {
    column_aliases("", name).contains(&"time")
}

fn first_of(rows: &Rows, mut values: Vec<DfExpr>) -> Option<DfExpr> {
    if values.len() < 2 {
        return values.pop();
    }
    let kinds: Vec<DataType> = values
        .iter()
        .map(|value| super::sources::type_of(value, rows))
        .collect();
    if kinds.windows(2).all(|pair| pair[0] == pair[1]) {
        return Some(df::coalesce(values));
    }
    Some(df::coalesce(values.into_iter().map(text).collect()))
}

/// A name with a number from 1 on at its end.
fn numbered(name: &str) -> Option<(&str, usize)> {
    let base = name.trim_end_matches(|next: char| next.is_ascii_digit());
    let number: usize = name[base.len()..].parse().ok()?;
    (number > 0 && !base.is_empty()).then_some((base, number))
}

impl Fields<'_> {
    fn column(&self, name: &str) -> DfExpr {
        super::sources::column(&format!("{}{name}", self.mark))
    }

    /// A field of the event by any of its names; the first place that holds a value counts.
    pub(super) fn field(&self, name: &str) -> DfExpr {
        if let Some(computed) = self.computed(name) {
            return computed;
        }
        self.stored(name)
    }

    fn stored(&self, name: &str) -> DfExpr {
        let aliases = column_aliases(self.table, name);
        if aliases.contains(&"time") {
            return self.column(schema::TIME);
        }
        let mut places: Vec<Place> = aliases.iter().map(|path| self.of_path(path)).collect();
        for target in field_targets(name) {
            let place = match target {
                FieldTarget::Core(core) => self.of_core(core, name),
                FieldTarget::Attribute(one) if aliases.contains(&one.path) => continue,
                FieldTarget::Attribute(one) => self.of_attribute(one),
                FieldTarget::Unmapped(name) => Place(self.unmapped(&name), None),
            };
            places.push(place);
        }
        if places.len() == 1 {
            return places.remove(0).0;
        }
        let numbers = places.iter().filter_map(|place| place.1);
        let (some, all) = numbers.fold((false, true), |(some, all), is| (some || is, all && is));
        let kind = if some && all {
            DataType::Int64
        } else {
            DataType::Utf8
        };
        let values = places
            .into_iter()
            .map(|place| try_cast(place.0, kind.clone()));
        df::coalesce(values.collect())
    }

    fn unmapped(&self, name: &str) -> DfExpr {
        let value = map_extract(self.column(schema::UNMAPPED), lit(name));
        array_element(value, lit(1_i64))
    }

    /// What is worked out from several fields.
    fn computed(&self, name: &str) -> Option<DfExpr> {
        let is_defender = self.table.starts_with("Device") || self.table.starts_with("Identity");
        match name {
            "ActionType" => return Some(self.action()),
            "LogonType" if is_defender => return Some(self.logon_type()),
            "$table" | "Type" if !self.table.is_empty() => return Some(lit(self.table)),
            "EventResult" => return Some(self.result()),
            "AlertSeverity" | "Severity" if self.table.starts_with("Security") => {
                return Some(self.severity());
            }
            "SHA256" | "SHA1" | "MD5" | "IMPHASH" => {
                let hashes = self.stored(name);
                return Some(functions::call("hash_of", vec![text(hashes), lit(name)]));
            }
            _ => {}
        }
        if NUMBERS.contains(&name) {
            return Some(try_cast(self.stored(name), DataType::Int64));
        }
        if let Some((_, domains, users)) = ACCOUNTS.iter().find(|(known, ..)| *known == name) {
            return Some(self.account(domains, users));
        }
        let (first, rest) = name.split_once('.').unwrap_or((name, ""));
        if OBJECTS.contains(&first) {
            let object = functions::call("object_in", vec![self.column(schema::RAW), lit(first)]);
            let parts = rest.split('.').filter(|part| !part.is_empty());
            let object = functions::json_member(object, parts);
            // Where the record is no document, the source's own field of that name.
            return Some(df::coalesce(vec![object, text(self.stored(name))]));
        }
        None
    }

    fn account(&self, domains: &[&str], users: &[&str]) -> DfExpr {
        let first = |paths: &[&str]| {
            let places = paths.iter().map(|path| text(self.of_path(path).0));
            df::coalesce(places.collect())
        };
        let (domain, user) = (first(domains), first(users));
        let has_domain = domain
            .clone()
            .is_not_null()
            .and(domain.clone().not_eq(lit("")))
            .and(domain.clone().not_eq(lit("-")));
        let whole = df::concat(vec![domain, lit("\\"), user.clone()]);
        // A user who is told with the domain already stays.
        let is_whole = user.clone().like(lit("%\\\\%"));
        choice(
            vec![
                (user.clone().is_null().or(is_whole), user.clone()),
                (has_domain, whole),
            ],
            user,
        )
    }

    fn action(&self) -> DfExpr {
        let number = |name: &str| try_cast(self.column(name), DataType::Int64);
        let (class, activity, status) = (
            number(schema::CLASS),
            number("activity_id"),
            number("status_id"),
        );
        let cases = ACTIONS
            .iter()
            .map(|(of_class, of_activity, of_status, word)| {
                let mut fits = class.clone().eq(lit(*of_class));
                if *of_activity != 0 {
                    fits = fits.and(activity.clone().eq(lit(*of_activity)));
                }
                if *of_status != 0 {
                    fits = fits.and(status.clone().eq(lit(*of_status)));
                }
                (fits, lit(*word))
            });
        let operation = text(self.of_path("api.operation").0);
        let computed = choice(cases.collect(), operation);
        df::coalesce(vec![self.unmapped("ActionType"), computed])
    }

    fn logon_type(&self) -> DfExpr {
        let stored = self.stored("LogonType");
        let number = try_cast(stored.clone(), DataType::Int64);
        let cases = LOGON_TYPES
            .iter()
            .map(|(code, word)| (number.clone().eq(lit(*code)), lit(*word)));
        choice(cases.collect(), text(stored))
    }

    fn result(&self) -> DfExpr {
        let status = self.column("status_id");
        let cases = vec![
            (status.clone().eq(lit(1_i64)), lit("Success")),
            (status.eq(lit(2_i64)), lit("Failure")),
        ];
        choice(cases, self.unmapped("EventResult"))
    }

    fn severity(&self) -> DfExpr {
        let severity = self.column("severity_id");
        let words = ["Informational", "Low", "Medium", "High", "High", "High"];
        let cases = words.iter().zip(1_i64..);
        let cases = cases.map(|(word, number)| (severity.clone().eq(lit(number)), lit(*word)));
        choice(cases.collect(), lit(ScalarValue::Utf8(None)))
    }

    fn of_attribute(&self, attribute: &Attribute) -> Place {
        let is_number = attribute.kind == ocsf::AttributeType::Integer;
        Place(
            self.column(&schema::column_name(attribute.path)),
            Some(is_number),
        )
    }

    fn of_path(&self, path: &str) -> Place {
        // Sources that tell a file's path only have its name at the end of it.
        if let (Some(name), Some(file)) = (ocsf::promoted(path), path.strip_suffix(".name"))
            && file.ends_with("file")
            && let Some(whole) = ocsf::promoted(&format!("{file}.path"))
        {
            let (name, whole) = (self.of_attribute(name).0, self.of_attribute(whole).0);
            let last = functions::call("file_name", vec![text(whole)]);
            return Place(df::coalesce(vec![name, last]), Some(false));
        }
        match (path, ocsf::promoted(path)) {
            (_, Some(attribute)) => self.of_attribute(attribute),
            ("product" | "source" | "raw" | "kind", None) => Place(self.column(path), Some(false)),
            ("id", None) => self.of_core(CoreField::Id, path),
            _ => Place(self.unmapped(path), None),
        }
    }

    fn of_core(&self, core: CoreField, name: &str) -> Place {
        let name = match core {
            CoreField::Id => {
                let id = vec![self.column(schema::POSITION), self.column(schema::PART)];
                return Place(functions::call("event_id", id), Some(false));
            }
            CoreField::Class if name != "class_uid" => {
                let class = vec![text(self.column(schema::CLASS))];
                return Place(functions::call("class_name", class), Some(false));
            }
            CoreField::Class => schema::CLASS,
            CoreField::Source => "source",
            CoreField::Product => "product",
            CoreField::Kind => "kind",
            CoreField::Severity => "severity_id",
            CoreField::Status => "status_id",
            CoreField::Activity => "activity_id",
            CoreField::Anomalies => "anomalies",
            CoreField::Raw => schema::RAW,
        };
        let is_number = name.ends_with("_id") || name.ends_with("_uid");
        Place(self.column(name), Some(is_number))
    }
}

/// Where a value may stand, and whether numbers stand there; a source's own field holds texts
/// that may be numbers.
struct Place(DfExpr, Option<bool>);

/// The value of the first condition that holds.
fn choice(cases: Vec<(DfExpr, DfExpr)>, otherwise: DfExpr) -> DfExpr {
    let mut cases = cases.into_iter();
    let Some((condition, value)) = cases.next() else {
        return otherwise;
    };
    let mut builder = when(condition, value);
    for (condition, value) in cases {
        builder = builder.when(condition, value);
    }
    builder
        .otherwise(otherwise)
        .unwrap_or_else(|_| lit(ScalarValue::Null))
}
