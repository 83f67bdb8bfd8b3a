//! `file_server --dashboard`, looked at in Chromium.

use crate::browser::Browser;
use crate::process::{binary, directory};
use crate::server::Server;
use std::path::Path;
use std::process::Command;

const HUGE: u64 = 1024 * 1024 * 1024;

fn start(test: &str, options: &[&str]) -> Server {
    let root = directory(test).join("root");
    std::fs::create_dir(&root).unwrap();
    let mut command = Command::new(binary("file_server"));
    command.arg("--root").arg(&root).args(options);
    Server::run(&mut command, root)
}

#[test]
fn look() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = start("look", &["--dashboard"]);
    server.sparse("huge.bin", HUGE);
    server.sparse("<b>ü & \u{202e}x.bin", HUGE);
    std::fs::write(server.root.join("small.txt"), "small").unwrap();
    let page = browser.open(&format!("http://{}/_hangup", server.address));
    page.wait(
        "feed",
        "document.getElementById('feed').textContent == 'Live'",
    );
    let other = browser.open("about:blank");
    let dir = server.root.join("../downloads");
    std::fs::create_dir(&dir).unwrap();
    browser.download_to(&dir);
    other.throttle(4_000_000);
    let one = other.download(&format!("http://{}/huge.bin", server.address));
    let _two = other.download(&format!(
        "http://{}/<b>%C3%BC & %E2%80%AEx.bin",
        server.address
    ));
    for _ in 0..3 {
        server.ask("/small.txt", "");
    }
    server.ask("/nothing", "");
    let stalled = server.begin("/huge.bin", "");
    page.wait("row", "document.querySelector('.stalled')");
    browser.cancel(&one);
    page.wait("cut", "document.querySelector('#ended .cut')");
    println!(
        "{:?}",
        std::fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().metadata().unwrap().len())
            .collect::<Vec<_>>()
    );
    println!(
        "{}",
        page.evaluate("document.getElementById('snapshot').innerText")
    );
    println!(
        "{}",
        page.evaluate("document.getElementById('news').innerText")
    );
    for (w, h, phone) in [(1280, 900, false), (390, 844, true)] {
        for scheme in ["light", "dark"] {
            page.resize(w, h, phone);
            page.prefer("prefers-color-scheme", scheme);
            page.screenshot(Path::new(&format!("/tmp/page-{w}-{scheme}.png")));
        }
    }
    drop(stalled);
}
