//! The naive send loop: learns of the hang-up from a write that fails.

use crate::work::Work;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

pub(crate) async fn serve(mut stream: TcpStream, mut work: Work) -> String {
    loop {
        if let Err(error) = stream.write_all(work.next().await).await {
            return error.kind().to_string();
        }
    }
}
