//! Streams of every kind and role, with every policy, that end in every way.

mod end;
mod kind;
mod life;
mod observers;
mod peer;

pub(crate) use kind::Endpoints;
pub(crate) use life::live;
pub(crate) use observers::hush_planned_panics;
