//! How an outbox starts: its values are checked, its store is read, its task is made.

use super::core::Core;
use super::driver::Driver;
use super::settings::{Durable, Settings, StoreCalls};
use super::shared::OutboxShared;
use super::store_writer::StoreWriter;
use crate::outbox::confirm::{Confirm, Ids};
use crate::outbox::message::{Importance, Message};
use crate::outbox::unsendable::{Unsendable, UnsendableReason};
use crate::outbox::user_code;
use crate::policy::timer;
use bytes::Bytes;
use std::io;
use std::sync::Arc;

pub(crate) fn start<T: Message>(
    mut settings: Settings<T>,
    confirm: Confirm<T>,
) -> io::Result<(Arc<OutboxShared<T>>, Driver<T>)> {
    timer::runtime("an outbox")?;
    settings.check()?;
    let confirmed_by = confirm.confirmed_by();
    let (ids, replies) = confirm.into_parts();
    let shared = Arc::new(OutboxShared::new(&settings, ids, confirmed_by));
    let durable = settings.durable.take();
    let writer = match durable {
        Some(durable) => recover(&shared, durable, &mut settings)?,
        None => None,
    };
    let driver = Driver::new(settings, replies, shared.clone(), writer);
    Ok((shared, driver))
}

/// Puts the messages of the store into the queue. Returns what calls the store, unless a thread does.
fn recover<T: Message>(
    shared: &Arc<OutboxShared<T>>,
    mut durable: Durable<T>,
    settings: &mut Settings<T>,
) -> io::Result<Option<StoreWriter<T>>> {
    let recovered = durable.store.recover()?;
    let next = durable.store.next_number()?;
    let mut discarded = Vec::new();
    let mut buried = Vec::new();
    for (number, record) in recovered {
        let decoded = user_code::guard("`Record::from_bytes`", || {
            let message = (durable.from_bytes)(record.clone()).map_err(user_code::io_error)?;
            hold(shared, &mut shared.lock(), number, message)
        });
        if let Err(error) = decoded {
            if settings
                .unsendable
                .hand_over(letter(number, record, &error))
            {
                discarded.push(number);
            } else {
                buried.push((number, error.to_string()));
            }
            shared.lock().counts.unsendable += 1;
        }
    }
    shared.lock().buffer.skip_to(next);
    let on_task = durable.calls == StoreCalls::OnTask;
    let (writer, jobs) = StoreWriter::new(durable.store, shared, on_task);
    if !discarded.is_empty() {
        jobs.remove(discarded);
    }
    for (number, reason) in buried {
        jobs.bury(number, reason);
    }
    shared.set_store(jobs);
    shared.publish();
    if on_task {
        return Ok(Some(writer));
    }
    writer.start()?;
    Ok(None)
}

/// Holds a message of the store under its number.
fn hold<T: Message>(
    shared: &OutboxShared<T>,
    core: &mut Core<T>,
    number: u64,
    message: T,
) -> io::Result<()> {
    let Some(mut terms) = shared.terms(&message, Importance::Important, false) else {
        let what = "the message is larger than 4 GiB";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    };
    if matches!(shared.ids, Ids::Numbers) {
        terms.id = number;
    }
    core.buffer.push_at(number, message, terms);
    Ok(())
}

fn letter<T>(number: u64, record: Bytes, error: &io::Error) -> Unsendable<T> {
    Unsendable {
        number,
        message: None,
        bytes: Some(record),
        reason: UnsendableReason::DecodeFailed(error.to_string().into()),
    }
}
