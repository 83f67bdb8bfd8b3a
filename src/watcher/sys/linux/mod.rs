//! Linux: what is asked of one descriptor, a file for each kind.
//! May use `policy`, `state` and `errors`.
//! Used by the rest of the watcher only.
//!
//! # To add a kind of descriptor
//!
//! 1. A variant of `Kind` in `kind.rs`, and the code that recognizes it in `Target::new` or `socket_kind` of `target.rs`. It
//!    must refuse whatever never reports the end of a peer.
//! 2. The compiler then names each `match` of `target.rs` and `borrowed.rs` that has to decide about the kind: how it is
//!    examined, what a broken pipe means, what its peer has taken, how it is reset.
//! 3. A file with the answers that take more than a line. The system calls that kinds share are in `descriptor.rs`, the
//!    only file here with `unsafe` code.
//! 4. A column in the table of kinds in `docs/architecture.md`, and the cases of `tests/core/kinds.rs` for it.

mod borrowed;
mod descriptor;
mod kind;
mod known;
mod mptcp;
mod pipe;
mod socket;
mod target;
mod tcp;
mod unix;

pub(crate) use known::Known;
pub(in crate::watcher) use target::Target;
