//! Rules for errors of well-known crates that hide their cause: they have no `source` and contain no `io::Error`.
//!
//! The crates are not dependencies, so the rules compare the text that their errors print. The tried versions stand
//! beside the rules, and `tests/third_party` provokes the errors with the crates themselves.

use super::class::ErrorClass::{self, *};
use super::printed::{Word, debugs, displays};
use std::error::Error;

/// The class of `error` alone, if a rule knows it.
pub(super) fn judge(error: &(dyn Error + 'static)) -> Option<ErrorClass> {
    let word = Word::of(error);
    let by_word = VARIANTS.iter().find(|(name, _)| *name == word.as_str());
    let by_debug = || DEBUG.iter().find(|(text, _)| debugs(&error, text));
    let by_display = || DISPLAY.iter().find(|(text, _)| displays(&error, text));
    let (_, class) = by_word.or_else(by_debug).or_else(by_display)?;
    Some(*class)
}

/// The whole first word of the `Debug` output.
const VARIANTS: &[(&str, ErrorClass)] = &[
    // reqwest 0.13: its own timer. quinn 0.11: ConnectionError.
    ("TimedOut", Timeout),
    // tonic 0.14: the time-out of an Endpoint. tower 0.5: that of a layer.
    ("TimeoutExpired", Timeout),
    ("Elapsed", Timeout),
    // quinn 0.11: ConnectionError.
    ("LocallyClosed", Disconnected),
    ("ApplicationClosed", Disconnected),
    // tungstenite 0.30: Error and ProtocolError; quinn's ConnectionError.
    ("ConnectionClosed", Disconnected),
    ("AlreadyClosed", Disconnected),
    ("ResetWithoutClosingHandshake", Disconnected),
    ("HandshakeIncomplete", Disconnected),
    ("SendAfterClosing", Disconnected),
    ("ReceivedAfterClosing", Disconnected),
];

/// The beginning of the `Debug` output.
const DEBUG: &[(&str, ErrorClass)] = &[
    // hyper 1: the kinds whose cause is not an io::Error.
    ("hyper::Error(IncompleteMessage", Disconnected),
    ("hyper::Error(ChannelClosed", Disconnected),
    ("hyper::Error(Canceled", Disconnected),
    ("hyper::Error(UnexpectedMessage", Disconnected),
    ("hyper::Error(HeaderTimeout", Timeout),
    ("hyper_util::client::legacy::Error(Canceled", Disconnected),
    (
        "hyper_util::client::legacy::Error(ChannelClosed",
        Disconnected,
    ),
    // h2 0.4: RFC 9113, 7, says which streams may be sent again. An io::Error is inside without a source.
    ("Error { kind: GoAway(", Disconnected),
    ("Error { kind: Reset(", Disconnected),
    ("Error { kind: Reason(REFUSED_STREAM)", Disconnected),
    ("Error { kind: Reason(CANCEL)", Disconnected),
    ("Error { kind: Reason(NO_ERROR)", Disconnected),
    ("Error { kind: Io(Custom { kind: TimedOut", Timeout),
    ("Error { kind: Io(", Disconnected),
    // tokio-postgres 0.7.
    ("Error { kind: Closed", Disconnected),
    ("Error { kind: Timeout", Timeout),
    // tonic 0.14: a status without a cause comes from the server.
    ("Status { code: Unavailable", Disconnected),
    ("Status { code: DeadlineExceeded", Timeout),
    (
        "Status { code: Cancelled, message: \"Timeout expired\"",
        Timeout,
    ),
    ("Status { code: PermissionDenied", Permission),
    ("Status { code: Unauthenticated", Permission),
];

/// The beginning of the `Display` output.
const DISPLAY: &[(&str, ErrorClass)] = &[
    // quinn 0.11: the peer ended a stream or the connection.
    ("reset by peer", Disconnected),
    ("stream reset by peer", Disconnected),
    ("sending stopped by peer", Disconnected),
    ("stream finished early", Disconnected),
    ("closed stream", Disconnected),
    ("endpoint stopping", Disconnected),
    // tungstenite 0.30: a balancer answers in place of the server.
    ("HTTP error: 429", Disconnected),
    ("HTTP error: 502", Disconnected),
    ("HTTP error: 503", Disconnected),
    ("HTTP error: 504", Disconnected),
    // redis 1: a server that is not ready for commands yet, or not any more.
    ("BusyLoading", Disconnected),
    ("ClusterDown", Disconnected),
    ("MasterDown", Disconnected),
    ("ReadOnly", Disconnected),
    ("TryAgain", Disconnected),
    ("ResponseError: max number of clients reached", Disconnected),
    ("Multiplexed connection driver unexpectedly", Disconnected),
    // tokio-postgres 0.7: PostgreSQL's messages, where they are in English.
    ("FATAL: the database system is", Disconnected),
    ("FATAL: terminating connection due to", Disconnected),
    ("FATAL: sorry, too many clients", Disconnected),
    ("FATAL: remaining connection slots", Disconnected),
    ("FATAL: password authentication failed", Permission),
    ("FATAL: no pg_hba.conf entry", Permission),
];
