//! Real errors of TLS, by tokio-rustls over TCP on this machine, and the class of each.

use crate::support::tls::{BROKEN_RECORDS, Setup};
use hangup::errors::{Classifier, ErrorClass, classify, classify_error, is_connection_error};
use hangup::{CloseReason, MonitoredStream};
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, version};
use tokio_rustls::{client, server};

async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    (client.unwrap(), server.unwrap().0)
}

type Outcome = (
    io::Result<client::TlsStream<TcpStream>>,
    io::Result<server::TlsStream<TcpStream>>,
);

async fn shake_hands(setup: Setup) -> Outcome {
    let (connector, acceptor) = setup.make();
    let (client, server) = connected().await;
    let name = ServerName::try_from("localhost").unwrap();
    in_time(async { tokio::join!(connector.connect(name, client), acceptor.accept(server)) }).await
}

/// A TLS connection that stands.
async fn secured() -> (client::TlsStream<TcpStream>, server::TlsStream<TcpStream>) {
    let (mut client, mut server) = match shake_hands(Setup::default()).await {
        (Ok(client), Ok(server)) => (client, server),
        (client, server) => panic!("{:?} {:?}", client.err(), server.err()),
    };
    // The tickets that follow a handshake are read too.
    server.write_all(b"x").await.unwrap();
    client.read_exact(&mut [0]).await.unwrap();
    (client, server)
}

async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("nothing within the deadline")
}

/// That `error` is TLS's, and so the connection's; the words of it are printed.
#[track_caller]
fn assert_tls<T: fmt::Debug>(outcome: io::Result<T>, kind: ErrorKind) -> io::Error {
    let error = outcome.unwrap_err();
    println!("{error:?}");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert_eq!(classify(&error), ErrorClass::Tls, "{error:?}");
    assert!(is_connection_error(&error));
    let reason = CloseReason::from(&error);
    let expected = match kind {
        ErrorKind::UnexpectedEof => CloseReason::Truncated,
        _ if error.to_string().contains("received fatal alert") => CloseReason::TlsAlert,
        _ => CloseReason::Tls,
    };
    assert_eq!(reason, expected, "{error:?}");
    assert_eq!(reason.class(), ErrorClass::Tls);
    error
}

#[tokio::test]
async fn a_certificate_that_nobody_signed() {
    let setup = Setup {
        trusted: false,
        ..Setup::default()
    };
    let (client, server) = shake_hands(setup).await;
    assert_tls(client, ErrorKind::InvalidData);
    // The server hears of it in an alert.
    let alert = assert_tls(server, ErrorKind::InvalidData);
    assert_eq!(CloseReason::from(&alert), CloseReason::TlsAlert);
}

#[tokio::test]
async fn a_certificate_of_another_host() {
    let setup = Setup {
        host: "elsewhere",
        ..Setup::default()
    };
    let (client, _) = shake_hands(setup).await;
    assert_tls(client, ErrorKind::InvalidData);
}

#[tokio::test]
async fn versions_that_do_not_meet() {
    let setup = Setup {
        client: &version::TLS12,
        ..Setup::default()
    };
    let (client, server) = shake_hands(setup).await;
    assert_tls(client, ErrorKind::InvalidData);
    assert_tls(server, ErrorKind::InvalidData);
}

#[tokio::test]
async fn protocols_that_do_not_meet() {
    let setup = Setup {
        client_protocols: vec![b"h2".to_vec()],
        server_protocols: vec![b"http/1.1".to_vec()],
        ..Setup::default()
    };
    let (client, server) = shake_hands(setup).await;
    assert_tls(client, ErrorKind::InvalidData);
    assert_tls(server, ErrorKind::InvalidData);
}

#[tokio::test]
async fn plain_text_to_a_tls_port() {
    let (_, acceptor) = Setup::default().make();
    let (mut client, server) = connected().await;
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert_tls(
        in_time(acceptor.accept(server)).await,
        ErrorKind::InvalidData,
    );
}

#[tokio::test]
async fn a_plain_answer_to_a_tls_client() {
    let (connector, _) = Setup::default().make();
    let (client, mut server) = connected().await;
    server
        .write_all(b"220 mail.invalid ESMTP\r\n")
        .await
        .unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    assert_tls(
        in_time(connector.connect(name, client)).await,
        ErrorKind::InvalidData,
    );
}

#[tokio::test]
async fn an_end_within_the_handshake() {
    let (_, acceptor) = Setup::default().make();
    let (mut client, server) = connected().await;
    client.shutdown().await.unwrap();
    assert_tls(
        in_time(acceptor.accept(server)).await,
        ErrorKind::UnexpectedEof,
    );
}

#[tokio::test]
async fn an_end_without_close_notify() {
    let (mut client, mut server) = secured().await;
    server.get_mut().0.shutdown().await.unwrap();
    assert_tls(
        in_time(client.read(&mut [0])).await,
        ErrorKind::UnexpectedEof,
    );
}

