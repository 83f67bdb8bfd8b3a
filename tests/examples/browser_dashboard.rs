//! `file_server --dashboard`, looked at in Chromium.

use crate::browser::{Browser, DEADLINE, Tab};
use crate::dashboard::start;
use crate::process::number;
use crate::server::Server;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Instant;

const FILE: u64 = 24 * 1024 * 1024;
/// Bytes a second: slow enough to be looked at.
const RATE: u32 = 2_000_000;

/// The page, when it is told what is new.
fn look<'a>(browser: &'a Browser, server: &Server) -> Tab<'a> {
    let page = browser.open("about:blank");
    page.call("Log.enable", json!({}));
    // The browser keeps the token as a cookie, and shows an address without it.
    page.go(&format!(
        "http://{}/_hangup?token={}",
        server.address, server.token
    ));
    assert_eq!(page.evaluate("location.search"), "");
    page.wait(
        "the events",
        "document.getElementById('feed').textContent == 'Live'",
    );
    page
}

/// The text of the first element that a selector finds, as soon as there is one.
fn text(page: &Tab<'_>, selector: &str) -> String {
    let found = format!("document.querySelector({selector:?})?.textContent");
    let text = page.wait(selector, &found);
    text.as_str().unwrap().to_owned()
}

/// The exact number behind a size that is shown.
fn exact(page: &Tab<'_>, selector: &str) -> u64 {
    let found = format!("document.querySelector({selector:?})?.value");
    let value = page.wait(selector, &found);
    value.as_str().unwrap().parse().unwrap()
}

/// The user looks at the dashboard, starts a download in another tab, and gives it up. The page shows
/// the one and the other, and why it ended, in all sizes and colours.
#[test]
fn a_download_is_given_up_in_another_tab() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let mut server = start("browser", &["--dashboard"]);
    server.sparse("holiday.zip", FILE);
    server.sparse("music & <b>more.zip", FILE);
    let downloads = server.root.join("../downloads");
    fs::create_dir(&downloads).unwrap();
    browser.download_to(&downloads);
    let page = look(&browser, &server);
    let other = browser.open("about:blank");
    other.throttle(RATE);

    let download = other.download(&format!("http://{}/holiday.zip", server.address));
    assert_eq!(
        text(&page, "#open tr.sending .request"),
        "GET /holiday.zip 200"
    );
    page.wait(
        "a fifth of it",
        "document.querySelector('#open progress')?.position > 0.2",
    );
    assert_eq!(
        page.evaluate("document.querySelector('#ended tr.cut')"),
        Value::Null
    );
    let address = text(&page, "#open tr.sending .client");

    let given_up = Instant::now();
    browser.cancel(&download);
    let row = "#ended tr.cut";
    let reason = text(&page, &format!("{row} .outcome"));
    println!(
        "{reason:?} is shown {:.1?} after the download was given up",
        given_up.elapsed()
    );
    assert!(
        ["reset by peer", "closed by peer"].contains(&reason.as_str()),
        "{reason}"
    );
    assert_eq!(text(&page, &format!("{row} .client")), address);
    assert_eq!(
        text(&page, &format!("{row} .request")),
        "GET /holiday.zip 200"
    );
    assert_eq!(
        text(&page, "#news"),
        format!("GET /holiday.zip 200 for {address} ended: {reason}")
    );
    page.wait(
        "the row to go",
        "!document.querySelector('#open tr.sending')",
    );

    // The page says what the server prints.
    let line = server.example.line("GET /holiday.zip 200: ");
    assert!(line.contains(&reason), "{line}");
    let sent = exact(&page, &format!("{row} .sent data"));
    assert_eq!(sent, number(&line, " of 25,165,824 bytes"));
    assert!((FILE / 5..FILE).contains(&sent), "{line}");

    let second = other.download(&format!(
        "http://{}/music%20%26%20%3Cb%3Emore.zip",
        server.address
    ));
    let _stalled = server.begin("/holiday.zip", "");
    server.ask("/no/such/file", "");
    text(&page, "#open tr.stalled");
    assert_eq!(
        text(&page, "#open tr.sending .request"),
        "GET /music & <b>more.zip 200"
    );
    assert_eq!(
        page.evaluate("document.querySelector('#snapshot b')"),
        Value::Null
    );
    shots(&page);
    browser.cancel(&second);
    quiet(&page);
}

