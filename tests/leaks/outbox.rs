//! The outbox and its store.

use crate::Case;
use crate::support::{listener, soon};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use hangup::MonitoredStream;
use hangup::outbox::*;
use heapdelta::{LeakError, LeakTest, Report};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::{Framed, FramedRead, LengthDelimitedCodec};

pub(crate) const CASES: &[Case] = &[
    ("addresses_that_refuse", addresses_that_refuse),
    ("outbox_that_delivers", outbox_that_delivers),
    ("outbox_that_reconnects", outbox_that_reconnects),
    ("outbox_that_is_given_up", outbox_that_is_given_up),
    ("outbox_message_of_many", outbox_message_of_many),
    ("outbox_confirmed_by_the_peer", outbox_confirmed_by_the_peer),
    ("store_on_disk", store_on_disk),
    ("store_that_is_salvaged", store_that_is_salvaged),
    ("outbox_that_is_durable", outbox_that_is_durable),
];

const LONG: Duration = Duration::from_secs(30);

fn to(address: SocketAddr) -> Builder<Bytes> {
    let millis = Duration::from_millis;
    let connect = move || TcpStream::connect(address);
    Outbox::builder(connect, LengthDelimitedCodec::new)
        .capacity(1 << 16, 16)
        .overflow(Overflow::Wait)
        .in_flight(8)
        .ordering_key(|message: &Bytes| message.len())
        .priority(|message: &Bytes| (message.len() % 3) as u8)
        .linger(LONG)
        .reset_backoff_after(millis(1))
        .connect_timeout(LONG)
        .dead_peer_timeout(LONG)
        .ack_timeout(LONG)
        .max_reply(1 << 10)
        .name("leaks")
        .max_attempts(1000)
        .on_unsendable(|_| UnsendableAction::Discard)
        .backoff(Backoff::exponential(millis(1), millis(4)).unwrap())
}

async fn accept(listener: &TcpListener) -> FramedRead<TcpStream, LengthDelimitedCodec> {
    let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
    FramedRead::new(stream, LengthDelimitedCodec::new())
}

fn addresses_that_refuse(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async(async || {
        let refused = |_: &str| async { Err::<TcpStream, _>(ErrorKind::ConnectionRefused.into()) };
        let mut connect = connect_in_turn(["first:1", "second:2"], LONG, refused);
        let error = connect().await.unwrap_err();
        let errors = error.get_ref().unwrap().downcast_ref::<AddressErrors>();
        assert_eq!(errors.unwrap().iter().count(), 2);
    })
}

fn outbox_that_delivers(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.run_async_with(listener, async |(listener, address)| {
        let outbox = to(*address).spawn().unwrap();
        let receipt = outbox.send(Bytes::from_static(b"hello")).await.unwrap();
        let mut peer = accept(listener).await;
        assert_eq!(soon("it", peer.next()).await.unwrap().unwrap(), "hello");
        let _ = receipt.number();
        let delivered = soon("the receipt", receipt).await.unwrap();
        let _ = (
            delivered.confirmed_by(),
            outbox.status(),
            outbox.subscribe(),
        );
        let report = soon("the end", outbox.shutdown(LONG)).await;
        assert!(report.is_complete() && report.is_store_closed());
        assert_eq!(report.on_disk(), 0);
        assert!(report.undelivered().is_empty() && report.into_undelivered().is_empty());
    })
}

/// The first connection is lost with the message unread.
fn outbox_that_reconnects(test: LeakTest<'_>) -> Result<Report, LeakError> {
    test.times(20)
        .run_async_with(listener, async |(listener, address)| {
            let outbox = to(*address).spawn().unwrap();
            let lost = soon("a connection", listener.accept()).await.unwrap().0;
            crate::loopback::reset(lost);
            let receipt = outbox.try_send(Bytes::from_static(b"hello")).unwrap();
            let mut peer = accept(listener).await;
            let message = soon("it", peer.next()).await;
            drop((message, receipt));
            drop(peer);
            soon("the end", outbox.shutdown(Duration::ZERO)).await;
        })
}

