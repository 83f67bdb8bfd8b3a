//! The middleware that records requests for the dashboard.

use crate::Dashboard;
use crate::body::{RecordedBody, Recording};
use crate::request::Request;
use crate::response::Response;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use hangup::axum::Peer;
use http_body::Body as _;

/// Records each request, and follows its response to the end. A middleware for
/// [`from_fn_with_state`](axum::middleware::from_fn_with_state).
///
/// The frames of the body pass unchanged, including those of a file that `hangup::serve` sends with sendfile(2). The
/// server has to be `hangup::serve`, or axum's with `into_make_service_with_connect_info::<Peer>()` (see [`Peer`]).
/// Requests from any other server are answered, but not recorded.
///
/// ```
/// use axum::Router;
/// use axum::middleware::from_fn_with_state;
/// use axum::routing::get;
/// use hangup::MonitoredListener;
/// use hangup::axum::Peer;
/// use hangup_dashboard::{Dashboard, record};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::sync::mpsc::unbounded_channel;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (sender, mut ended) = unbounded_channel();
/// let dashboard = Dashboard::builder()
///     .on_ended(move |response| drop(sender.send(response.clone())))
///     .build();
/// let router = Router::new()
///     .route("/", get(|| async { "hello" }))
///     .layer(from_fn_with_state(dashboard.clone(), record));
///
/// let listener = MonitoredListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// let service = router.into_make_service_with_connect_info::<Peer>();
/// tokio::spawn(axum::serve(listener, service).into_future());
///
/// let mut client = tokio::net::TcpStream::connect(address).await?;
/// client.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").await?;
/// client.read_to_string(&mut String::new()).await?;
/// let ended = ended.recv().await.unwrap();
/// assert_eq!(ended.peer(), client.local_addr()?);
/// assert_eq!((ended.sent(), ended.cut_short()), (5, None));
/// # Ok(())
/// # }
/// ```
pub async fn record(
    State(dashboard): State<Dashboard>,
    request: axum::extract::Request,
    next: Next,
) -> axum::response::Response {
    let (mut parts, body) = request.into_parts();
    let peer = Peer::from_request_parts(&mut parts, &()).await;
    let request = axum::extract::Request::from_parts(parts, body);
    let Ok(peer) = peer else {
        return next.run(request).await;
    };
    let board = dashboard.board().clone();
    let connection = board.connection(peer.address, &peer.monitor);
    let is_head = request.method() == Method::HEAD;
    let request_line = Request {
        method: request.method().clone(),
        target: request.uri().clone(),
        version: request.version(),
        status: None,
    };
    let response = Response::new(request_line, peer.monitor.accepted());
    let mut recording = Recording::new(board, connection, response);

    let answer = next.run(request).await;
    // HTTP drops the body of such a response without polling it.
    if is_head || has_no_body(answer.status()) {
        recording.response.answered(answer.status(), Some(0));
        recording.complete();
        return answer;
    }
    let length = answer
        .body()
        .size_hint()
        .exact()
        .or_else(|| content_length(answer.headers()));
    recording.response.answered(answer.status(), length);
    recording.connection.changed();
    answer.map(|body| Body::new(RecordedBody::new(body, recording)))
}

fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
