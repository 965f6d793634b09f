//! Which product a source's records are of, as a person says it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("'{key}' names no network; write syslog:10.0.0.0/8, or the name of a source")]
pub struct ProductsError {
    key: String,
}

/// Products by the names of sources as they stand on the Sources page. A name may end with a
/// network in the place of an address (`syslog:10.0.0.0/8`); of several that hold, the narrowest
/// counts, and a whole name counts before all.
#[derive(Debug, Default)]
pub struct Products {
    names: BTreeMap<String, Arc<str>>,
    /// By what stands before the network, narrowest first.
    networks: BTreeMap<String, Vec<(IpNet, Arc<str>)>>,
}

impl Products {
    /// Reads keys with the contexts that tell the decoder of the product.
    ///
    /// # Errors
    /// If a key has a slash and no network behind its last colon but one.
    pub fn new(keys: impl IntoIterator<Item = (String, Arc<str>)>) -> Result<Self, ProductsError> {
        let mut products = Self::default();
        for (key, context) in keys {
            match network(&key) {
                Some((before, network)) => products
                    .networks
                    .entry(before.to_owned())
                    .or_default()
                    .push((network, context)),
                None if key.starts_with("syslog:") && key.contains('/') => {
                    return Err(ProductsError { key });
                }
                None => {
                    products.names.insert(key, context);
                }
            }
        }
        for networks in products.networks.values_mut() {
            networks.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        }
        Ok(products)
    }

    /// The context that names the product of a source's records, if one is said.
    pub fn context_of(&self, source: &str) -> Option<Arc<str>> {
        if let Some(context) = self.names.get(source) {
            return Some(Arc::clone(context));
        }
        if self.networks.is_empty() {
            return None;
        }
        let (before, address) = source.split_once(':')?;
        let address: IpAddr = address.parse().ok()?;
        let networks = self.networks.get(before)?;
        networks
            .iter()
            .find(|(network, _)| network.contains(&address))
            .map(|(_, context)| Arc::clone(context))
    }
}

/// What stands before a network, and the network.
fn network(key: &str) -> Option<(&str, IpNet)> {
    let (before, network) = key.split_once(':')?;
    Some((before, network.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_before_networks_and_narrow_before_wide() {
        let keys = [
            ("syslog:10.0.0.0/8", "wide"),
            ("syslog:10.1.0.0/16", "narrow"),
            ("syslog:10.1.0.7", "one"),
            ("syslog:2001:db8::/32", "six"),
            ("file:auth.log", "file"),
        ];
        let keys = keys.map(|(key, context)| (key.to_owned(), Arc::from(context)));
        let products = Products::new(keys).unwrap();
        for (source, expected) in [
            ("syslog:10.1.0.7", Some("one")),
            ("syslog:10.1.0.8", Some("narrow")),
            ("syslog:10.2.0.8", Some("wide")),
            ("syslog:11.2.0.8", None),
            ("syslog:2001:db8::1", Some("six")),
            ("netflow:10.1.0.7", None),
            ("file:auth.log", Some("file")),
            ("http", None),
        ] {
            assert_eq!(products.context_of(source).as_deref(), expected, "{source}");
        }
        let wrong = [("syslog:10.0.0.0/99".to_owned(), Arc::from("x"))];
        assert!(Products::new(wrong).is_err());
    }
}
