//! How many connections there may be: in this process, and of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use switchhook_chassis::http::address::ClientAddress;

/// Connections above the limit that are told so at a time; those beyond them are hung up on.
const REFUSALS: usize = 64;

/// The places of one process.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// By the address, or the network of an IPv6 address, that counts as one visitor.
    by_address: HashMap<IpAddr, usize>,
}

/// Whether a connection is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is.
    Served,
    /// It is told to come back later.
    Refused,
}

/// The place of one connection, free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
    admission: Admission,
}

impl Places {
    pub(crate) fn new(limit: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            per_address,
            taken: Mutex::default(),
        })
    }

    /// A place for a connection that has said what it wants; none where there are too many even to tell them.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken();
        if taken.all >= self.limit + REFUSALS {
            return None;
        }
        taken.all += 1;
        let admission = if taken.all > self.limit {
            Admission::Refused
        } else {
            Admission::Served
        };
        Some(Place {
            places: Arc::clone(self),
            address: None,
            admission,
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts the connection for whoever it comes from, once that is known.
    pub(crate) fn belongs_to(&mut self, client: ClientAddress) -> Admission {
        let address = client.visitor().addr();
        let mut taken = self.places.taken();
        let count = taken.by_address.entry(address).or_default();
        if *count >= self.places.per_address {
            return Admission::Refused;
        }
        *count += 1;
        drop(taken);
        self.address = Some(address);
        self.admission
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(address) = self.address
            && let Some(count) = taken.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> ClientAddress {
        ClientAddress(text.parse().unwrap())
    }

    #[test]
    fn one_address_has_so_many_places_and_no_more() {
        let places = Places::new(10, 2);
        let mut all: Vec<Place> = (0..4).map(|_| places.take().unwrap()).collect();
        let admitted: Vec<_> = all
            .iter_mut()
            .map(|place| place.belongs_to(address("192.0.2.1")))
            .collect();
        use Admission::{Refused, Served};
        assert_eq!(admitted, [Served, Served, Refused, Refused]);
        all.remove(0);
        let mut next = places.take().unwrap();
        assert_eq!(next.belongs_to(address("192.0.2.1")), Served);
        drop((all, next));
        let taken = places.taken();
        assert!(taken.all == 0 && taken.by_address.is_empty(), "{taken:?}");
    }

    #[test]
    fn a_full_process_tells_some_and_hangs_up_on_the_others() {
        let places = Places::new(1, 10);
        let _first = places.take().unwrap();
        let mut others: Vec<Place> = (0..REFUSALS).map(|_| places.take().unwrap()).collect();
        assert_eq!(others[0].belongs_to(address("192.0.2.1")), Admission::Refused);
        assert!(places.take().is_none());
    }
}
