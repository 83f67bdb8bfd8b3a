//! Does not compile: a plain listener has no monitors.

pub(crate) async fn serve(listener: tokio::net::TcpListener) -> std::io::Result<()> {
    let service = axum::Router::new().into_make_service_with_connect_info::<hangup::Monitor>();
    axum::serve(listener, service).await
}
