//! The task of one connection: the handshake, HTTP by hyper, and the time limits.

use super::activity::Idle;
use super::connection::{Command, ConnectionState};
use super::io::{Io, Open};
use super::limits::after;
use super::linger::{Version, linger};
use super::listener::{Protocol, sealed::Accept};
use super::registry::Entry;
use super::service::PerConnection;
use super::stream::StreamExecutor;
use super::unconstrained::is_due;
use super::{LimitReason, RequestBody};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;
use tower_service::Service;

/// How an HTTP/2 client begins (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// hyper's own limit of the fields of a head.
const HYPER_MAX_HEADERS: usize = 100;

/// How long an idle HTTP/2 client has to close after our GOAWAY.
const GOODBYE: Duration = Duration::from_secs(5);

/// How long the rest of a head may take that a client was sending when the shutdown began, or the rest of a handshake and the
/// head after it, each: a round trip, and one retransmission.
const LAST_HEAD: Duration = Duration::from_secs(1);

/// Which versions of HTTP are spoken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Versions {
    pub(super) http2: bool,
    /// HTTP/2 without TLS, to clients that begin with it.
    pub(super) h2c: bool,
}

/// Serves one connection to its end.
pub(super) async fn run<A, S, B>(
    accepted: A::Accepted,
    connection: Arc<ConnectionState>,
    entry: Entry,
    service: S,
    versions: Versions,
) where
    A: Accept,
    S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let begun = async {
        let Ok((stream, protocol)) = A::handshake(accepted).await else {
            #[cfg(feature = "tls")]
            connection.limit(LimitReason::Handshake);
            return None;
        };
        connection.activity.handshake_done();
        let open = Open {
            stream,
            _entry: entry,
        };
        let mut io = Io::new(open, connection.clone());
        let is_http2 = match protocol {
            Protocol::Http2 => true,
            Protocol::Unknown if versions.h2c => {
                let timeout = connection.server.limits.head_timeout;
                match tokio::time::timeout(timeout, io.begins_with(PREFACE)).await {
                    Ok(begins) => begins.ok()?,
                    Err(_) => {
                        connection.limit(LimitReason::HeadTimeout);
                        return None;
                    }
                }
            }
            _ => false,
        };
        Some((io, is_http2 && versions.http2))
    };
    // In a box, whose room the task does not keep.
    let begun = Box::pin(begun);
    let Some((io, is_http2)) = before_end(&connection, begun).await else {
        return;
    };
    let service = PerConnection::new(service, connection.clone());
    let limits = &connection.server.limits;
    let version = if is_http2 {
        io.http2(PREFACE);
        let mut http = http2::Builder::new(StreamExecutor::new(connection.clone()));
        http.timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_requests_per_connection)
            .max_header_list_size(u32::try_from(limits.max_head_size).unwrap_or(u32::MAX))
            .max_send_buf_size(limits.http2_buffer());
        let http = http.serve_connection(TokioIo::new(io.clone()), service);
        let send = |cx: &mut Context<'_>, is_pending| io.poll_send(cx, is_pending);
        drive(&connection, Box::pin(http), true, send).await;
        Version::Http2
    } else {
        connection.slot.http1();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            // The task has its own limit, which distinguishes a slow head from an idle connection.
            .header_read_timeout(None)
            .max_header_size(limits.max_head_size)
            .max_buf_size(limits.buffer_size.max(limits.max_head_size));
        // A number that is set has hyper allocate memory for the fields of each request.
        if limits.max_headers != HYPER_MAX_HEADERS {
            http.max_headers(limits.headers());
        }
        let http = http
            .serve_connection(TokioIo::new(io.clone()), service)
            .with_upgrades();
        let nothing = |_: &mut Context<'_>, _| Poll::Ready(Ok(()));
        drive(&connection, Box::pin(http), false, nothing).await;
        Version::Http1
    };
    // A command that has ended the connection lets nothing linger.
    if connection.commanded() != Command::End
        && let Some(mut open) = io.take_shut_down()
    {
        tokio::select! {
            biased;
            () = ended(&connection) => {}
            () = linger(&mut open.stream, &connection, version) => {}
        }
    }
}

