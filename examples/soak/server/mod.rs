//! A server on a real socket, and HTTP/1.1 clients that leave it in all ways.
//!
//! It checks that
//!
//! 1. each client gets the bytes that it asked for, whole, or the answer to what the server refuses;
//! 2. the monitor of its connection reports how it has left;
//! 3. the producer of an endless response ends with its client;
//! 4. the server has counted all connections, and each use of a limit that a client has provoked, and no other;
//! 5. when all clients are gone, no connection has to be aborted.

mod client;
mod leaving;
mod pages;
mod reports;
mod site;
mod visit;

pub(crate) use site::Site;
pub(crate) use visit::visit;
