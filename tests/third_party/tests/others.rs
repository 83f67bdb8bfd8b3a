//! tungstenite, quinn, redis and tokio-postgres.

use hangup::errors::ErrorClass::{self, *};
use hangup_third_party::*;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite;

#[tokio::test]
async fn tungstenite() {
    let connect = async |address: SocketAddr| {
        let url = format!("ws://{address}/");
        tokio_tungstenite::connect_async(url).await.unwrap_err()
    };
    assert_seen(&connect(nobody().await).await, Disconnected);
    assert_seen(&connect(resets().await).await, Disconnected);
    assert_hidden(&connect(closes().await).await, Disconnected);
    assert_hidden(&connect(talks_nonsense().await).await, Other);
    for (answer, class) in [
        (
            &b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"[..],
            Disconnected,
        ),
        (
            b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            Disconnected,
        ),
        (
            b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            Other,
        ),
    ] {
        assert_hidden(&connect(answers(answer).await).await, class);
    }
    use tungstenite::Error;
    use tungstenite::error::ProtocolError;
    for error in [
        Error::ConnectionClosed,
        Error::AlreadyClosed,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake),
        Error::Protocol(ProtocolError::SendAfterClosing),
    ] {
        assert_hidden(&error, Disconnected);
    }
    let io = Error::Io(io::ErrorKind::TimedOut.into());
    assert_seen(&io, Timeout);
}

#[test]
fn quinn() {
    use quinn::{ApplicationClose, ConnectionError, ReadError, ReadExactError, WriteError};
    let closed = ApplicationClose {
        error_code: 0_u32.into(),
        reason: "bye".into(),
    };
    for (error, class) in [
        (ConnectionError::TimedOut, Timeout),
        (ConnectionError::Reset, Disconnected),
        (ConnectionError::LocallyClosed, Disconnected),
        (ConnectionError::ApplicationClosed(closed), Disconnected),
        (ConnectionError::VersionMismatch, Other),
    ] {
        assert_hidden(&error, class);
        assert_hidden(&WriteError::ConnectionLost(error.clone()), class);
        assert_hidden(&ReadError::ConnectionLost(error.clone()), class);
        // quinn's own way into an io::Error gives the kind, but for what this side closed itself.
        match error {
            ConnectionError::VersionMismatch => {}
            ConnectionError::LocallyClosed => assert_hidden(&io::Error::from(error), class),
            _ => assert_seen(&io::Error::from(error), class),
        }
    }
    assert_hidden(&WriteError::Stopped(3_u32.into()), Disconnected);
    assert_hidden(&ReadError::Reset(3_u32.into()), Disconnected);
    assert_hidden(&ReadExactError::FinishedEarly(3), Disconnected);
}

async fn redis_error(url: String) -> redis::RedisError {
    let client = redis::Client::open(url).unwrap();
    match client.get_multiplexed_async_connection().await {
        Err(error) => error,
        Ok(mut connection) => redis::cmd("PING")
            .query_async::<()>(&mut connection)
            .await
            .unwrap_err(),
    }
}

#[tokio::test]
async fn redis() {
    let error = async |address: SocketAddr| redis_error(format!("redis://{address}/")).await;
    assert_seen(&error(nobody().await).await, Disconnected);
    assert_seen(&error(resets().await).await, Disconnected);
    assert_seen(&error(closes().await).await, Disconnected);
    assert_seen(&error(silent().await).await, Timeout);
    let label = "x".repeat(64);
    assert_seen(
        &redis_error(format!("redis://{label}.invalid/")).await,
        Resolution,
    );
    for (answer, class) in [
        (
            "LOADING Redis is loading the dataset in memory",
            Disconnected,
        ),
        ("MASTERDOWN Link with MASTER is down", Disconnected),
        (
            "READONLY You can't write against a read only replica",
            Disconnected,
        ),
        ("WRONGTYPE Operation against a key", Other),
    ] {
        assert_hidden(&error(refuses_commands(answer).await).await, class);
    }
}

/// A Redis server that answers each command with an error.
async fn refuses_commands(answer: &'static str) -> SocketAddr {
    server(move |mut stream| async move {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut bytes).await {
            let commands = bytes[..count].iter().filter(|byte| **byte == b'*').count();
            let answers = format!("-{answer}\r\n").repeat(commands);
            let _ = stream.write_all(answers.as_bytes()).await;
        }
    })
    .await
}

async fn postgres_error(address: SocketAddr) -> tokio_postgres::Error {
    let config = format!("host=127.0.0.1 port={} user=app", address.port());
    match tokio_postgres::connect(&config, tokio_postgres::NoTls).await {
        Err(error) => error,
        Ok((client, connection)) => {
            tokio::spawn(connection);
            client.simple_query("select 1").await.unwrap_err()
        }
    }
}

#[tokio::test]
async fn tokio_postgres() {
    assert_seen(&postgres_error(nobody().await).await, Disconnected);
    assert_seen(&postgres_error(resets().await).await, Disconnected);
    assert_hidden(&postgres_error(closes().await).await, Disconnected);
    // Let in, and cut off at the first query: AuthenticationOk, ReadyForQuery.
    let welcome = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
    assert_hidden(&postgres_error(answers(welcome).await).await, Disconnected);
    for (code, message, class) in [
        ("57P03", "the database system is starting up", Disconnected),
        (
            "57P01",
            "terminating connection due to administrator command",
            Disconnected,
        ),
        ("53300", "sorry, too many clients already", Disconnected),
        (
            "28P01",
            "password authentication failed for user \"app\"",
            Permission,
        ),
        ("3D000", "database \"app\" does not exist", Other),
    ] {
        refused(code, message, class).await;
    }
}

/// That PostgreSQL's refusal with `message` is of `class`.
async fn refused(code: &str, message: &str, class: ErrorClass) {
    let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
    let mut answer = vec![b'E'];
    answer.extend((fields.len() as u32 + 4).to_be_bytes());
    answer.extend(fields.bytes());
    let error = postgres_error(answers(answer.leak()).await).await;
    assert_hidden(&error, class);
}