/// In `target/tmp`: to be looked at.
fn shots(page: &Tab<'_>) {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (screen, width, height, phone) in [("desktop", 1280, 860, false), ("phone", 390, 844, true)]
    {
        page.resize(width, height, phone);
        for scheme in ["light", "dark"] {
            page.prefer("prefers-color-scheme", scheme);
            let shot = directory.join(format!("dashboard-{screen}-{scheme}.png"));
            page.screenshot(&shot);
            println!("made {}", shot.display());
        }
        let scrolls = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(
            page.evaluate(scrolls),
            false,
            "the page is wider than a {screen}"
        );
        spoken(page);
    }
}

/// What a screen reader is told, whatever the layout.
fn spoken(page: &Tab<'_>) {
    let tree = page.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let names = |role: &str| -> Vec<&str> {
        let nodes = nodes.iter().filter(|node| node["ignored"] == false);
        let nodes = nodes.filter(|node| node["role"]["value"] == role);
        nodes
            .map(|node| node["name"]["value"].as_str().unwrap_or_default())
            .collect()
    };
    assert_eq!(
        names("table"),
        [
            "Open connections",
            "Ended responses, the last 50",
            "Why connections closed"
        ]
    );
    let columns = names("columnheader");
    for column in ["Client", "Status", "Progress", "Outcome", "Sent", "Reason"] {
        assert!(columns.contains(&column), "{columns:?}");
    }
    let (rows, cells) = (names("row").len(), names("cell").len());
    assert!(rows >= 8 && cells >= 20, "{rows} rows, {cells} cells");
    let bars = names("progressbar");
    assert!(bars.contains(&"GET /holiday.zip 200"), "{bars:?}");
    assert_eq!(names("heading")[0], "Connections of file_server");
    assert_eq!(names("button"), ["Pause"]);
}

/// The browser has had nothing to say against the page: no error, nothing that the policy forbids.
fn quiet(page: &Tab<'_>) {
    assert_eq!(page.said(), Vec::<Value>::new());
}

#[test]
fn it_pauses_by_the_keyboard() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = start("pause", &["--dashboard"]);
    let page = look(&browser, &server);
    server.ask("/before", "");
    text(&page, "#ended tr");
    page.press("Tab", 9, "");
    assert_eq!(page.evaluate("document.activeElement.id"), "pause");
    let outline = "getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(page.evaluate(outline), "solid");
    page.press("Enter", 13, "\r");
    page.wait(
        "the pause",
        "document.getElementById('feed').textContent == 'Paused'",
    );
    server.ask("/after", "");
    let ended = "document.querySelectorAll('#ended tbody tr').length";
    assert_eq!(page.evaluate(ended), 1);
    page.press("Enter", 13, "\r");
    page.wait("the rest", &format!("{ended} == 2"));
    // The focus has not moved while all around it did.
    assert_eq!(page.evaluate("document.activeElement.id"), "pause");
    quiet(&page);

    drop(server);
    let feed =
        "document.getElementById('feed').textContent.startsWith('The server does not answer')";
    page.wait("the page to notice", feed);
}

#[test]
fn it_is_readable_without_its_script() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let server = start("no_script", &["--dashboard"]);
    server.ask("/no/such/file", "");
    let page = browser.open("about:blank");
    page.call(
        "Emulation.setScriptExecutionDisabled",
        json!({"value": true}),
    );
    let url = format!("http://{}/_hangup?token={}", server.address, server.token);
    page.call("Page.navigate", json!({"url": url}));
    // The parser asks for each `noscript` whether scripts run, and the navigation does not wait for it.
    let began = Instant::now();
    while !page.has("noscript a") {
        assert!(began.elapsed() < DEADLINE, "no page");
    }
    page.call(
        "Emulation.setScriptExecutionDisabled",
        json!({"value": false}),
    );
    assert_eq!(text(&page, "#ended .request"), "GET /no/such/file 404");
    assert_eq!(text(&page, "noscript a"), "Refresh");
}
