//! The store on disk: what it keeps through power cuts, kills, damage and full disks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod backlog;
mod behind_outbox;
mod crc32;
mod directory;
mod disk_store;
mod file;
mod format;
mod kill;
mod log;
mod log_entries;
mod paging;
mod power_cut;
mod processes;
#[cfg(target_os = "linux")]
mod refusals;
mod salvage;
mod size;
#[cfg(target_os = "linux")]
mod small_disk;
