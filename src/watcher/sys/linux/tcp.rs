//! TCP. The state of the connection says how it stands, and reading the state consumes nothing.
//!
//! | state (include/net/tcp_states.h) | what has happened | reported as |
//! |---|---|---|
//! | SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT1, FIN_WAIT2 | the peer has sent no FIN | nothing |
//! | CLOSE_WAIT, LAST_ACK | the peer's FIN came first | `Fin` |
//! | CLOSING, TIME_WAIT | the peer's FIN came after ours | `BothFinished` |
//! | CLOSE, `SO_ERROR` is EPIPE | a reset after the peer's FIN (`tcp_reset` in net/ipv4/tcp_input.c) | `Reset`, after a FIN |
//! | CLOSE, `SO_ERROR` is ECONNRESET | a reset | `Reset` |
//! | CLOSE, another `SO_ERROR` | a timeout, or an ICMP error | `Failed` |
//! | CLOSE, no error, the peer's FIN came, our FIN was acknowledged | both sides ended in order | `BothFinished` |
//! | CLOSE, no error, the peer's FIN came, our FIN was not acknowledged | another call was given the error | `Reset`, after a FIN |
//! | CLOSE, no error, the peer's FIN did not come | another call was given the error | `Reset` |
//!
//! Where the system does not report one of the two FINs, see [`closed_without_error`].

use super::super::contract::{Backlog, Observation};
use super::descriptor::Descriptor;
use crate::state::Event;
use std::time::Duration;

// The states of include/net/tcp_states.h that matter here.
const ESTABLISHED: u8 = 1;
const SYN_SENT: u8 = 2;
const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
pub(super) const TIME_WAIT: u8 = 6;
pub(super) const CLOSE: u8 = 7;
pub(super) const CLOSE_WAIT: u8 = 8;
pub(super) const LAST_ACK: u8 = 9;
pub(super) const LISTEN: u8 = 10;
pub(super) const CLOSING: u8 = 11;

/// The state of the connection; `None` if the system does not report it.
///
/// `tcpi_state` is the first byte of the structure, and the kernel writes no more than it is asked for
/// (`do_tcp_getsockopt` in net/ipv4/tcp.c). Some sandboxes fill in zeros. No connection is in state 0.
pub(super) fn state(descriptor: Descriptor) -> Option<u8> {
    let [state] = descriptor.option(libc::IPPROTO_TCP, libc::TCP_INFO)?;
    (state != 0).then_some(state)
}

/// The state, and the whole structure where the system has it, mostly from one system call.
fn ask(descriptor: Descriptor) -> Option<(u8, Option<Info>)> {
    let info: Option<Info> = descriptor.option(libc::IPPROTO_TCP, libc::TCP_INFO);
    match info {
        Some(info) => (info[0] != 0).then_some((info[0], Some(info))),
        None => state(descriptor).map(|state| (state, None)),
    }
}

/// The state of the connection as an event. `before` is [`control_bytes_in`] at the registration.
pub(super) fn examine(descriptor: Descriptor, before: Option<u8>) -> Observation {
    let Some((state, info)) = ask(descriptor) else {
        return Observation::default();
    };
    let observation = match state {
        CLOSE => return closed(descriptor, before, info.as_ref()),
        // Only these states follow the peer's FIN (RFC 9293, section 3.3.2). In the last two our FIN came first.
        CLOSE_WAIT | LAST_ACK => descriptor.report(Event::Fin),
        CLOSING | TIME_WAIT => descriptor.report(Event::BothFinished),
        // On a healthy connection, a shutdown of our own receiving side raises RDHUP, and the error queue (time
        // stamps, zero-copy notices) raises ERR.
        _ => Observation::default(),
    };
    Observation {
        backlog: info.as_ref().and_then(empty_backlog),
        ..observation
    }
}

/// The event of a connection in the state CLOSE, in which nothing changes any more.
fn closed(descriptor: Descriptor, before: Option<u8>, info: Option<&Info>) -> Observation {
    match descriptor.take_error() {
        Some(error) => error,
        None if descriptor.is_same() => closed_without_error(descriptor, before, info),
        None => Observation::default(),
    }
}

