//! A listener that goes on after errors.

#![cfg(unix)]

use crate::support::{alone, soon};
use futures::FutureExt;
use hangup::MonitoredListener;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::io::ErrorKind;
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;

/// There is no descriptor for a connection. It waits, the error is told, and the next try takes it.
#[test]
fn waits_for_a_descriptor() {
    if !alone("accept::waits_for_a_descriptor") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, mut errors) = unbounded_channel();
        let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
        let listener = listener.on_accept_error(move |error| {
            sender.send((error.raw_os_error(), error.kind())).unwrap();
            panic!("what the callback does ends no listener");
        });
        // The watcher's own descriptors are there from the first connection on.
        let address = listener.local_addr().unwrap();
        let _first = TcpStream::connect(address).await.unwrap();
        let _accepted = soon("the first connection", listener.accept_retrying()).await;

        let client = TcpStream::connect(address).await.unwrap();
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(256);
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(!files.is_empty());

        let mut accept = Box::pin(listener.accept_retrying());
        assert!((&mut accept).now_or_never().is_none());
        let error = errors.try_recv().unwrap();
        assert_eq!(error.0, Some(libc::EMFILE));
        assert_ne!(error.1, ErrorKind::WouldBlock);
        tokio::select! {
            _ = &mut accept => panic!("there is no descriptor"),
            _ = errors.recv() => {}
        }
        files.pop();
        let (_stream, peer) = soon("the connection", accept).await;
        assert_eq!(peer, client.local_addr().unwrap());
    });
}