/// Nobody listens, and the attempts are over; then it is resumed, and they are over again.
fn outbox_that_is_given_up(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let nobody = async || listener().await.1;
    test.times(20).run_async_with(nobody, async |address| {
        let millis = Duration::from_millis;
        let two = Backoff::exponential(millis(1), millis(1)).unwrap();
        let outbox = to(*address)
            .backoff(two.attempts(2))
            .give_up_on(|_| false)
            .give_up_after(LONG)
            .spawn()
            .unwrap();
        outbox.reconnect_now();
        let importance = Importance::important_for(LONG);
        if let Ok(receipt) = outbox.try_send_with(Bytes::from_static(b"hello"), importance) {
            let error = soon("the end", receipt).await.unwrap_err();
            let _ = (error.message(), error.reason());
            drop(error.into_message());
        }
        let mut status = outbox.subscribe();
        let given_up = status.wait_for(|status| matches!(status.link, Link::GaveUp(_)));
        let link = soon("the last attempt", given_up)
            .await
            .unwrap()
            .link
            .clone();
        if let Link::GaveUp(why) = link {
            let _ = (why.kind(), why.class());
        }
        let refused = outbox.try_send(Bytes::from_static(b"hello")).unwrap_err();
        let _ = (refused.message(), refused.reason());
        drop(refused.into_message());
        outbox.resume();
    })
}

struct Sending {
    outbox: Outbox<Bytes>,
    peer: FramedRead<TcpStream, LengthDelimitedCodec>,
}

async fn sending() -> Sending {
    let (listener, address) = listener().await;
    let outbox = to(address).spawn().unwrap();
    let peer = accept(&listener).await;
    Sending { outbox, peer }
}

/// One message of many on one connection, by each way in.
fn outbox_message_of_many(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let mut way = 0;
    test.run_async_with(sending, async |sending| {
        let message = Bytes::from_static(b"hello");
        way += 1;
        let receipt = match way % 4 {
            0 => Some(sending.outbox.send(message).await.unwrap()),
            1 => Some(sending.outbox.try_send(message).unwrap()),
            2 => {
                let sent = sending
                    .outbox
                    .send_with(message, Importance::Important)
                    .await;
                Some(sent.unwrap())
            }
            _ => {
                sending.outbox.sink().send(message).await.unwrap();
                None
            }
        };
        soon("it", sending.peer.next()).await.unwrap().unwrap();
        if let Some(receipt) = receipt {
            soon("the receipt", receipt).await.unwrap();
        }
    })
}

/// The peer replies with what it got; the outbox runs in a task of the test's.
fn outbox_confirmed_by_the_peer(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let confirm = || {
        ByPeer::new(
            |message: &Bytes| u64::from(message[0]),
            LengthDelimitedCodec::new,
            |reply| Some(Processed::One(u64::from(reply[0]))),
        )
    };
    drop(Confirm::by_peer(
        |message: &Bytes| u64::from(message[0]),
        LengthDelimitedCodec::new,
        |_| None,
    ));
    test.run_async_with(listener, async |(listener, address)| {
        let address = *address;
        let connect = move || async move {
            let stream = MonitoredStream::new(TcpStream::connect(address).await?)?;
            let monitor = stream.monitor();
            let connection = Connection::over(stream, monitor);
            Ok::<_, std::io::Error>(connection)
        };
        let (outbox, task) = Outbox::builder(connect, LengthDelimitedCodec::new)
            .confirm(Confirm::ByPeer(confirm()))
            .build()
            .unwrap();
        let task = tokio::spawn(task);
        let receipt = outbox.send(Bytes::from_static(b"7")).await.unwrap();
        let (stream, _) = soon("a connection", listener.accept()).await.unwrap();
        let mut peer = Framed::new(stream, LengthDelimitedCodec::new());
        let message = soon("it", peer.next()).await.unwrap().unwrap();
        peer.send(message.freeze()).await.unwrap();
        soon("the receipt", receipt).await.unwrap();
        assert!(soon("the end", outbox.shutdown(LONG)).await.is_complete());
        task.await.unwrap();
    })
}

