//! `file_server --dashboard`, looked at in Chromium.

use crate::browser::Browser;

#[test]
fn smoke() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let tab = browser.open("data:text/html,<h1>hello</h1>");
    assert_eq!(
        tab.evaluate("document.querySelector('h1').textContent"),
        "hello"
    );
    tab.wait("it", "document.querySelector('h1')");
    tab.close();
}
