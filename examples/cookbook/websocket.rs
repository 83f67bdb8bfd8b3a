//! A WebSocket broadcast: each client receives the time, and what every other client says.
//!
//! ```sh
//! cargo run --example cookbook_websocket
//! websocat ws://127.0.0.1:8080/
//! ```
//!
//! The monitor is that of the connection, so it outlives the upgrade. A client that is killed sends no close frame: the
//! monitor tells of its end, also while the socket is not read.

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::any;
use hangup::MonitoredListener;
use hangup::axum::Peer;
use std::time::Duration;
use std::{env, io};
use tokio::sync::broadcast::Sender;

type Hub = Sender<Utf8Bytes>;

async fn join(State(hub): State<Hub>, peer: Peer, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |mut socket| {
        let talk = talk(&mut socket, hub);
        let talked = peer.monitor.run_until_closed(talk).await;
        // An error of the WebSocket may come first, and does not tell a FIN from a reset. The monitor does.
        let goodbye = matches!(talked, Ok(Ok(())));
        drop(socket);
        let reason = peer.monitor.closed().await;
        println!(
            "{}: stopped: {reason}, close frame: {goodbye}",
            peer.address
        );
    })
}

async fn talk(socket: &mut WebSocket, hub: Hub) -> Result<(), axum::Error> {
    let mut news = hub.subscribe();
    loop {
        tokio::select! {
            said = socket.recv() => match said.transpose()? {
                Some(Message::Text(text)) => drop(hub.send(text)),
                // A close frame: an end that the two programs have agreed upon.
                Some(Message::Close(_)) | None => return Ok(()),
                Some(_) => {}
            },
            // A client that is too slow misses some.
            news = news.recv() => if let Ok(text) = news {
                socket.send(Message::Text(text)).await?;
            },
        }
    }
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8080".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let hub = Hub::new(16);
    let router = Router::new().route("/", any(join)).with_state(hub.clone());
    tokio::spawn(async move {
        loop {
            // Nobody may be there.
            let _ = hub.send(format!("{:?}", std::time::SystemTime::now()).into());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let service = router.into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service).await
}
