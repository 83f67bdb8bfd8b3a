//! MPTCP: one connection over several TCP subflows (RFC 8684).
//!
//! `TCP_INFO` describes the first subflow only. That subflow stays ESTABLISHED when the connection closes, and it ends when
//! it is removed from a healthy connection. poll(2) describes the connection itself (`mptcp_poll` in net/mptcp/protocol.c).
//! A shutdown of our own receiving side looks like the peer's FIN.

use super::super::contract::Observation;
use super::descriptor::Descriptor;
use super::socket;
use crate::state::Event;

/// `SOL_MPTCP` and `MPTCP_INFO` of include/uapi/linux/mptcp.h.
const SOL_MPTCP: i32 = 284;
const MPTCP_INFO: i32 = 1;

pub(super) fn examine(descriptor: Descriptor) -> Observation {
    socket::examine_by_poll(descriptor, Event::Vanished)
}

/// `mptcpi_snd_una`, at offset 24 of `struct mptcp_info` since Linux 5.16: the sequence number up to which the peer has
/// acknowledged, over all subflows.
pub(super) fn drained(descriptor: Descriptor) -> Option<u64> {
    let info: [u8; 32] = descriptor.option(SOL_MPTCP, MPTCP_INFO)?;
    Some(u64::from_ne_bytes(*info.last_chunk()?))
}
