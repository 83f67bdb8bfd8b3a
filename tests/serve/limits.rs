//! Each limit: what it ends, and that it says so.

use crate::client::Client;
use crate::http2;
use crate::support::soon;
use crate::{Running, endless};
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::{get, post};
use hangup::serve::{Connection, LimitReason, serve};
use hangup::{CloseReason, Monitor, MonitoredListener, StallPolicy};
use http_body::Body;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::coop::consume_budget;

const SHORT: Duration = Duration::from_millis(300);

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

#[tokio::test]
async fn a_slow_head() {
    let mut server = Running::start(hello(), |server| server.head_timeout(SHORT)).await;
    for sent in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: test\r\n"] {
        let mut client = Client::connect(server.address).await;
        client.send(sent).await;
        assert_eq!(server.limit().await, LimitReason::HeadTimeout, "{sent:?}");
        assert_eq!(client.ended().await, b"", "{sent:?}");
    }
    // A byte now and then gains nothing.
    let mut client = Client::connect(server.address).await;
    let dribble = async {
        loop {
            if client.stream.write_all(b"\r\n").await.is_err() {
                break;
            }
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    soon("the end of a client that dribbles", dribble).await;
    assert_eq!(server.limit().await, LimitReason::HeadTimeout);
}

/// The head of a later request has its own time, which begins with its first byte.
#[tokio::test]
async fn a_slow_second_head() {
    let mut server = Running::start(hello(), |server| {
        server
            .head_timeout(SHORT)
            .keep_alive_timeout(Duration::from_secs(3600))
    })
    .await;
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.get("/").await.text(), "hello");
    tokio::time::sleep(2 * SHORT).await;
    assert_eq!(client.get("/").await.text(), "hello");
    client.send("GET").await;
    assert_eq!(server.limit().await, LimitReason::HeadTimeout);
    assert_eq!(client.ended().await, b"");
}

#[tokio::test]
async fn an_idle_connection() {
    let mut server = Running::start(hello(), |server| server.keep_alive_timeout(SHORT)).await;
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.get("/").await.text(), "hello");
    assert_eq!(server.limit().await, LimitReason::KeepAliveTimeout);
    assert_eq!(client.ended().await, b"");
    let summary = server.stop().await;
    assert_eq!(summary.connections(), 1);
    assert_eq!(summary.limits(), [(LimitReason::KeepAliveTimeout, 1)]);
}

/// A request takes as long as its handler: no time limit counts meanwhile.
#[tokio::test]
async fn a_slow_handler_is_no_slow_client() {
    let slow = async || {
        tokio::time::sleep(4 * SHORT).await;
        "done"
    };
    let server = Running::start(Router::new().route("/", get(slow)), |server| {
        server.head_timeout(SHORT).keep_alive_timeout(SHORT)
    })
    .await;
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.get("/").await.text(), "done");
    assert_eq!(server.stop().await.limits(), []);
}

#[tokio::test]
async fn a_slow_body() {
    let upload = async |body: Result<String, axum::extract::rejection::StringRejection>| match body
    {
        Ok(body) => (StatusCode::OK, body),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, String::new()),
    };
    let mut server = Running::start(Router::new().route("/", post(upload)), |server| {
        server.request_body_rate(StallPolicy::new(1000, SHORT))
    })
    .await;
    let mut client = Client::connect(server.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    assert_eq!(client.response().await.unwrap().text(), "hello");
    client
        .send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\nhello")
        .await;
    assert_eq!(server.limit().await, LimitReason::RequestBodyRate);
    assert_eq!(client.response().await.unwrap().status, 408);
    client.ended().await;
}

/// The rate was not judged while the task had used up its budget of tokio's. A client that floods a TLS connection with records
/// without data sees to that; here the service does.
#[tokio::test]
async fn a_slow_body_of_a_busy_task() {
    let upload = async |request: Request| {
        let mut body = request.into_body();
        let frame = poll_fn(|cx| {
            while pin!(consume_budget()).poll(cx).is_ready() {}
            Pin::new(&mut body).poll_frame(cx)
        });
        match frame.await {
            Some(Ok(_)) => StatusCode::OK,
            _ => StatusCode::REQUEST_TIMEOUT,
        }
    };
    let mut server = Running::start(Router::new().route("/", post(upload)), |server| {
        server.request_body_rate(StallPolicy::new(1000, SHORT))
    })
    .await;
    let mut client = Client::connect(server.address).await;
    client
        .send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n")
        .await;
    assert_eq!(server.limit().await, LimitReason::RequestBodyRate);
    assert_eq!(client.response().await.unwrap().status, 408);
}