/// A folder that is removed in the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hangup-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> std::path::PathBuf {
        self.0.join("outbox.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn store_on_disk(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let folder = Folder::new("leaks-store");
    let options = StoreOptions::new()
        .fsync(Fsync::Never)
        .mode(0o600)
        .disk_capacity(1 << 20);
    test.times(10).warmup(5).run(|| {
        let mut store = options.open(folder.file()).unwrap();
        assert!(store.recover().unwrap().is_empty());
        assert!(store.recover_page(0, 1 << 16).unwrap().is_empty());
        assert_eq!(store.totals().unwrap(), (0, 0));
        let number = store.next_number().unwrap();
        let message = Bytes::from_static(b"hello");
        store
            .append(&[(number, message.clone()), (number + 1, message)])
            .unwrap();
        store.remove(&[number]).unwrap();
        store.bury(number + 1, "nobody wants it").unwrap();
        let letters = store.dead_letters().unwrap();
        let letter = &letters[0];
        let _ = (letter.reason(), letter.message());
        let info = store.info().unwrap();
        assert_eq!((info.messages(), info.dead_letters()), (0, 1));
        let _ = (info.bytes(), info.file_size(), info.next_number());
        store.remove_dead_letters(&[letter.number()]).unwrap();
        store.compact().unwrap();
        let locked = DiskStore::open(folder.file(), Fsync::Never).unwrap_err();
        let _ = (locked.path(), locked.problem());
        drop(store);
        let (store, found) = DiskStore::salvage(folder.file(), Fsync::Never).unwrap();
        assert!(matches!(found, Salvage::Sound));
        drop(store);
        let (store, _) = options.salvage(folder.file()).unwrap();
        drop(store);
        options.clone().read_only(true).open(folder.file()).unwrap()
    })
}

/// The database's first page is overwritten, so that the messages are put into a new one.
fn store_that_is_salvaged(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let folder = Folder::new("leaks-salvage");
    let mut number = 0;
    test.times(10).warmup(5).run(|| {
        let _ = std::fs::remove_file(folder.file());
        let mut store = DiskStore::open(folder.file(), Fsync::Never).unwrap();
        number += 1;
        let message = Bytes::from_static(b"hello");
        store
            .append(&[(number, message.clone()), (number + 1, message)])
            .unwrap();
        drop(store);
        let mut bytes = std::fs::read(folder.file()).unwrap();
        bytes[4096..8192].fill(0xff);
        std::fs::write(folder.file(), &bytes).unwrap();
        assert!(DiskStore::open(folder.file(), Fsync::Never).is_err());
        let (store, found) = DiskStore::salvage(folder.file(), Fsync::Never).unwrap();
        let Salvage::Salvaged {
            messages, damaged, ..
        } = found
        else {
            panic!("{found:?}")
        };
        assert_eq!(messages, 2);
        std::fs::remove_file(damaged).unwrap();
        store
    })
}

fn outbox_that_is_durable(test: LeakTest<'_>) -> Result<Report, LeakError> {
    let folder = Folder::new("leaks-durable");
    test.times(10)
        .warmup(5)
        .run_async_with(listener, async |(listener, address)| {
            let store = DiskStore::open(folder.file(), Fsync::Never).unwrap();
            let outbox = to(*address).durable(store).spawn().unwrap();
            let receipt = outbox.send(Bytes::from_static(b"hello")).await.unwrap();
            let mut peer = accept(listener).await;
            soon("it", peer.next()).await.unwrap().unwrap();
            soon("the receipt", receipt).await.unwrap();
            assert!(soon("the end", outbox.shutdown(LONG)).await.is_complete());
        })
}
