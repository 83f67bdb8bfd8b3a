//! The addresses that count as one client.

use std::net::{IpAddr, Ipv4Addr};

/// An IPv4 address, or the /64 of an IPv6 address: a site gets at least one /64, and its hosts may use any address in it
/// (RFC 6177, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Prefix {
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str) -> Prefix {
        Prefix::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_client_is_an_address_or_a_64() {
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_eq!(
            prefix("192.0.2.1"),
            prefix("::ffff:192.0.2.1"),
            "a dual-stack listener"
        );
        assert_eq!(prefix("2001:db8::1"), prefix("2001:db8::ffff:0:0:2"));
        assert_ne!(prefix("2001:db8::1"), prefix("2001:db8:0:1::1"));
    }
}
