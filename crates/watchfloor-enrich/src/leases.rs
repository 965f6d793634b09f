//! Who held an address when: leases of DHCP servers and sessions of VPN gateways, learnt from
//! events and read from the servers' own files.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Most addresses with leases; beyond, those heard of longest ago go.
const MAX_ADDRESSES: usize = 500_000;
/// Most leases kept of one address; the oldest go.
const MAX_PER_ADDRESS: usize = 32;
/// How long a lease without an end is believed, in microseconds: 8 days, the usual term.
const OPEN_US: i64 = 8 * 24 * 3600 * 1_000_000;

/// An address held by a machine or person for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The address.
    pub address: IpAddr,
    /// First instant, microseconds since 1970.
    pub from_us: i64,
    /// First instant at which it was over; `None` while that is not known.
    pub to_us: Option<i64>,
    /// Name of the machine; empty if not known.
    #[serde(default)]
    pub host: String,
    /// Hardware address with colons; empty if not known.
    #[serde(default)]
    pub mac: String,
    /// Account, for VPN sessions; empty if there is none.
    #[serde(default)]
    pub user: String,
    /// Where it is known from.
    pub provider: Arc<str>,
}

impl Lease {
    fn is_same_holder(&self, other: &Self) -> bool {
        let holder = |lease: &Self| (lease.mac.clone(), lease.host.clone(), lease.user.clone());
        if self.mac.is_empty() || other.mac.is_empty() {
            return holder(self) == holder(other);
        }
        self.mac == other.mac && self.user == other.user
    }

    fn holds_at(&self, time_us: i64) -> bool {
        let end = self.to_us.unwrap_or(self.from_us.saturating_add(OPEN_US));
        (self.from_us..end).contains(&time_us)
    }
}

/// Leases by address and time.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    /// Of each address by beginning; they do not overlap.
    by_address: HashMap<IpAddr, Vec<Lease>, FixedState>,
}

impl Leases {
    /// Number of addresses.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// Takes up a lease: a renewal goes on with the one before, another holder ends it.
    pub fn add(&mut self, lease: Lease) {
        if self.by_address.len() >= MAX_ADDRESSES && !self.by_address.contains_key(&lease.address) {
            self.forget_oldest();
        }
        let list = self.by_address.entry(lease.address).or_default();
        let at = list.partition_point(|known| known.from_us <= lease.from_us);
        let next = list.get(at).map_or(i64::MAX, |next| next.from_us);
        if let Some(before) = at.checked_sub(1).and_then(|at| list.get_mut(at)) {
            let goes_on = before.holds_at(lease.from_us) || before.to_us.is_none();
            if before.is_same_holder(&lease) && goes_on {
                if before.host.is_empty() {
                    before.host = lease.host;
                }
                // A renewal without an end is believed from its own beginning on.
                let end = match (before.to_us, lease.to_us) {
                    (Some(one), Some(other)) => one.max(other),
                    (_, Some(end)) => end,
                    (_, None) => lease.from_us.saturating_add(OPEN_US),
                };
                before.to_us = Some(end.min(next));
                return;
            }
            if before.to_us.is_none_or(|end| end > lease.from_us) {
                before.to_us = Some(lease.from_us);
            }
        }
        let mut lease = lease;
        if next < i64::MAX && lease.to_us.is_none_or(|end| end > next) {
            lease.to_us = Some(next);
        }
        list.insert(at, lease);
        if list.len() > MAX_PER_ADDRESS {
            list.remove(0);
        }
    }

    /// Ends the lease of an address.
    pub fn end(&mut self, address: IpAddr, time_us: i64) {
        let list = self.by_address.get_mut(&address).into_iter().flatten();
        for lease in list {
            if lease.holds_at(time_us) {
                lease.to_us = Some(time_us);
            }
        }
    }

    /// Whether anything is known of an address.
    pub(crate) fn knows(&self, address: IpAddr) -> bool {
        self.by_address.contains_key(&address)
    }

    /// Who held an address at an instant.
    pub fn at(&self, address: IpAddr, time_us: i64) -> Option<&Lease> {
        let list = self.by_address.get(&address)?;
        let at = list.partition_point(|lease| lease.from_us <= time_us);
        let lease = list.get(at.checked_sub(1)?)?;
        lease.holds_at(time_us).then_some(lease)
    }

    /// All leases, by address and beginning.
    pub fn all(&self) -> Vec<&Lease> {
        let mut all: Vec<&Lease> = self.by_address.values().flatten().collect();
        all.sort_by_key(|lease| (lease.address, lease.from_us));
        all
    }

    fn forget_oldest(&mut self) {
        let newest = |list: &Vec<Lease>| list.last().map_or(i64::MIN, |lease| lease.from_us);
        let mut times: Vec<i64> = self.by_address.values().map(newest).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.by_address.retain(|_, list| newest(list) > median);
        if self.by_address.len() >= MAX_ADDRESSES {
            self.by_address.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lease(from: i64, to: Option<i64>, mac: &str) -> Lease {
        Lease {
            address: "10.0.0.5".parse().unwrap(),
            from_us: from,
            to_us: to,
            host: format!("host-{mac}"),
            mac: mac.to_owned(),
            user: String::new(),
            provider: Arc::from("dhcpd"),
        }
    }

    fn holder(leases: &Leases, time: i64) -> Option<&str> {
        let address = "10.0.0.5".parse().unwrap();
        leases.at(address, time).map(|lease| lease.mac.as_str())
    }

    #[test]
    fn an_address_has_its_holder_of_the_time() {
        let mut leases = Leases::default();
        leases.add(lease(100, Some(200), "a"));
        leases.add(lease(150, Some(300), "a"));
        leases.add(lease(400, None, "b"));
        leases.add(lease(500, None, "c"));
        let found = [99, 100, 299, 300, 450, 500, 500 + OPEN_US].map(|time| holder(&leases, time));
        let wanted = [None, Some("a"), Some("a"), None, Some("b"), Some("c"), None];
        assert_eq!(found, wanted);
        leases.end("10.0.0.5".parse().unwrap(), 600);
        assert_eq!(holder(&leases, 600), None);
        // One that comes late stands where it belongs.
        leases.add(lease(320, None, "d"));
        assert_eq!(
            [holder(&leases, 330), holder(&leases, 410)],
            [Some("d"), Some("b")]
        );
    }

    proptest! {
        #[test]
        fn leases_of_an_address_never_overlap(
            given in proptest::collection::vec((0_i64..1000, proptest::option::of(1_i64..500), 0..4_u8), 0..60)
        ) {
            let mut leases = Leases::default();
            for (from, length, who) in given {
                leases.add(lease(from, length.map(|length| from + length), &who.to_string()));
            }
            let all = leases.all();
            prop_assert!(all.len() <= MAX_PER_ADDRESS);
            for pair in all.windows(2) {
                prop_assert!(pair[0].to_us.is_some_and(|end| end <= pair[1].from_us));
            }
        }
    }
}
