//! Messages that a full store, or a full memory, keeps waiting.

use crate::wire::{by_reply, line, outbox};
use bytes::Bytes;
use futures::SinkExt;
use hangup::MonitoredStream;
use hangup::outbox::*;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::time::{sleep, timeout};
use tokio_util::codec::LinesCodec;

const LONG: Duration = Duration::from_secs(60);
const AGE: Duration = Duration::from_secs(5);

/// An outbox whose peer is out of reach.
fn away() -> Builder<String> {
    let away = || async { Err::<MonitoredStream<DuplexStream>, _>(io::ErrorKind::NotFound.into()) };
    Outbox::builder(away, LinesCodec::new)
        .confirm(by_reply())
        .backoff([Duration::from_secs(3600); 10])
}

/// Has room for one message.
#[derive(Clone, Default)]
struct Small(Arc<Mutex<Vec<(u64, Bytes)>>>);

impl Store for Small {
    fn recover(&mut self) -> io::Result<Vec<(u64, Bytes)>> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn next_number(&mut self) -> io::Result<u64> {
        Ok(0)
    }

    fn append(&mut self, batch: &[(u64, Bytes)]) -> io::Result<()> {
        let mut kept = self.0.lock().unwrap();
        if kept.len() + batch.len() > 1 {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        kept.extend(batch.iter().cloned());
        Ok(())
    }

    fn remove(&mut self, numbers: &[u64]) -> io::Result<()> {
        let mut kept = self.0.lock().unwrap();
        kept.retain(|(number, _)| !numbers.contains(number));
        Ok(())
    }
}

/// It was stored as soon as there was room, when its receipt had reported that its time was over. It stayed in the store, and
/// the next outbox delivered it.
#[tokio::test(start_paused = true)]
async fn a_message_that_expires_while_it_waits_for_room_is_not_stored() {
    let store = Small::default();
    let (builder, mut wire) = outbox();
    let outbox = builder.durable_nonblocking(store.clone()).spawn().unwrap();
    let first = outbox.send("1 a".to_string()).await.unwrap();
    let mut peer = wire.accept().await;
    assert_eq!(line(&mut peer).await, "1 a");
    let within = Importance::important_for(AGE);
    let second = outbox.send_with("2 b".to_string(), within);
    let third = outbox.send("3 c".to_string());
    let (second, third, ()) = tokio::join!(
        async { timeout(AGE * 2, second).await.unwrap().unwrap().await },
        async { third.await.unwrap().await },
        async {
            sleep(AGE * 3).await;
            peer.send("ok 1").await.unwrap();
            assert_eq!(line(&mut peer).await, "3 c");
            peer.send("ok 3").await.unwrap();
        }
    );
    first.await.unwrap();
    let error = second.unwrap_err();
    assert_eq!(*error.reason(), UndeliveredReason::Expired);
    third.unwrap();
    assert!(outbox.shutdown(LONG).await.is_complete());
    assert_eq!(store.0.lock().unwrap().len(), 0);
}

/// Without a receipt they were not counted.
#[tokio::test(start_paused = true)]
async fn dropped_messages_count_with_and_without_a_receipt() {
    for by_sink in [false, true] {
        let builder = away().overflow(Overflow::DropNewest);
        let builder = builder.durable_nonblocking(Small::default());
        let outbox = builder.spawn().unwrap();
        let mut sink = outbox.sink();
        for id in 0..3 {
            let message = format!("{id} a");
            match by_sink {
                true => sink.send(message).await.unwrap(),
                false => drop(outbox.send(message).await.unwrap()),
            }
        }
        let status = outbox.status();
        assert_eq!((status.queued, status.dropped), (1, 2), "{by_sink}");
    }
}