/// The event of a closed connection without an error. Either it ended in order, or another call was given the error: a
/// call of the program, or a sendfile(2), which drops the error if it has sent a part. It ended in order if both FINs came
/// and ours was acknowledged, because such a connection is not reset.
fn closed_without_error(
    descriptor: Descriptor,
    before: Option<u8>,
    info: Option<&Info>,
) -> Observation {
    let acknowledged = info
        .zip(before)
        .map(|(info, before)| has_more(info, before));
    match (descriptor.has_received_fin(), acknowledged) {
        (Some(false), _) => Observation {
            // Stored for the next read, which the kernel would not give the error again.
            error: Some(libc::ECONNRESET),
            ..Event::Reset { after_fin: false }.into()
        },
        (Some(true) | None, Some(true)) => Event::BothFinished.into(),
        (Some(true), Some(false)) if info.is_some_and(|info| is_fin_outstanding(info, before)) => {
            Event::Reset { after_fin: true }.into()
        }
        // A reset after the FIN, or an orderly end: the counts do not tell whether our FIN was acknowledged.
        (Some(true), _) => Event::HungUp.into(),
        (None, _) => Event::Vanished.into(),
    }
}

/// Whether the connection delivers what was sent. A FIN of the peer does not end that: the peer goes on acknowledging
/// (RFC 9293, section 3.6).
pub(super) fn delivers(descriptor: Descriptor) -> bool {
    let ended = [CLOSE, TIME_WAIT];
    descriptor.is_same() && state(descriptor).is_some_and(|state| !ended.contains(&state))
}

/// The event of a closed connection whose end a read or a write could not explain.
pub(super) fn unexplained_end(descriptor: Descriptor, before: Option<u8>) -> Observation {
    match ask(descriptor) {
        Some((CLOSE, info)) => closed(descriptor, before, info.as_ref()),
        Some((state, info)) => Observation {
            backlog: info.as_ref().and_then(empty_backlog),
            // An end of file in these states was made by a shutdown of our own receiving side.
            is_input_open: [ESTABLISHED, FIN_WAIT1, FIN_WAIT2].contains(&state),
            ..Observation::default()
        },
        None => Observation::default(),
    }
}

/// What a write's broken pipe means. Past the wrapper our sending direction may be shut down too; then the state shows our
/// FIN.
pub(super) fn broken_pipe(descriptor: Descriptor, before: Option<u8>) -> Event {
    let ask = || ask(descriptor).filter(|_| descriptor.is_same());
    match ask() {
        Some((FIN_WAIT1 | FIN_WAIT2, _)) => Event::ShutDown,
        Some((CLOSING | TIME_WAIT, _)) => Event::BothFinished,
        Some((CLOSE, Some(info))) if before.is_some_and(|before| has_more(&info, before)) => {
            Event::BothFinished
        }
        // It was over when it was registered.
        Some((CLOSE, Some(_))) if before.is_none() => Event::HungUp,
        // A reset came after a FIN (`tcp_reset` in net/ipv4/tcp_input.c).
        _ => Event::Reset { after_fin: true },
    }
}

/// Whether the peer has acknowledged our FIN; `None` if the system does not report it.
pub(super) fn is_fin_acknowledged(descriptor: Descriptor, before: Option<u8>) -> Option<bool> {
    let info = descriptor.option(libc::IPPROTO_TCP, libc::TCP_INFO)?;
    Some(has_more(&info, before?))
}

/// Whether more control bytes are acknowledged than at the registration: our FIN.
fn has_more(info: &Info, before: u8) -> bool {
    // Our FIN comes behind all data, so it is not acknowledged while data is in flight.
    control_bytes_in(info).is_some_and(|now| now > before.into())
}

/// Whether the peer has acknowledged all data, and our FIN not. `false` if the counts do not tell.
///
/// They do not after a retransmission. Nor do they after a segment that the interface refused, because the link was down
/// or its queue full: that segment is counted as sent each time (`__tcp_transmit_skb` in net/ipv4/tcp_output.c). Then more
/// data was sent than is acknowledged.
fn is_fin_outstanding(info: &Info, before: Option<u8>) -> bool {
    number_in(info, RETRANSMITTED) == Some(0) && control_bytes_in(info) == before.map(u64::from)
}

/// The state, and [`control_bytes_in`] once the connection is established, from one system call, for the registration.
pub(super) fn state_and_control_bytes(descriptor: Descriptor) -> Option<(u8, Option<u64>)> {
    let (state, info) = ask(descriptor)?;
    // Our SYN is not acknowledged yet, and will be.
    let syn = u64::from(state == SYN_SENT);
    // Our FIN is acknowledged, and is no control byte of the beginning. Of a connection that is over it cannot be told.
    let fin = u64::from(state == FIN_WAIT2);
    let control_bytes = info.as_ref().filter(|_| state != CLOSE);
    let control_bytes = control_bytes.and_then(control_bytes_in);
    let control_bytes = control_bytes.and_then(|bytes| (bytes + syn).checked_sub(fin));
    Some((state, control_bytes))
}

