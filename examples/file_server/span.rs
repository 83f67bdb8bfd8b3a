//! Where the body of a response lies among the bytes of its connection.

#[derive(Clone, Copy, Default)]
pub(crate) struct Span {
    /// The connection's accepted bytes before this response; known when the body is first polled.
    pub(crate) before: Option<u64>,
    /// The bytes of the HTTP head, once they are known.
    pub(crate) head: Option<u64>,
    /// Read for the body so far.
    pub(crate) read: u64,
}

impl Span {
    /// The bytes of the body among the first `bytes` of the connection.
    pub(crate) fn of_body(&self, bytes: u64) -> u64 {
        let before = self.before.unwrap_or(u64::MAX);
        bytes
            .saturating_sub(before)
            .saturating_sub(self.head.unwrap_or(0))
            .min(self.read)
    }
}
