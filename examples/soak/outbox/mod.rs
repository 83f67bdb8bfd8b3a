//! Outboxes whose messages a peer confirms, which closes and resets their connections.
//!
//! It checks that
//!
//! 1. each important message arrives, and they arrive in their order;
//! 2. each best-effort message arrives at most once, and in order;
//! 3. a message arrives as it was sent;
//! 4. a message that is reported as delivered has arrived, and every other report has a reason that fits;
//! 5. an outbox never holds more than its capacity;
//! 6. the shutdown returns exactly the messages that were not confirmed, and the status has counted all.

mod journal;
mod life;
mod message;
mod peer;
mod receipts;

pub(crate) use life::live;
