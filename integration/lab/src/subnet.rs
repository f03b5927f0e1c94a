//! The addresses of a run: an IPv4 /24 and an IPv6 /64 that nothing on the host uses.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// Where the IPv4 ranges come from: 10.64.0.0/10, one /24 a run.
const FIRST: u32 = u32::from_be_bytes([10, 64, 0, 0]);
const RANGES: u32 = 1 << 14;

/// The address ranges of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    /// Network address of the /24.
    pub(crate) v4: Ipv4Addr,
    /// Network address of the /64: unique local (RFC 4193), made of the run's number.
    pub(crate) v6: Ipv6Addr,
}

impl Subnet {
    /// The first free range at or after one chosen by `seed`.
    ///
    /// # Errors
    /// When every range is taken.
    pub(crate) fn choose(seed: u32, taken: &[Self]) -> Result<Self> {
        let routes = routes(&fs::read_to_string("/proc/net/route").unwrap_or_default());
        for step in 0..RANGES {
            let network = FIRST + ((seed.wrapping_add(step) % RANGES) << 8);
            let v4 = Ipv4Addr::from(network);
            let free = !taken.iter().any(|other| other.v4 == v4)
                && !routes.iter().any(|route| route.overlaps(network));
            if free {
                return Ok(Self { v4, v6: v6_of(network, seed) });
            }
        }
        bail!("no free range in 10.64.0.0/10: routes or other labs use all of it")
    }
}

fn v6_of(network: u32, seed: u32) -> Ipv6Addr {
    let [_, second, third, _] = network.to_be_bytes();
    let [high, low] = [(seed >> 16) as u16, seed as u16];
    Ipv6Addr::new(0xfd77, high, low, u16::from_be_bytes([second, third]), 0, 0, 0, 0)
}

/// A destination of the host's main routing table.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    network: u32,
    mask: u32,
}

impl Route {
    /// Whether the /24 at `network` holds addresses of this route. The default route does not count.
    fn overlaps(&self, network: u32) -> bool {
        let mask = self.mask & 0xffff_ff00;
        self.mask != 0 && (self.network & mask) == (network & mask)
    }
}

/// Reads `/proc/net/route`: a header, then a line a route, addresses in hexadecimal of the host's byte order.
fn routes(table: &str) -> Vec<Route> {
    let hex = |field: &str| u32::from_str_radix(field, 16).ok().map(u32::from_be);
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        Some(Route { network: hex(fields.get(1)?)?, mask: hex(fields.get(7)?)? })
    };
    table.lines().skip(1).filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        br0\t0040400A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0\n";

    #[test]
    fn routes_are_read_in_network_order() {
        let read = routes(TABLE);
        assert_eq!(read.len(), 2);
        assert_eq!(Ipv4Addr::from(read[1].network), Ipv4Addr::new(10, 64, 64, 0));
        assert_eq!(Ipv4Addr::from(read[1].mask), Ipv4Addr::new(255, 255, 240, 0));
    }

    #[test]
    fn a_wider_route_overlaps_and_the_default_route_does_not() {
        let read = routes(TABLE);
        let inside = u32::from(Ipv4Addr::new(10, 64, 70, 0));
        let outside = u32::from(Ipv4Addr::new(10, 64, 80, 0));
        assert!(!read[0].overlaps(inside));
        assert!(read[1].overlaps(inside));
        assert!(!read[1].overlaps(outside));
    }

    #[test]
    fn a_narrower_route_overlaps_the_range_around_it() {
        let route = Route { network: u32::from(Ipv4Addr::new(10, 64, 7, 128)), mask: 0xffff_ff80 };
        assert!(route.overlaps(u32::from(Ipv4Addr::new(10, 64, 7, 0))));
    }

    #[test]
    fn a_taken_range_is_passed_over() -> Result<()> {
        let first = Subnet::choose(5, &[])?;
        let second = Subnet::choose(5, &[first])?;
        assert_ne!(first.v4, second.v4);
        assert_ne!(first.v6, second.v6);
        Ok(())
    }
}
