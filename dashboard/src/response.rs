//! One response in progress.

use crate::request::Request;
use axum::http::{StatusCode, Version};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) begun: Instant,
    /// The bytes of the connection that were accepted before.
    pub(crate) before: u64,
    head: Mutex<Head>,
    /// How many bytes of the body HTTP has taken.
    sent: AtomicU64,
    sent_at_close: OnceLock<u64>,
}

#[derive(Debug)]
struct Head {
    request: Request,
    length: Option<u64>,
}

impl Response {
    /// The response to a request that reaches its handler now. The connection has accepted `before` bytes so far.
    pub(crate) fn new(request: Request, before: u64) -> Self {
        Self {
            begun: Instant::now(),
            before,
            head: Mutex::new(Head {
                request,
                length: None,
            }),
            sent: AtomicU64::new(0),
            sent_at_close: OnceLock::new(),
        }
    }

    /// The handler has answered, with a body of `length` bytes if that is known.
    pub(crate) fn answered(&self, status: StatusCode, length: Option<u64>) {
        let mut head = self.head();
        head.request.status = Some(status);
        head.length = length;
    }

    pub(crate) fn request(&self) -> Request {
        self.head().request.clone()
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.head().request.version == Version::HTTP_2
    }

    /// The length of the body in bytes, if it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.head().length
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Relaxed)
    }

    /// HTTP has taken some bytes of the body.
    pub(crate) fn advance(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn connection_closed(&self) {
        self.sent_at_close.get_or_init(|| self.sent());
    }

    /// The bytes that HTTP took after the connection had closed.
    pub(crate) fn sent_after_close(&self) -> u64 {
        let sent = self.sent();
        sent - self.sent_at_close.get().unwrap_or(&sent)
    }

    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