/// How many connections wait to be accepted by a listener, from the structure in which connections tell their state. A
/// listener has this number in the place of `tcpi_unacked` (`tcp_get_info` in net/ipv4/tcp.c).
pub(super) fn waiting(listener: Descriptor) -> Option<u64> {
    match ask(listener)? {
        (LISTEN, Some(info)) => info[IN_FLIGHT..]
            .first_chunk()
            .map(|bytes| u32::from_ne_bytes(*bytes).into()),
        _ => None,
    }
}

/// The part of `struct tcp_info` (include/uapi/linux/tcp.h) that [`control_bytes_in`] needs.
type Info = [u8; 216];

// Offsets in `Info`: `tcpi_unacked`, `tcpi_bytes_acked`, `tcpi_notsent_bytes`, `tcpi_bytes_sent` and `tcpi_bytes_retrans`.
const IN_FLIGHT: usize = 24;
const ACKNOWLEDGED: usize = 120;
const UNSENT: usize = 144;
const SENT: usize = 200;
const RETRANSMITTED: usize = 208;

fn number_in(info: &Info, offset: usize) -> Option<u64> {
    let bytes = info[offset..].first_chunk()?;
    Some(u64::from_ne_bytes(*bytes))
}

/// How many acknowledged sequence numbers are not data: the SYN, if we opened the connection, and our FIN (RFC 9293,
/// section 3.4). It is not known while data is in flight, nor before Linux 4.19.
///
/// `tcpi_bytes_acked` counts them; `tcpi_bytes_sent` less `tcpi_bytes_retrans` does not.
fn control_bytes_in(info: &Info) -> Option<u64> {
    let data = number_in(info, SENT)?.checked_sub(number_in(info, RETRANSMITTED)?)?;
    number_in(info, ACKNOWLEDGED)?.checked_sub(data)
}

/// Sets `TCP_USER_TIMEOUT` (tcp(7)), unless it is shorter already. Zero stands for the system's own limit. The kernel
/// takes no more than an int holds.
pub(super) fn limit_user_timeout(descriptor: Descriptor, within: Duration) {
    let (level, name) = (libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT);
    let Ok(millis) = i32::try_from(within.as_millis()) else {
        return;
    };
    let millis = millis.unsigned_abs();
    let present = descriptor.option(level, name).map_or(0, u32::from_ne_bytes);
    if present == 0 || millis < present {
        descriptor.set_u32(level, name, millis);
    }
}

/// How many bytes the peer has acknowledged.
pub(super) fn drained(descriptor: Descriptor) -> Option<u64> {
    acknowledged(descriptor).map(|(_, acknowledged)| acknowledged)
}

/// The backlog of a connection of which no segment is in flight and nothing waits to be sent, in a state in which the
/// kernel counts both: at the end of a connection it drops the queue, and the numbers are zero (`tcp_write_queue_purge` in
/// net/ipv4/tcp.c). Our FIN counts as a segment (`tcpi_unacked`) and as a byte (`tcpi_notsent_bytes`). All numbers are those
/// of one moment: `tcp_get_info` holds the lock of the socket.
fn empty_backlog(info: &Info) -> Option<Backlog> {
    let fin = match info[0] {
        ESTABLISHED | CLOSE_WAIT => 0,
        // Our FIN is acknowledged.
        FIN_WAIT2 => 1,
        _ => return None,
    };
    let is_empty = |offset: usize| info[offset..].first_chunk() == Some(&[0; 4]);
    if !is_empty(IN_FLIGHT) || !is_empty(UNSENT) {
        return None;
    }
    Some(Backlog {
        written: Some(number_in(info, ACKNOWLEDGED)?.checked_sub(fin)?),
        unacknowledged: 0,
    })
}

/// How many bytes the socket was given to send, and how many of them are not acknowledged.
///
/// One system call if that is none, and else at least three.
pub(super) fn backlog(descriptor: Descriptor, shut_down: bool) -> Option<Backlog> {
    let info: Option<Info> = descriptor.option(libc::IPPROTO_TCP, libc::TCP_INFO);
    let mut before = match &info {
        Some(info) => match empty_backlog(info) {
            None => (info[0], number_in(info, ACKNOWLEDGED)?),
            backlog => return backlog,
        },
        None => acknowledged(descriptor)?,
    };
    for _ in 0..8 {
        // Everything from the oldest unacknowledged byte on (`SIOCOUTQ`, tcp(7)).
        let unacknowledged = descriptor.queued(libc::TIOCOUTQ)?;
        let now = acknowledged(descriptor)?;
        // If no acknowledgement came in between, the two numbers belong to the same moment.
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
