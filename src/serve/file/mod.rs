//! Files: their responses, and their way below hyper.
//!
//! May use the connection and the streams of `serve`, and `transfer`.
//!
//! Used by `serve`.

mod body;
mod coding;
mod cold;
mod conditions;
mod folder;
mod folder_response;
mod head;
mod open;
mod place;
mod placeholder;
mod polling;
mod range;
mod response;
mod single;
mod slot;
mod source;
mod target;
mod version;

pub use body::FileBody;
pub use folder::ServeFolder;
pub use folder_response::FolderResponse;
pub(super) use polling::Polling;
pub use single::{FileSource, file};
pub(super) use slot::Slot;
