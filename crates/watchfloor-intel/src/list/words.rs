//! Words of lists: kinds, times, levels, protocols.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use watchfloor_event::FindingLevel;
use watchfloor_model::Tlp;

use crate::IndicatorKind;

/// The kind that a word means: ours, MISP's attribute types, STIX's object types, and those of
/// usual exports.
///
/// # Source
/// MISP core format (draft-dulaunoy-misp-core-format), section 2.4, attribute types.
pub(super) fn kind(word: &str) -> Option<IndicatorKind> {
    use IndicatorKind as K;
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "address" | "ip" | "ipv4" | "ipv6" | "ip-src" | "ip-dst" | "ip-src|port"
        | "ip-dst|port" | "ipv4-addr" | "ipv6-addr" | "ip:port" | "ip_address" | "dst_ip"
        | "src_ip" => K::Address,
        "network" | "cidr" | "subnet" | "netblock" => K::Network,
        "domain" | "hostname" | "fqdn" | "host" | "domain-name" | "hostname|port" => K::Domain,
        "url" | "uri" | "urls" => K::Url,
        "email" | "e-mail" | "email-src" | "email-dst" | "email-addr" | "email-reply-to" => {
            K::Email
        }
        "md5" | "md5_hash" | "filename|md5" | "filehash-md5" => K::Md5,
        "sha1" | "sha-1" | "sha1_hash" | "filename|sha1" | "filehash-sha1" => K::Sha1,
        "sha256" | "sha-256" | "sha256_hash" | "filename|sha256" | "filehash-sha256" => K::Sha256,
        "sha512" | "sha-512" | "sha512_hash" | "filename|sha512" => K::Sha512,
        "ja3" | "ja3-fingerprint-md5" | "ja3_md5" => K::Ja3,
        "ja3s" | "ja3s-fingerprint-md5" => K::Ja3s,
        "ja4" | "ja4-fingerprint" => K::Ja4,
        _ => return None,
    })
}

/// The part of a value that is looked for, where a type joins two by `|`.
pub(super) fn part<'a>(word: &str, value: &'a str) -> &'a str {
    let Some((first, second)) = value.split_once('|') else {
        return value;
    };
    if word.trim().to_ascii_lowercase().starts_with("filename|") {
        second
    } else {
        first
    }
}

/// A level's word, MISP's number (1 is high) not among them.
pub(super) fn level(word: &str) -> Option<FindingLevel> {
    let word = word.trim().to_ascii_lowercase();
    match word.as_str() {
        "info" => Some(FindingLevel::Informational),
        word => FindingLevel::parse(word),
    }
}

/// A traffic light's word, with or without `TLP:`; `white` is the name that `clear` had.
pub(super) fn tlp(word: &str) -> Option<Tlp> {
    let word = word.trim().trim_matches('"').to_ascii_lowercase();
    Some(match word.strip_prefix("tlp:").unwrap_or(&word) {
        "clear" | "white" => Tlp::Clear,
        "green" => Tlp::Green,
        "amber" => Tlp::Amber,
        "amber+strict" => Tlp::AmberStrict,
        "red" => Tlp::Red,
        _ => return None,
    })
}

/// A time as lists write it: RFC 3339, a date, a date and a time in UTC, or seconds since 1970.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim().trim_end_matches(" UTC");
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return Timestamp::from_second(seconds).ok();
    }
    let date_time = text.parse::<DateTime>();
    let date_time = date_time
        .or_else(|_| text.parse::<Date>().map(DateTime::from))
        .ok()?;
    TimeZone::UTC.to_timestamp(date_time).ok()
}

/// A confidence from 0 to 100; larger numbers are 100.
pub(super) fn confidence(text: &str) -> Option<u8> {
    let number: u32 = text.trim().trim_end_matches('%').parse().ok()?;
    Some(u8::try_from(number.min(100)).unwrap_or(100))
}
