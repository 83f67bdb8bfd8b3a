//! What the receipts of one outbox report.

use super::journal::Journal;
use super::message::Note;
use crate::waiting::woken;
use anyhow::{bail, ensure};
use hangup::outbox::{ConfirmedBy, Receipt, UndeliveredReason};
use tokio::sync::mpsc;

/// How many receipts reported what.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    pub(crate) delivered: u64,
    /// Best-effort messages that were not written, or not confirmed, in time.
    pub(crate) dropped: u64,
    /// What the shutdown has left.
    pub(crate) left: Vec<String>,
}

/// Awaits the receipts, in the order of their messages.
pub(crate) async fn collect(
    mut receipts: mpsc::Receiver<(Note, Receipt<String>)>,
    journal: &Journal,
) -> anyhow::Result<Reported> {
    let mut reported = Reported::default();
    while let Some((note, receipt)) = receipts.recv().await {
        match woken("a receipt", receipt).await? {
            Ok(delivered) => {
                ensure!(
                    delivered.confirmed_by() == ConfirmedBy::Reply,
                    "{delivered:?}"
                );
                journal.check_delivered(note)?;
                reported.delivered += 1;
            }
            Err(error) => match error.reason() {
                UndeliveredReason::ShutDown => {
                    ensure!(
                        *error.message() == note.text(),
                        "{note:?} came back as another"
                    );
                    reported.left.push(error.into_message());
                }
                UndeliveredReason::Expired | UndeliveredReason::Unconfirmed
                    if !note.is_important =>
                {
                    reported.dropped += 1;
                }
                _ => bail!("{note:?}: {error}"),
            },
        }
    }
    Ok(reported)
}
