//! A system that refuses `TCP_INFO`, as some sandboxes do: `poll(2)` tells instead.
//!
//! A seccomp filter refuses the call for one thread, on which a runtime of its own runs.

use crate::support::{Pair, Peer, Tcp4, reason};
use hangup::{CloseReason, HalfClose, MonitorConfig, MonitoredStream, Status};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::collections::BTreeMap;
use std::future::Future;
use std::io::{Read, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs `test` where `getsockopt(IPPROTO_TCP, TCP_INFO)` gives ENOPROTOOPT.
fn sandboxed<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let is = |argument, value: i32| {
        SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Eq,
            value as u64,
        )
        .unwrap()
    };
    let rule = SeccompRule::new(vec![is(1, libc::IPPROTO_TCP), is(2, libc::TCP_INFO)]).unwrap();
    let filter = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_getsockopt, vec![rule])]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOPROTOOPT as u32),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let filter: BpfProgram = filter.unwrap().try_into().unwrap();
    let thread = std::thread::spawn(move || {
        apply_filter(&filter).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn the_filter_refuses_tcp_info() {
    sandboxed(|| async {
        let (ours, _peer) = Tcp4::pair();
        let mut stream = MonitoredStream::new(ours).unwrap();
        stream.write_all(b"1").await.unwrap();
        assert_eq!(stream.monitor().transfer().acknowledged, None);
    });
}

#[test]
fn a_fin_behind_unread_data() {
    sandboxed(|| async {
        let (ours, mut peer) = Tcp4::pair();
        let stream = MonitoredStream::new(ours).unwrap();
        assert_eq!(stream.monitor().probe(), Status::Open);
        peer.write_all(b"unread").unwrap();
        drop(peer);
        assert_eq!(reason(&stream.monitor()).await, CloseReason::PeerClosed);
    });
}

#[test]
fn a_reset() {
    sandboxed(|| async {
        let (ours, peer) = Tcp4::pair();
        let stream = MonitoredStream::new(ours).unwrap();
        peer.reset();
        assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
    });
}

#[test]
fn a_half_close_and_an_answer() {
    sandboxed(|| async {
        let (ours, mut peer) = Tcp4::pair();
        let config = MonitorConfig::new().half_close(HalfClose::Allow);
        let mut stream = MonitoredStream::with_config(ours, &config).unwrap();
        peer.finish();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(stream.monitor().status(), Status::PeerFinished);
        stream.write_all(b"answer").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        assert_eq!(reason(&stream.monitor()).await, CloseReason::Finished);
    });
}

#[test]
fn an_orderly_end_that_nobody_reads() {
    sandboxed(|| async {
        let (ours, peer) = Tcp4::pair();
        let mut stream = MonitoredStream::new(ours).unwrap();
        stream.shutdown().await.unwrap();
        drop(peer);
        assert_eq!(reason(&stream.monitor()).await, CloseReason::Finished);
    });
}

#[test]
fn a_blocked_writer() {
    sandboxed(|| async {
        let (ours, peer) = Tcp4::pair();
        let mut stream = MonitoredStream::new(ours).unwrap();
        let monitor = stream.monitor();
        let write = stream.write_all(&[0; 64 * 1024 * 1024]);
        let leave = async {
            while monitor.accepted() == 0 {
                tokio::task::yield_now().await;
            }
            drop(peer);
        };
        let (written, ()) = tokio::join!(write, leave);
        written.unwrap_err();
        // The peer has left data unread, and so it resets.
        assert_eq!(reason(&monitor).await, CloseReason::Reset);
    });
}

/// A listener tells what its connections are, and here it cannot.
#[test]
fn a_connection_of_a_listener() {
    sandboxed(|| async {
        let listener = hangup::MonitoredListener::bind("127.0.0.1:0")
            .await
            .unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        peer.write_all(b"unread").unwrap();
        stream.write_all(b"1").await.unwrap();
        assert_eq!(stream.monitor().transfer().acknowledged, None);
        drop(peer);
        assert_eq!(reason(&stream.monitor()).await, CloseReason::Reset);
    });
}
