//! Which addresses a request may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses a request may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Those that anybody can reach over the internet.
    Public,
    /// All but those that only this link has, where clouds keep the metadata of machines.
    BeyondLink,
    /// All.
    Everywhere,
}

/// An address that may not be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} stands for {address}, which this tool may not reach: {why}")]
pub(crate) struct Unreachable {
    host: String,
    address: IpAddr,
    why: &'static str,
}

/// The address at which Amazon's machines find their metadata over IPv6.
const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Reach {
    /// Checks an address that `host` stands for.
    pub(crate) fn check(self, host: &str, address: IpAddr) -> Result<(), Unreachable> {
        let why = match self {
            Self::Everywhere => return Ok(()),
            Self::BeyondLink if !is_of_link(address.to_canonical()) => return Ok(()),
            Self::Public if is_public(address.to_canonical()) => return Ok(()),
            Self::BeyondLink => "it is link-local",
            Self::Public => "it is not public, and allowPrivateAddresses is not set",
        };
        Err(Unreachable { host: host.to_owned(), address, why })
    }
}

fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6 == METADATA,
    }
}

/// Whether the registries of special addresses (RFC 6890 and its successors) leave it to the internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

/// Of IPv6 only the global unicast block is public, and what translates to a public IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => is_public_v4(joined(high, low)),
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] if second < 0x1000 => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for address in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1"]
        {
            assert_eq!(Reach::Public.check("h", address.parse().unwrap()), Ok(()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(Reach::Public.check("h", address.parse().unwrap()).is_err(), "{address}");
        }
    }

    #[test]
    fn other_reaches() {
        for address in ["10.0.0.1", "127.0.0.1", "fd00::1", "1.1.1.1"] {
            assert_eq!(Reach::BeyondLink.check("h", address.parse().unwrap()), Ok(()), "{address}");
        }
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "fd00:ec2::254"] {
            assert!(Reach::BeyondLink.check("h", address.parse().unwrap()).is_err(), "{address}");
            assert_eq!(Reach::Everywhere.check("h", address.parse().unwrap()), Ok(()), "{address}");
        }
    }
}
