//! For tower: a layer that cancels the handler of a request when its client leaves.
//!
//! May use `axum`, `tonic`, `serve`, `state` and `monitor`. No other room uses it.
//!
//! | layer | ends a handler when |
//! |---|---|
//! | [`CancelLayer`] | its client has left |
//! | the timeout of tower or tower-http | it takes too long, whether or not its client is there |
//! | the load shedding of tower | the service is overloaded, before the handler starts |
//!
//! They are independent of each other, and most servers want the first two. With axum:
//!
//! ```
//! use axum::Router;
//! use axum::body::Body;
//! use axum::extract::Request;
//! use axum::routing::get;
//! use hangup::MonitoredStream;
//! use hangup::tower::CancelLayer;
//! use std::time::Duration;
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! async fn report() -> &'static str {
//!     tokio::time::sleep(Duration::from_secs(60)).await;
//!     "the report"
//! }
//!
//! // Handlers that are about to commit get another second.
//! let layer = CancelLayer::new().grace_period(Duration::from_secs(1));
//! let router = Router::new().route("/report", get(report)).layer(layer);
//!
//! let stream = MonitoredStream::unwatched(tokio::io::empty());
//! let mut request = Request::get("/report").body(Body::empty()).unwrap();
//! request.extensions_mut().insert(stream.monitor()); // as `hangup::axum::into_make_service` does
//! let answer = tokio::spawn(router.oneshot(request));
//! tokio::time::sleep(Duration::from_secs(5)).await;
//! drop(stream); // the client leaves
//! assert_eq!(answer.await.unwrap().unwrap().status(), 499);
//! # }
//! ```

mod cancel;
mod cancel_future;

pub use cancel::{Cancel, CancelLayer};
pub use cancel_future::CancelFuture;