/// Resolves at the command to end.
async fn ended(connection: &ConnectionState) {
    while commands(connection).await != Command::End {}
}

/// The outcome of `future`, or `None` as soon as the connection has to end. When the server shuts down, it has a moment.
async fn before_end<T>(
    connection: &ConnectionState,
    future: impl Future<Output = Option<T>>,
) -> Option<T> {
    let mut future = pin!(future);
    tokio::select! {
        biased;
        outcome = &mut future => return outcome,
        () = connection.next_command() => {}
    }
    if connection.commanded() == Command::End {
        return None;
    }
    // In a box too: it is seldom needed.
    let late = Box::pin(tokio::time::timeout(LAST_HEAD, ended(connection)));
    tokio::select! {
        biased;
        outcome = future => outcome,
        _ = late => None,
    }
}

/// A connection of hyper's.
trait Http: Future<Output = hyper::Result<()>> {
    /// Asks hyper to end the connection after the requests in progress. On HTTP/2 it sends a GOAWAY.
    fn goodbye(self: Pin<&mut Self>);
}

impl<I, B, S> Http for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    fn goodbye(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, B, S, E> Http for http2::Connection<I, S, E>
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn goodbye(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Polls `http` until it ends, or until a time limit or a command ends the connection. After each poll, which was pending or not,
/// `send` sends what `http` has written.
async fn drive(
    connection: &ConnectionState,
    mut http: Pin<Box<impl Http>>,
    is_http2: bool,
    mut send: impl FnMut(&mut Context<'_>, bool) -> Poll<io::Result<()>>,
) {
    let mut commands = pin!(commands(connection));
    let mut clock = Clock {
        timer: Box::pin(tokio::time::sleep(connection.server.limits.head_timeout)),
        is_http2,
        parting: None,
        drained: None,
    };
    // The server has begun to shut down before the end of the handshake.
    let is_late = connection.commanded() == Command::Drain;
    if is_late {
        clock.drain();
    }
    // The server shuts down, and hyper does not know it yet.
    let mut is_draining = is_late;
    let ended = poll_fn(|cx| {
        loop {
            let polled = http.as_mut().poll(cx);
            let sent = send(cx, polled.is_pending());
            if let Poll::Ready(ended) = polled {
                return Poll::Ready(Some(ended));
            }
            if let Poll::Ready(Err(_)) = sent {
                return Poll::Ready(None);
            }
            match commands.as_mut().poll(cx) {
                Poll::Ready(Command::End) => return Poll::Ready(None),
                Poll::Ready(_) => {
                    clock.drain();
                    is_draining = true;
                    commands.set(self::commands(connection));
                }
                Poll::Pending => {}
            }
            // hyper would close a connection that has had a request, also in the middle of the next head, and one that has
            // received nothing.
            let activity = &connection.activity;
            let waits = activity.is_in_later_head(!is_http2) || is_late && activity.is_silent();
            if is_draining && !waits {
                is_draining = false;
                http.as_mut().goodbye();
                continue;
            }
            match clock.poll(connection, cx) {
                Poll::Ready(Over::Part) => http.as_mut().goodbye(),
                Poll::Ready(Over::End) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    match ended {
        Some(Err(error)) if error.is_parse_too_large() => connection.limit(LimitReason::HeadSize),
        _ => {}
    }
}

/// The next command other than to go on.
async fn commands(connection: &ConnectionState) -> Command {
    loop {
        connection.next_command().await;
        let command = connection.commanded();
        if command != Command::Run {
            return command;
        }
    }
}

/// What to do when a time limit is reached.
enum Over {
    /// Send a GOAWAY, and give the client a moment.
    Part,
    End,
}

/// The only timer of a connection. It is set to the earliest time at which a limit may be reached, and checks again then.
/// So no request has to reset it.
struct Clock {
    timer: Pin<Box<tokio::time::Sleep>>,
    is_http2: bool,
    /// When a client that got a GOAWAY has to be gone, unless it has a request.
    parting: Option<Instant>,
    /// When a connection without a request has to be gone, because the server shuts down.
    drained: Option<Instant>,
}

impl Clock {
    /// The server shuts down: hyper closes a connection that is idle. It waits for the rest of a head, and for an HTTP/2
    /// client.
    fn drain(&mut self) {
        let time = if self.is_http2 { GOODBYE } else { LAST_HEAD };
        self.drained = Some(Instant::now() + time);
    }

    fn poll(&mut self, connection: &ConnectionState, cx: &mut Context<'_>) -> Poll<Over> {
        loop {
            let due = self.due(connection);
            // A later time is found when the timer fires; an earlier one has to be set at once.
            if due.is_some_and(|(due, _)| due < self.timer.deadline()) {
                self.timer
                    .as_mut()
                    .reset(due.map_or_else(Instant::now, |(due, _)| due));
            }
            if !is_due(self.timer.as_mut(), cx) {
                return Poll::Pending;
            }
            let now = Instant::now();
            match due {
                Some((due, _)) if due <= now && self.drained == Some(due) => {
                    return Poll::Ready(Over::End);
                }
                Some((due, reason)) if due <= now => {
                    return Poll::Ready(self.over(connection, reason));
                }
                Some((due, _)) => self.timer.as_mut().reset(due),
                None => {
                    let next = after(now, connection.server.limits.head_timeout);
                    self.timer.as_mut().reset(next);
                }
            }
        }
    }

    /// When the next limit is reached if nothing happens, and which one.
    fn due(&self, connection: &ConnectionState) -> Option<(Instant, LimitReason)> {
        let limits = &connection.server.limits;
        // On HTTP/2, bytes that arrive while no stream is open may be other frames than a head.
        let (since, idle) = connection.activity.idle(!self.is_http2)?;
        if let Some(parting) = self.parting {
            // A request that crossed our GOAWAY is answered, and its client has a moment after that.
            let due = parting.max(after(since, GOODBYE));
            return Some((due, LimitReason::KeepAliveTimeout));
        }
        let (due, reason) = match idle {
            Idle::New | Idle::Head => (after(since, limits.head_timeout), LimitReason::HeadTimeout),
            Idle::KeepAlive => (
                after(since, limits.keep_alive_timeout),
                LimitReason::KeepAliveTimeout,
            ),
        };
        Some((self.drained.map_or(due, |drained| drained.min(due)), reason))
    }

    /// A limit was reached: reports it. An idle HTTP/2 client gets a GOAWAY and a moment for its answer; any other connection
    /// ends at once.
    fn over(&mut self, connection: &ConnectionState, reason: LimitReason) -> Over {
        if self.parting.is_some() {
            return Over::End;
        }
        connection.limit(reason);
        if !self.is_http2 || reason == LimitReason::HeadTimeout {
            return Over::End;
        }
        self.parting = Some(Instant::now() + GOODBYE);
        Over::Part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::connection::ServerState;
    use crate::serve::limits::Limits;
    use crate::serve::report::Report;
    use crate::serve::usage::Usage;
    use crate::stream::MonitoredStream;
    use tokio::task::coop::consume_budget;

    /// hyper above a stream whose reads take all of the task's budget and bring nothing: TLS under a flood of records without
    /// data.
    struct Flooded;

    impl Future for Flooded {
        type Output = hyper::Result<()>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            while pin!(consume_budget()).poll(cx).is_ready() {}
            Poll::Pending
        }
    }

    impl Http for Flooded {
        fn goodbye(self: Pin<&mut Self>) {}
    }

    /// tokio's timer is not ready for a task without budget, so no time limit ended such a connection.
    #[tokio::test(start_paused = true)]
    async fn a_flood_without_data() {
        let server = ServerState {
            limits: Limits::default(),
            report: Report::default(),
            usage: Usage::default(),
        };
        let head_timeout = server.limits.head_timeout;
        let (io, _peer) = tokio::io::duplex(1);
        let monitor = MonitoredStream::unwatched(io).monitor();
        let connection = ConnectionState::new(Arc::new(server), monitor, None);
        let driven = drive(&connection, Box::pin(Flooded), false, |_, _| {
            Poll::Ready(Ok(()))
        });
        let mut driven = tokio_test::task::spawn(driven);
        assert!(driven.poll().is_pending());
        tokio::time::advance(head_timeout).await;
        assert!(driven.poll().is_ready());
        let counts = connection.server.report.counts();
        assert_eq!(counts, [(LimitReason::HeadTimeout, 1)]);
    }
}
