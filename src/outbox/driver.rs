//! The task of an outbox.

use super::shared::Shared;
use super::{Builder, Message};
use std::sync::Arc;

pub(super) async fn run<T: Message>(builder: Builder<T>, shared: Arc<Shared<T>>) {
    drop((builder, shared));
}
