//! Several addresses: the order in which they are tried, and what their errors lead to.

use hangup::outbox::*;
use std::future::{Ready, pending, ready};
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::codec::LinesCodec;

const SECOND: Duration = Duration::from_secs(1);

fn fails(kind: ErrorKind) -> Ready<io::Result<DuplexStream>> {
    ready(Err(kind.into()))
}

/// Each call begins behind the address that connected last.
#[tokio::test]
async fn the_address_after_the_last_one_is_tried_first() {
    let tried = Arc::new(Mutex::new(Vec::new()));
    let notes = tried.clone();
    let mut connect = connect_in_turn(["a", "b", "c"], SECOND, move |address| {
        notes.lock().unwrap().push(address);
        match address {
            "a" => fails(ErrorKind::ConnectionRefused),
            _ => ready(Ok(tokio::io::duplex(1).0)),
        }
    });
    for _ in 0..3 {
        connect().await.unwrap();
    }
    assert_eq!(*tried.lock().unwrap(), ["a", "b", "c", "a", "b"]);
}

/// An address that swallows packets takes its own time only.
#[tokio::test(start_paused = true)]
async fn an_address_that_hangs_is_passed_over() {
    let began = Instant::now();
    let mut connect = connect_in_turn(["hole", "b"], SECOND, |address| async move {
        match address {
            "hole" => pending().await,
            _ => Ok(tokio::io::duplex(1).0),
        }
    });
    connect().await.unwrap();
    assert_eq!(began.elapsed(), SECOND);
}

#[tokio::test]
async fn the_error_has_that_of_each_address() {
    let kinds = [ErrorKind::Unsupported, ErrorKind::NetworkUnreachable];
    let mut connect = connect_in_turn([0, 1], SECOND, move |place| fails(kinds[place]));
    let error = connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable);
    assert_eq!(error.to_string(), "0: unsupported; 1: network unreachable");
    let mut none = connect_in_turn([0; 0], SECOND, |_| fails(ErrorKind::Other));
    assert_eq!(none().await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

/// One address that is wrong does not end an outbox that has another one; all of them do.
#[tokio::test(start_paused = true)]
async fn it_gives_up_only_if_all_addresses_are_wrong() {
    let link = |kinds: [ErrorKind; 2]| async move {
        let connect = connect_in_turn([0, 1], SECOND, move |place: usize| {
            ready(Err::<TcpStream, _>(io::Error::from(kinds[place])))
        });
        let outbox = Outbox::<String>::builder(connect, LinesCodec::new)
            .spawn()
            .unwrap();
        let mut states = outbox.subscribe();
        let tried = |status: &OutboxStatus| !matches!(status.link, Link::Connecting { .. });
        states.wait_for(tried).await.unwrap().link.clone()
    };
    let wrong = ErrorKind::InvalidInput;
    assert!(matches!(link([wrong, wrong]).await, Link::GaveUp(_)));
    let retries = link([wrong, ErrorKind::ConnectionRefused]).await;
    assert!(matches!(retries, Link::Retrying { .. }), "{retries:?}");
}

/// The limit of the whole call was over before the last address was tried, and each call began with the first one: the last
/// one was never reached.
#[tokio::test(start_paused = true)]
async fn an_address_behind_the_limit_of_the_call_is_reached() {
    let tried = Arc::new(Mutex::new(Vec::new()));
    let notes = tried.clone();
    let mut connect = connect_in_turn(["hole", "pit", "c"], 6 * SECOND, move |address| {
        notes.lock().unwrap().push(address);
        async move {
            match address {
                "c" => Ok(tokio::io::duplex(1).0),
                _ => pending().await,
            }
        }
    });
    // As `connect_timeout` does.
    let first = tokio::time::timeout(10 * SECOND, connect()).await;
    assert!(first.is_err());
    let second = tokio::time::timeout(10 * SECOND, connect()).await;
    second.unwrap().unwrap();
    assert_eq!(*tried.lock().unwrap(), ["hole", "pit", "c"]);
}

/// A name without an address, or a service without an instance, is no mistake of the program: there may be one later.
#[tokio::test(start_paused = true)]
async fn a_look_up_that_finds_nothing_is_tried_again() {
    async fn none() -> io::Result<TcpStream> {
        TcpStream::connect(&[][..]).await
    }
    assert_eq!(none().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let in_turn = connect_in_turn(["a", "b"], SECOND, |_| none());
    for outbox in [
        Outbox::<String>::builder(none, LinesCodec::new),
        Outbox::<String>::builder(in_turn, LinesCodec::new),
    ] {
        let outbox = outbox.spawn().unwrap();
        let mut states = outbox.subscribe();
        let tried = |status: &OutboxStatus| !matches!(status.link, Link::Connecting { .. });
        let link = states.wait_for(tried).await.unwrap().link.clone();
        assert!(matches!(link, Link::Retrying { .. }), "{link:?}");
    }
}
