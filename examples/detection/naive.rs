//! The naive send loop: a failed write tells it that the client has left.

use super::work::Work;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(crate) async fn serve(mut stream: TcpStream, mut work: Work) -> String {
    loop {
        if let Err(error) = stream.write_all(work.next().await).await {
            return error.kind().to_string();
        }
    }
}
