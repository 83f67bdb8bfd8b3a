//! One client, from its connection to what the server reports about its end.

use super::client::Client;
use super::leaving::Leaving;
use super::pages::FILES;
use super::reports::Report;
use super::site::{HEAD, Site, TARGET};
use anyhow::{Context, ensure};
use fastrand::Rng;
use hangup::http::GoneReason;
use std::ops::Range;

/// The length of an upload. The server's system does not take all of it by itself.
const UPLOAD: usize = 1 << 20;

/// Some requests, and one of the ways to leave.
pub(crate) async fn visit(site: &Site, random: &mut Rng) -> anyhow::Result<()> {
    let leaving = Leaving::draw(random);
    let report = site.pages.reports.of_client();
    let visited = one(site, leaving, report, random).await;
    visited.with_context(|| format!("an HTTP client: {leaving:?}"))
}

async fn one(
    site: &Site,
    leaving: Leaving,
    report: Report,
    random: &mut Rng,
) -> anyhow::Result<()> {
    let mut client = Client::connect(site.address, report.number).await?;
    site.expect(leaving.limit());
    if leaving == Leaving::SendsNothing {
        client.shut_down().await?;
        ensure!(client.ended().await?, "reset");
        return Ok(());
    }
    for _ in 0..random.u8(1..4) {
        let length = FILES[random.usize(..FILES.len() - 1)];
        let part = part(length, random);
        client.file(length, part).await.context("a file")?;
    }
    let producers = leave(&mut client, leaving, random).await?;
    let stays = leaving == Leaving::Stalls;
    let client = Some(client).filter(|_| stays);
    let (reason, gone) = report.end(producers).await?;
    drop(client);
    ensure!(leaving.allows(&reason), "told as {reason}");
    for gone in gone {
        let fits = match &gone {
            GoneReason::Connection(gone) => *gone == reason,
            // HTTP may drop the response first.
            GoneReason::Cancelled => true,
            _ => false,
        };
        ensure!(
            fits,
            "the connection was told as {reason}, its producer as {gone}"
        );
    }
    Ok(())
}

/// A random part of a file, and often all of it.
fn part(length: usize, random: &mut Rng) -> Range<usize> {
    if length == 0 || random.bool() {
        return 0..length;
    }
    let start = random.usize(..length);
    start..random.usize(start + 1..=length)
}

/// Does the last thing before the client is dropped. Returns how many endless responses it has asked for.
async fn leave(client: &mut Client, leaving: Leaving, random: &mut Rng) -> anyhow::Result<usize> {
    match leaving {
        Leaving::SendsNothing | Leaving::Closes => {}
        Leaving::AsksToClose => {
            client.ask("GET /file/1", "Connection: close\r\n").await?;
            ensure!(client.head().await?.status == 200, "refused");
            client.content(0..1).await?;
            ensure!(client.ended().await?, "reset");
        }
        Leaving::ClosesInABody => return in_a_body(client, random).await,
        Leaving::Resets => {
            client.socket().set_zero_linger()?;
            if random.bool() {
                return in_a_body(client, random).await;
            }
        }
        Leaving::Uploads => {
            let length = format!("Content-Length: {UPLOAD}\r\n");
            client.ask("POST /upload", &length).await?;
            client.send(&vec![7; UPLOAD]).await?;
            let head = client.head().await.context("the answer")?;
            ensure!(head.status == 413, "{head:?}");
            ensure!(client.ended().await?, "reset");
        }
        Leaving::SendsALongTarget => {
            client
                .ask(&format!("GET /{}", "x".repeat(TARGET)), "")
                .await?;
            let head = client.head().await?;
            ensure!(head.status == 414, "{head:?}");
        }
        Leaving::SendsALargeHead => {
            let field = format!("Cookie: {}\r\n", "x".repeat(HEAD));
            client.ask("GET /file/1", &field).await?;
            let head = client.head().await?;
            ensure!(head.status == 431, "{head:?}");
            ensure!(client.ended().await?, "reset");
        }
        Leaving::SendsHalfAHead => {
            client.send(b"GET /file/1 HTTP/1.1\r\nHost:").await?;
            client.ended().await?;
        }
        Leaving::StaysIdle => {
            client.ended().await?;
        }
        Leaving::Stalls => {
            client.ask("GET /lines", "").await?;
            return Ok(1);
        }
    }
    Ok(0)
}

/// Reads a part of a large file, or of an endless response.
async fn in_a_body(client: &mut Client, random: &mut Rng) -> anyhow::Result<usize> {
    let is_endless = random.bool();
    let (target, length) = match is_endless {
        true => ("GET /lines".to_owned(), None),
        false => {
            let length = FILES[FILES.len() - 1];
            (format!("GET /file/{length}"), Some(length))
        }
    };
    client.ask(&target, "").await?;
    let head = client.head().await?;
    ensure!(head.status == 200 && head.length == length, "{head:?}");
    match is_endless {
        true => client.lines(random.u64(..100)).await?,
        false => client.content(0..random.usize(..500_000)).await?,
    }
    Ok(usize::from(is_endless))
}
