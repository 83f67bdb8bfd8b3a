//! Clients that people use: curl, nghttp, h2load, wrk and ab. What is not installed is left out.
//!
//! Chromium is a client of `file_server` in `tests/examples`.

use crate::Running;
use crate::files::{Folder, numbered};
use crate::support::soon;
use crate::support::tls::Setup;
use crate::tls;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::post;
use hangup::serve::{ServeFolder, serve};
use std::future::IntoFuture;
use std::process::Stdio;
use tokio::process::Command;

/// Runs a client, and gives its output. `None` if it is not installed.
async fn client(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let Ok(child) = child else {
        println!("skipped: there is no {program} here");
        return None;
    };
    let output = soon(program, child.wait_with_output()).await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    assert!(
        status.success(),
        "{program} {arguments:?}: {status}: {errors}"
    );
    Some(output.stdout)
}

async fn text(program: &str, arguments: &[&str]) -> Option<String> {
    let output = client(program, arguments).await?;
    Some(String::from_utf8_lossy(&output).into_owned())
}

/// A folder, and a service that sends a body back as it comes.
fn router(folder: &Folder) -> Router {
    folder.write("small", numbered(4096));
    folder.write("large", numbered(3 << 20));
    Router::new()
        .route("/echo", post(async |body: Body| body))
        .route("/length", post(async |body: Bytes| body.len().to_string()))
        .fallback_service(ServeFolder::open(&folder.path).unwrap())
}

/// All that curl does with a server, in one version of HTTP.
async fn curl(folder: &Folder, options: &str, url: &str) {
    let ask = async |more: &str, path: &str| {
        let url = format!("{url}{path}");
        let arguments = ["-sS", "--max-time", "25"].into_iter();
        let arguments = arguments.chain(options.split(' ')).chain(more.split(' '));
        let arguments: Vec<_> = arguments
            .filter(|argument| !argument.is_empty())
            .chain([&*url])
            .collect();
        client("curl", &arguments).await
    };
    let large = numbered(3 << 20);
    let Some(whole) = ask("", "/large").await else {
        return;
    };
    assert!(whole == large, "{options}: {} bytes", whole.len());
    let part = ask("-r 100-299", "/large").await.unwrap();
    assert_eq!(part, large[100..300], "{options}: a range");
    let head = ask("-I", "/small").await.unwrap();
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    assert!(
        head.contains(" 200") && head.contains("content-length: 4096"),
        "{head}"
    );
    let codes = ask("-o /dev/null -w %{http_code}", "/none").await.unwrap();
    assert_eq!(codes, b"404", "{options}");
    let newer = ask("-z 20370101 -o /dev/null -w %{http_code}", "/small").await;
    assert_eq!(newer.unwrap(), b"304", "{options}");
    let upload = format!("--data-binary @{}", folder.path.join("large").display());
    let echoed = ask(&upload, "/echo").await.unwrap();
    assert!(echoed == large, "{options}: an upload of {}", echoed.len());
    // HTTP/1.0 has no chunks.
    if options != "--http1.0" {
        let chunks = format!("{upload} -H Transfer-Encoding:chunked");
        let echoed = ask(&chunks, "/echo").await.unwrap();
        assert!(echoed == large, "{options}: chunks, {}", echoed.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_served() {
    let folder = Folder::new("clients");
    let plain = Running::start(router(&folder), |server| server.h2c(true)).await;
    let setup = Setup { ..Setup::default() };
    let (listener, secure, _) = tls::listener(setup).await;
    let tls = tokio::spawn(serve(listener, router(&folder)).into_future());
    let (plain_url, secure_url) = (
        format!("http://{}", plain.address),
        format!("https://{secure}"),
    );
    for (options, url) in [
        ("--http1.0", &plain_url),
        ("--http1.1", &plain_url),
        ("--http2-prior-knowledge", &plain_url),
        ("-k --http1.1", &secure_url),
        ("-k --http2", &secure_url),
    ] {
        curl(&folder, options, url).await;
    }
    let large = format!("{plain_url}/large");
    if let Some(table) = text("nghttp", &["-n", "-s", "-m20", &large]).await {
        let served = table.lines().filter(|line| line.contains(" 200 ")).count();
        assert_eq!(served, 20, "{table}");
    }
    for url in [&plain_url, &secure_url] {
        let small = format!("{url}/small");
        for version in ["--h1", "-m10"] {
            let arguments = ["-n500", "-c8", version, &small];
            if let Some(told) = text("h2load", &arguments).await {
                assert!(
                    told.contains(" 500 succeeded, 0 failed, 0 errored"),
                    "{told}"
                );
            }
        }
        if let Some(told) = text("wrk", &["-t1", "-c8", "-d1s", &small]).await {
            assert!(
                !told.contains("Non-2xx") && !told.contains("Socket errors"),
                "{told}"
            );
        }
    }
    let small = format!("{plain_url}/small");
    for keep in ["-k", "-d"] {
        if let Some(told) = text("ab", &["-q", "-n500", "-c8", keep, &small]).await {
            assert!(told.contains("Failed requests:        0"), "{told}");
        }
    }
    assert_eq!(plain.stop().await.limits(), []);
    tls.abort();
}
