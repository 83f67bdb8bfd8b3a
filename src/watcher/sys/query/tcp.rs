//! TCP: the state of the connection tells how it stands, and reading it consumes nothing.

use super::super::contract::{Backlog, Observation};
use super::descriptor::Descriptor;
use crate::state::Event;

// The states of include/net/tcp_states.h that matter here.
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
pub(super) const TIME_WAIT: u8 = 6;
pub(super) const CLOSE: u8 = 7;
pub(super) const CLOSE_WAIT: u8 = 8;
pub(super) const LAST_ACK: u8 = 9;
pub(super) const LISTEN: u8 = 10;
pub(super) const CLOSING: u8 = 11;

/// The state of the connection; `None` where the system does not tell it.
///
/// `tcpi_state` is the first byte of the structure, and the kernel writes no more than it is asked for
/// (`do_tcp_getsockopt` in net/ipv4/tcp.c). Some sandboxes fill in zeros. No connection is in state 0.
pub(super) fn state(descriptor: Descriptor) -> Option<u8> {
    let [state] = descriptor.option(libc::IPPROTO_TCP, libc::TCP_INFO)?;
    (state != 0).then_some(state)
}

/// `before`: [`control_bytes_in`] at the registration.
pub(super) fn examine(descriptor: Descriptor, before: Option<u8>) -> Observation {
    match state(descriptor) {
        Some(CLOSE) => match descriptor.take_error() {
            Some(error) => error,
            None if descriptor.is_same() => closed_without_error(descriptor, before),
            None => Observation::default(),
        },
        // The peer's FIN is in these states only (RFC 9293, section 3.3.2). In the last two ours came first.
        Some(CLOSE_WAIT | LAST_ACK) => descriptor.report(Event::Fin),
        Some(CLOSING | TIME_WAIT) => descriptor.report(Event::BothFinished),
        // A shutdown of our own receiving side raises RDHUP, and the error queue (time stamps,
        // zero-copy) raises ERR, on a healthy connection.
        _ => Observation::default(),
    }
}

/// A closed connection has no error after an orderly end, or when somebody else was given the error: the program, or
/// sendfile(2), which keeps the error to itself if it has sent a part. A FIN of ours that was acknowledged tells that it
/// was the former: no connection is reset after both FINs.
fn closed_without_error(descriptor: Descriptor, before: Option<u8>) -> Observation {
    if is_fin_acknowledged(descriptor, before) == Some(true) {
        return Event::BothFinished.into();
    }
    match descriptor.has_received_fin() {
        Some(false) => Observation {
            event: Some(Event::Reset { after_fin: false }),
            // Nobody who reads or writes from now on would be told of it.
            error: Some(libc::ECONNRESET),
        },
        Some(true) => Event::Reset { after_fin: true }.into(),
        None => Event::Vanished.into(),
    }
}

/// What a closed connection says of an end that a read or a write could not explain.
pub(super) fn unexplained_end(descriptor: Descriptor, before: Option<u8>) -> Observation {
    match state(descriptor) {
        Some(CLOSE) => examine(descriptor, before),
        _ => Observation::default(),
    }
}

/// Whether the peer has acknowledged a FIN of ours; `None` where the system does not tell.
pub(super) fn is_fin_acknowledged(descriptor: Descriptor, before: Option<u8>) -> Option<bool> {
    let info = descriptor.option(libc::IPPROTO_TCP, libc::TCP_INFO)?;
    let before = u64::from(before?);
    // A FIN is behind all data, so it is not acknowledged while data is under way.
    Some(control_bytes_in(&info).is_some_and(|now| now > before))
}

/// The state and [`control_bytes_in`] by one system call, for the registration.
pub(super) fn state_and_control_bytes(descriptor: Descriptor) -> Option<(u8, Option<u64>)> {
    match descriptor.option(libc::IPPROTO_TCP, libc::TCP_INFO) {
        Some(info) if info[0] != 0 => Some((info[0], control_bytes_in(&info))),
        Some(_) => None,
        None => state(descriptor).map(|state| (state, None)),
    }
}

/// The part of `struct tcp_info` (include/uapi/linux/tcp.h) that [`control_bytes_in`] needs.
type Info = [u8; 216];

/// How many of the acknowledged bytes were no data: the SYN, if we opened the connection, and our FIN
/// (RFC 9293, section 3.4). Not known while data is under way, and before Linux 4.19.
///
/// `tcpi_bytes_acked` counts them; `tcpi_bytes_sent` less `tcpi_bytes_retrans` does not. They are at the
/// offsets 120, 200 and 208.
fn control_bytes_in(info: &Info) -> Option<u64> {
    let number = |offset: usize| {
        let bytes = info[offset..].first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    };
    let data = number(200)?.checked_sub(number(208)?)?;
    number(120)?.checked_sub(data)
}

/// What the peer has acknowledged.
pub(super) fn drained(descriptor: Descriptor) -> Option<u64> {
    acknowledged(descriptor).map(|(_, acknowledged)| acknowledged)
}

pub(super) fn backlog(descriptor: Descriptor, shut_down: bool) -> Option<Backlog> {
    let mut before = acknowledged(descriptor)?;
    for _ in 0..8 {
        // Everything from the oldest byte that is not acknowledged (`SIOCOUTQ`, tcp(7)).
        let unacknowledged = descriptor.queued(libc::TIOCOUTQ)?;
        let now = acknowledged(descriptor)?;
        // The two numbers are of one moment if no acknowledgement came between.
        if before == now {
            let (state, acknowledged) = now;
            // A FIN takes a place behind the last byte (RFC 9293, section 3.4).
            let fin = match state {
                FIN_WAIT1 | FIN_WAIT2 | TIME_WAIT | LAST_ACK | CLOSING => 1,
                CLOSE => u64::from(shut_down),
                _ => 0,
            };
            return Some(Backlog {
                written: Some((acknowledged + unacknowledged).checked_sub(fin)?),
                unacknowledged: unacknowledged.saturating_sub(fin),
            });
        }
        before = now;
    }
    None
}

/// The state, and `tcpi_bytes_acked`: at offset 120 of `struct tcp_info` (include/uapi/linux/tcp.h) since
/// Linux 4.1. For a connection that we opened it counts the SYN too.
fn acknowledged(descriptor: Descriptor) -> Option<(u8, u64)> {
    let info: [u8; 128] = descriptor.option(libc::IPPROTO_TCP, libc::TCP_INFO)?;
    Some((info[0], u64::from_ne_bytes(*info.last_chunk()?)))
}
