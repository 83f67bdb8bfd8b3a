//! One HTTP/2 stream: its task, and the end of a stream that is not read.
//!
//! hyper gives every HTTP/2 request a task of the connection's executor. The task holds the response's
//! body, and waits there for the client to open the stream's window. So the executor is the place that
//! knows how long a stream has waited, and that frees all that it holds by dropping the task: h2 resets the
//! stream then, and the other streams go on.
//!
//! hyper gives the tunnel of a CONNECT that was accepted another task, and drops the body of its response. The tunnel is a
//! request until it ends: otherwise its connection would be idle.

use super::LimitReason;
use super::connection::{Command, ConnectionState, RequestGuard};
use crate::http::Progress;
use crate::policy::{Stall, Step};
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

thread_local! {
    /// The state of an HTTP/2 request between the call of the service and the start of its task. hyper does both in one poll
    /// of the connection, with nothing in between.
    static NEXT: Cell<Option<Arc<Progress>>> = const { Cell::new(None) };
}

/// The service is called for a stream, whose task starts next on this thread.
pub(super) fn begins(stream: Arc<Progress>) {
    NEXT.set(Some(stream));
}

/// Runs the tasks of an HTTP/2 connection's streams.
#[derive(Clone)]
pub(super) struct StreamExecutor {
    connection: Arc<ConnectionState>,
}

impl StreamExecutor {
    pub(super) fn new(connection: Arc<ConnectionState>) -> Self {
        Self { connection }
    }
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        let connection = self.connection.clone();
        let Some(stream) = NEXT.take() else {
            let (guard, _) = RequestGuard::new(connection);
            tokio::spawn(async move {
                task.await;
                drop(guard);
            });
            return;
        };
        let policy = connection.server.limits.stall_policy;
        match policy.and_then(|policy| Some((policy, Stall::new(policy, false).ok()?))) {
            Some((policy, stall)) => tokio::spawn(StreamTask {
                task: Some(task),
                stream,
                stall,
                enough: policy.bytes(),
                excused: Cell::new(0),
                connection,
            }),
            None => tokio::spawn(task),
        };
    }
}

pin_project! {
    struct StreamTask<F> {
        #[pin]
        task: Option<F>,
        stream: Arc<Progress>,
        stall: Stall,
        // What the client has to take in a window.
        enough: u64,
        // What is credited to it for times when the socket was full.
        excused: Cell<u64>,
        connection: Arc<ConnectionState>,
    }
}

impl<F: Future<Output = ()>> Future for StreamTask<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(task) = this.task.as_mut().as_pin_mut()
            && task.poll(cx).is_pending()
        {
            if !this.stream.waits() {
                this.stall.done(Step::Write);
                return Poll::Pending;
            }
            let taken = || {
                // The socket is full, perhaps with data of other streams. The connection has a policy of its own.
                if this.connection.activity.is_blocked() {
                    this.excused
                        .set(this.excused.get().saturating_add(*this.enough));
                }
                this.stream.taken().saturating_add(this.excused.get())
            };
            if this.stall.pending(Step::Write, cx, taken).is_none() {
                return Poll::Pending;
            }
            this.connection.limit(LimitReason::StreamStalled);
            // Resets the stream, and ends its request.
            this.task.set(None);
            if this.connection.activity.in_flight() == 0 {
                this.connection.command(Command::End);
            }
        }
        Poll::Ready(())
    }
}
