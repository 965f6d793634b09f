//! Which columns of a batch hold what an indicator may be met by.
//!
//! OCSF attributes first; then the names that sources give to such fields, for events that no
//! mapping pack knows. Fields whose values are text of people or programs (command lines,
//! messages) are left to rules: there a value is part of a sentence.

use watchfloor_event::Namespace;

/// What the values of a column look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An address, perhaps with a port.
    Address,
    /// Addresses and names, several in one value.
    Several,
    /// A host's name, or its address.
    Name,
    /// A URL.
    Url,
    /// Hashes of a file: hex, or `MD5=…,SHA256=…`.
    Hashes,
    /// E-mail addresses.
    Email,
    /// JA3 of a client.
    Ja3,
    /// JA3S of a server.
    Ja3s,
    /// JA4 of a client.
    Ja4,
}

const OCSF: &[(&str, Shape)] = &[
    ("dst_endpoint.ip", Shape::Address),
    ("src_endpoint.ip", Shape::Address),
    ("device.ip", Shape::Several),
    ("query.hostname", Shape::Name),
    ("answers", Shape::Several),
    ("http_request.url.url_string", Shape::Url),
    ("http_request.url.hostname", Shape::Name),
    ("tls.sni", Shape::Name),
    ("dst_endpoint.hostname", Shape::Name),
    ("src_endpoint.hostname", Shape::Name),
    ("http_request.referrer", Shape::Url),
    ("http_request.x_forwarded_for", Shape::Several),
    ("process.file.hashes", Shape::Hashes),
    ("file.hashes", Shape::Hashes),
    ("email.from", Shape::Email),
    ("email.to", Shape::Email),
    ("actor.user.email_addr", Shape::Email),
    ("user.email_addr", Shape::Email),
    ("tls.ja3_hash.value", Shape::Ja3),
    ("tls.ja3s_hash.value", Shape::Ja3s),
];

/// Names of Sigma's taxonomy, ECS, and of usual sources.
const SOURCE: &[(Shape, &[&str])] = &[
    (
        Shape::Address,
        &[
            "DestinationIp",
            "SourceIp",
            "IpAddress",
            "ClientAddress",
            "RemoteAddress",
            "dst_ip",
            "src_ip",
            "dest_ip",
            "destination_ip",
            "source_ip",
            "dstip",
            "srcip",
            "id.orig_h",
            "id.resp_h",
            "c-ip",
            "s-ip",
            "client_ip",
            "remote_ip",
            "remote_addr",
            "clientip",
            "source.ip",
            "destination.ip",
            "client.ip",
            "server.ip",
            "ClientIP",
            "ipAddress",
            "callerIpAddress",
            "sourceIPAddress",
            "source.address",
            "destination.address",
        ],
    ),
    (
        Shape::Name,
        &[
            "QueryName",
            "query",
            "dns.question.name",
            "dns.rrname",
            "DestinationHostname",
            "SourceHostname",
            "destination.domain",
            "source.domain",
            "url.domain",
            "server_name",
            "tls.sni",
            "tls.client.server_name",
            "cs-host",
            "r-dns",
            "http.hostname",
            "domain",
        ],
    ),
    (
        Shape::Several,
        &[
            "QueryResults",
            "answers",
            "dns.answers.data",
            "dns.resolved_ip",
            "host.ip",
            "tx_hosts",
            "rx_hosts",
            "x-forwarded-for",
            "http_x_forwarded_for",
        ],
    ),
    (
        Shape::Url,
        &[
            "url",
            "c-uri",
            "cs-uri",
            "url.full",
            "url.original",
            "RemoteName",
            "cs-referer",
            "cs-referrer",
            "http.url",
            "requestUrl",
            "http.request.referrer",
        ],
    ),
    (
        Shape::Hashes,
        &[
            "Hashes",
            "Hash",
            "FileHash",
            "md5",
            "sha1",
            "sha256",
            "sha512",
            "MD5",
            "SHA1",
            "SHA256",
            "SHA512",
            "file.hash.md5",
            "file.hash.sha1",
            "file.hash.sha256",
            "file.hash.sha512",
            "process.hash.md5",
            "process.hash.sha1",
            "process.hash.sha256",
            "dll.hash.md5",
            "dll.hash.sha1",
            "dll.hash.sha256",
            "fileinfo.md5",
            "fileinfo.sha1",
            "fileinfo.sha256",
            "hash.md5",
            "hash.sha1",
            "hash.sha256",
        ],
    ),
    (
        Shape::Email,
        &[
            "email.from.address",
            "email.to.address",
            "email.sender.address",
            "smtp.mail_from",
            "mailfrom",
            "SenderAddress",
            "SenderFromAddress",
            "RecipientAddress",
            "sender",
            "reply_to",
            "user.email",
        ],
    ),
    (
        Shape::Ja3,
        &["ja3", "tls.client.ja3", "tls.ja3.hash", "ja3_hash"],
    ),
    (
        Shape::Ja3s,
        &["ja3s", "tls.server.ja3s", "tls.ja3s.hash", "ja3s_hash"],
    ),
    (
        Shape::Ja4,
        &["ja4", "tls.ja4", "tls.client.ja4", "ja4_hash"],
    ),
];

/// All columns that are looked at, in the order in which a value's field is named.
pub(crate) fn all() -> impl Iterator<Item = (Namespace, &'static str, Shape)> {
    let ocsf = OCSF
        .iter()
        .map(|(name, shape)| (Namespace::Ocsf, *name, *shape));
    let source = SOURCE
        .iter()
        .flat_map(|(shape, names)| names.iter().map(|name| (Namespace::Source, *name, *shape)));
    ocsf.chain(source)
}

#[cfg(test)]
mod tests {
    use watchfloor_event::ocsf::promoted;

    use super::*;

    #[test]
    fn attributes_exist_and_no_column_is_named_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for (namespace, name, _) in all() {
            assert!(seen.insert((namespace, name)), "{name} is named twice");
            assert!(
                namespace == Namespace::Source || promoted(name).is_some(),
                "{name}"
            );
        }
    }
}
