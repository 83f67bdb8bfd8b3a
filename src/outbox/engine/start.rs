//! How an outbox starts: checks its values, reads its store, and makes its task.

use super::backlog::Amount;
use super::driver::Driver;
use super::on_unsendable::OnUnsendable;
use super::ranking::Ranking;
use super::settings::{Durable, Settings, StoreCalls};
use super::shared::OutboxShared;
use super::store_writer::StoreWriter;
use crate::outbox::confirm::Confirm;
use crate::outbox::message::Message;
use crate::outbox::unsendable::UnsendableAction;
use crate::policy::timer;
use std::io;
use std::sync::Arc;

/// Checks the settings, opens the store, and makes the shared state and the task.
///
/// # Errors
///
/// Those of `Builder::build`.
pub(crate) fn start<T: Message>(
    mut settings: Settings<T>,
    confirm: Confirm<T>,
) -> io::Result<(Arc<OutboxShared<T>>, Driver<T>)> {
    let runtime = timer::runtime("an outbox")?;
    settings.check()?;
    let confirmed_by = confirm.confirmed_by();
    let (ids, replies) = confirm.into_parts();
    let ranking = std::mem::replace(&mut settings.ranking, Ranking::new());
    let unsendable = settings.unsendable.take();
    let unsendable = unsendable.unwrap_or(OnUnsendable(Box::new(|_| UnsendableAction::Keep)));
    let shared = OutboxShared::new(&settings, runtime, unsendable, ranking, ids, confirmed_by);
    let shared = Arc::new(shared);
    let durable = settings.durable.take();
    let writer = match durable {
        Some(durable) => recover(&shared, durable)?,
        None => None,
    };
    let driver = Driver::new(settings, replies, shared.clone(), writer);
    Ok((shared, driver))
}

/// Reads the first messages of the store into memory, as many as fit. Starts the thread of the store, or returns the
/// writer that the task has to run.
fn recover<T: Message>(
    shared: &Arc<OutboxShared<T>>,
    mut durable: Durable<T>,
) -> io::Result<Option<StoreWriter<T>>> {
    let (count, bytes) = durable.store.totals()?;
    let next = durable.store.next_number()?;
    {
        let mut core = shared.lock();
        core.buffer.skip_to(next);
        core.stored = next;
        core.backlog.start(Amount { count, bytes });
    }
    let on_task = durable.calls == StoreCalls::OnTask;
    let (mut writer, jobs) = StoreWriter::new(durable.store, shared, on_task);
    shared.set_store(jobs);
    writer.load_first()?;
    shared.publish();
    if on_task {
        return Ok(Some(writer));
    }
    writer.start()?;
    Ok(None)
}