/// The orderly end is no error at all.
#[tokio::test]
async fn an_end_with_close_notify() {
    let (mut client, mut server) = secured().await;
    server.shutdown().await.unwrap();
    assert_eq!(in_time(client.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn broken_records() {
    for record in BROKEN_RECORDS {
        let (mut client, mut server) = secured().await;
        server.get_mut().0.write_all(record).await.unwrap();
        assert_tls(in_time(client.read(&mut [0])).await, ErrorKind::InvalidData);
        // The reader's alert.
        let alert = assert_tls(in_time(server.read(&mut [0])).await, ErrorKind::InvalidData);
        assert_eq!(CloseReason::from(&alert), CloseReason::TlsAlert);
    }
}

/// TLS in a monitored stream: the reason is what the reader met.
#[tokio::test]
async fn a_broken_record_ends_a_monitored_stream() {
    let (client, mut server) = secured().await;
    let mut client = MonitoredStream::new(client).unwrap();
    server
        .get_mut()
        .0
        .write_all(BROKEN_RECORDS[0])
        .await
        .unwrap();
    in_time(client.read(&mut [0])).await.unwrap_err();
    assert_eq!(client.close_reason(), Some(CloseReason::Tls));
    let refused = client.write(b"x").await.unwrap_err();
    assert_eq!(classify(&refused), ErrorClass::Tls);
}

#[derive(Debug)]
struct Library(Box<dyn Error + Send + Sync>);

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("library error")
    }
}

impl Error for Library {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// A library may carry rustls' error by itself, without the `io::Error` around it.
#[test]
fn the_error_of_rustls_by_itself() {
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
    assert_eq!(classify_error(&alert), ErrorClass::Tls);
    assert_eq!(
        classify_error(&Library(alert.clone().into())),
        ErrorClass::Tls
    );
    assert_eq!(
        classify_error(&Library(Box::new(Box::new(alert.clone())))),
        ErrorClass::Tls
    );
    assert_eq!(classify(&io::Error::other(alert)), ErrorClass::Tls);
}

/// The names that are looked for are rustls'; those that others may have count within InvalidData only.
#[test]
fn the_names_of_the_variants() {
    use rustls::{CertRevocationListError, CertificateError, EncryptedClientHelloError};
    use rustls::{ContentType, HandshakeType, InconsistentKeys, InvalidMessage};
    use rustls::{PeerIncompatible, PeerMisbehaved};
    let own = [
        rustls::Error::InappropriateMessage {
            expect_types: Vec::new(),
            got_type: ContentType::Alert,
        },
        rustls::Error::InappropriateHandshakeMessage {
            expect_types: Vec::new(),
            got_type: HandshakeType::ClientHello,
        },
        rustls::Error::InvalidEncryptedClientHello(EncryptedClientHelloError::NoCompatibleConfig),
        rustls::Error::NoCertificatesPresented,
        rustls::Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
        rustls::Error::PeerMisbehaved(PeerMisbehaved::BadCertChainExtensions),
        rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure),
        rustls::Error::InvalidCertificate(CertificateError::Expired),
        rustls::Error::InvalidCertRevocationList(CertRevocationListError::BadSignature),
        rustls::Error::PeerSentOversizedRecord,
    ];
    for error in own {
        assert_eq!(classify_error(&error), ErrorClass::Tls, "{error:?}");
        let error = io::Error::new(ErrorKind::InvalidData, error);
        assert_eq!(classify(&error), ErrorClass::Tls, "{error:?}");
    }
    let common = [
        rustls::Error::InvalidMessage(InvalidMessage::MessageTooLarge),
        rustls::Error::UnsupportedNameType,
        rustls::Error::DecryptError,
        rustls::Error::EncryptError,
        rustls::Error::HandshakeNotComplete,
        rustls::Error::NoApplicationProtocol,
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch),
    ];
    for error in common {
        assert_eq!(classify_error(&error), ErrorClass::Other, "{error:?}");
        let error = io::Error::new(ErrorKind::InvalidData, error);
        assert_eq!(classify(&error), ErrorClass::Tls, "{error:?}");
    }
}

/// What the names leave open, a rule closes: typed, for the version of rustls that one has.
#[test]
fn a_rule_for_all_of_rustls() {
    let classifier = Classifier::new().rule(|_: &rustls::Error| ErrorClass::Tls);
    for error in [
        rustls::Error::General("a provider's".to_owned()),
        rustls::Error::DecryptError,
        rustls::Error::FailedToGetCurrentTime,
    ] {
        assert_eq!(classify_error(&error), ErrorClass::Other);
        assert_eq!(classifier.classify_error(&error), ErrorClass::Tls);
        let error = Library(io::Error::other(error).into());
        assert_eq!(classifier.classify_error(&error), ErrorClass::Tls);
    }
}

/// An error of somebody else's with a longer name, or with a shorter one.
#[test]
fn names_that_only_resemble() {
    #[derive(Debug)]
    struct AlertReceivedLate;
    #[derive(Debug)]
    struct Alert;
    #[derive(Debug)]
    struct InappropriateHandshakeMessageOfAnotherLibrary;
    macro_rules! is_other {
        ($($error:ident)*) => {$(
            impl fmt::Display for $error {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("not TLS")
                }
            }
            impl Error for $error {}
            assert_eq!(classify_error(&$error), ErrorClass::Other);
            let within = io::Error::new(ErrorKind::InvalidData, $error);
            assert_eq!(classify(&within), ErrorClass::Other);
        )*};
    }
    is_other!(AlertReceivedLate Alert InappropriateHandshakeMessageOfAnotherLibrary);
}