/// Silent connections push each other out: who sends a request is answered.
#[tokio::test]
async fn too_many_silent_connections() {
    let mut server = Running::start(hello(), |server| {
        server.max_connections(4).max_connections_per_address(100)
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..10 {
        silent.push(Client::connect(server.address).await);
    }
    let mut client = Client::connect(server.address).await;
    assert_eq!(client.get("/").await.text(), "hello");
    for _ in 0..7 {
        assert_eq!(server.limit().await, LimitReason::Connections);
    }
    for (number, silent) in silent.into_iter().enumerate().take(7) {
        assert_eq!(silent.ended().await, b"", "{number}: the oldest go first");
    }
    assert_eq!(client.get("/").await.text(), "hello", "it stays");
}

#[tokio::test]
async fn too_many_busy_connections_of_an_address() {
    let router = Router::new().route("/", get(async || endless()));
    let mut server = Running::start(router, |server| server.max_connections_per_address(2)).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(server.address).await;
        client.ask("/", "").await;
        let mut byte = [0];
        soon("a response", client.stream.read_exact(&mut byte))
            .await
            .unwrap();
        busy.push(client);
    }
    let refused = Client::connect(server.address).await;
    assert_eq!(refused.ended().await, b"");
    assert_eq!(server.limit().await, LimitReason::ConnectionsPerAddress);
    drop(busy);
    let end = async {
        loop {
            let mut client = Client::connect(server.address).await;
            client.ask("/", "").await;
            if client
                .stream
                .read(&mut [0])
                .await
                .is_ok_and(|bytes| bytes > 0)
            {
                break;
            }
        }
    };
    soon("room again", end).await;
}

#[tokio::test]
async fn too_many_requests() {
    let router = hello().route("/endless", get(async || endless()));
    let mut server = Running::start(router, |server| server.max_requests(1)).await;
    let mut first = Client::connect(server.address).await;
    first.ask("/endless", "").await;
    soon("a response", first.stream.read_exact(&mut [0]))
        .await
        .unwrap();
    let mut second = Client::connect(server.address).await;
    let response = second.get("/").await;
    assert_eq!(response.status, 503);
    assert_eq!(response.field("retry-after"), Some("1"));
    assert_eq!(server.limit().await, LimitReason::Requests);
    drop(first);
    let end = async { while second.get("/").await.status != 200 {} };
    soon("room again", end).await;
}

/// A client with many HTTP/2 connections had all requests, and nobody else had one.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn too_many_requests_of_an_address() {
    let router = hello().route("/endless", get(async || endless()));
    let mut server = Running::start(router, |server| {
        server.h2c(true).max_requests(4).max_requests_per_address(2)
    })
    .await;
    let (requests, _connection) = http2::connect(server.address, 0).await;
    let _first = http2::ask(&requests, "/endless").await.unwrap();
    let second = http2::ask(&requests, "/endless").await.unwrap();
    let refused = http2::ask(&requests, "/").await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.limit().await, LimitReason::RequestsPerAddress);
    // All of 127.0.0.0/8 is this host.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let other = socket.connect(server.address).await.unwrap();
    let mut other = Client::on(other);
    assert_eq!(other.get("/").await.text(), "hello");
    drop((refused, second));
    let end = async {
        while http2::ask(&requests, "/").await.unwrap().status() != StatusCode::OK {
            // The task of a request that was reset ends a moment later, and a request at once would find it.
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    soon("room again", end).await;
}

/// HTTP/2 packs a field of the table into a byte, and each takes memory. Only their size was limited.
#[tokio::test]
async fn many_fields_on_http2() {
    let mut server = Running::start(hello(), |server| server.h2c(true).max_headers(20)).await;
    let (requests, _connection) = http2::connect(server.address, 65_535).await;
    let status = async |name: &str, fields: usize| {
        let mut request = http::Request::get("http://test/").body(()).unwrap();
        let name = http::HeaderName::try_from(name).unwrap();
        for field in 0..fields {
            request.headers_mut().append(name.clone(), field.into());
        }
        let mut ready = requests.clone().ready().await.unwrap();
        let (response, _) = ready.send_request(request, true).unwrap();
        soon("the response", response).await.unwrap().status()
    };
    assert_eq!(status("x", 20).await, StatusCode::OK);
    assert_eq!(status("cookie", 20).await, StatusCode::OK);
    let refused = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    for name in ["x", "cookie"] {
        assert_eq!(status(name, 21).await, refused, "{name}");
        assert_eq!(server.limit().await, LimitReason::HeadSize);
    }
}

#[tokio::test]
async fn long_targets_and_large_heads() {
    let mut server = Running::start(hello(), |server| {
        server
            .max_uri_length(100)
            .max_head_size(2000)
            .max_headers(20)
    })
    .await;
    let mut client = Client::connect(server.address).await;
    let long = "/".repeat(101);
    assert_eq!(client.get(&long).await.status, 414);
    assert_eq!(server.limit().await, LimitReason::UriLength);
    assert_eq!(client.get("/").await.status, 200, "the connection goes on");
    for fields in [
        "X: 1\r\n".repeat(30),
        format!("X: {}\r\n", "1".repeat(3000)),
    ] {
        let mut client = Client::connect(server.address).await;
        assert_eq!(client.get_with("/", &fields).await.status, 431);
        // The server waits for a client that may still be sending, and tells of the limit then.
        client.ended().await;
        assert_eq!(server.limit().await, LimitReason::HeadSize);
    }
}

#[tokio::test]
async fn hosts() {
    let server = Running::start(hello(), |server| server).await;
    for (fields, status) in [
        ("", 400),
        ("Host:\r\n", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: example.com:8080\r\n", 200),
    ] {
        let mut client = Client::connect(server.address).await;
        client
            .send(&format!("GET / HTTP/1.1\r\n{fields}\r\n"))
            .await;
        assert_eq!(
            client.response().await.unwrap().status,
            status,
            "{fields:?}"
        );
    }
}

/// A client that does not read is reset, and its handler's monitor says why.
#[tokio::test]
async fn a_stalled_reader() {
    let (monitors, mut monitor) = unbounded_channel();
    let router = Router::new().route(
        "/",
        get(async move |monitor: Monitor| {
            monitors.send(monitor).unwrap();
            endless()
        }),
    );
    let policy = StallPolicy::new(1000, SHORT);
    let server = Running::start(router, |server| server.stall_policy(policy)).await;
    let mut client = Client::with_small_buffer(server.address).await;
    client.ask("/", "").await;
    let monitor = soon("the request", monitor.recv()).await.unwrap();
    assert_eq!(
        soon("the stall", monitor.closed()).await,
        CloseReason::Stalled
    );
}

#[tokio::test]
async fn small_writes_leave_at_once_and_dead_peers_are_found() {
    let (connections, mut connection) = unbounded_channel();
    let router = Router::new().route(
        "/",
        get(async move |request: Request| {
            let connection = request.extensions().get::<Connection>().cloned();
            connections.send(connection).unwrap();
        }),
    );
    let server = Running::start(router, |server| server).await;
    let mut client = Client::connect(server.address).await;
    client.get("/").await;
    let connection = connection.recv().await.unwrap().unwrap();
    assert_eq!(
        connection.remote_addr().unwrap(),
        client.stream.local_addr().unwrap()
    );
    assert!(!connection.monitor().is_closed());
}

#[tokio::test]
async fn a_time_that_no_connection_could_be_given() {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let server = serve(listener, hello()).dead_peer_timeout(Duration::from_secs(1));
    let error = soon("the refusal", server.into_future()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

/// A callback that printed to a closed pipe ended the server: it ran in the loop that accepts.
#[tokio::test]
async fn a_callback_that_panics_ends_nobody() {
    let listener = MonitoredListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = serve(listener, hello())
        .max_connections(1)
        .on_limit(|_| panic!("the callback of the test"))
        .shutdown_timeout(Duration::from_millis(1))
        .graceful_shutdown(async { drop(stopped.await) });
    let server = tokio::spawn(server.into_future());
    let silent = Client::connect(address).await;
    let mut client = Client::connect(address).await;
    assert_eq!(client.get("/").await.text(), "hello");
    assert_eq!(silent.ended().await, b"");
    stop.send(()).unwrap();
    let summary = soon("the end of the server", server)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(summary.limits(), [(LimitReason::Connections, 1)]);
}
