//! When a store on disk waits for the disk.

/// When a store on disk waits until the disk has what was written (`fsync(2)`). [`DiskStore`](crate::outbox::DiskStore) says what each choice
/// promises.
///
/// | choose | if |
/// |---|---|
/// | `Each` | an accepted message must survive a power cut |
/// | `Never` | the machine has a battery, or a power cut may lose messages; a send does not wait for the disk |
///
/// With `Each` a sender that awaits each `send` gets one message per `fsync`. Sends that wait at the same time share one
/// call, so send from several tasks, or poll several futures of `send` together.
///
/// ```
/// use hangup::outbox::{Fsync, StoreOptions};
///
/// assert_eq!(Fsync::default(), Fsync::Each);
/// assert_eq!(StoreOptions::new(), StoreOptions::new().fsync(Fsync::Each));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Fsync {
    /// Before each message counts as accepted. An accepted message survives a power cut. Sends that wait at the same time
    /// share one `fsync`.
    #[default]
    Each,
    /// Never, but for one `fsync` in `open`: the operating system chooses when to write. An accepted message survives the end
    /// of the process, but not a power cut.
    Never,
}
