//! The state of the link while the program runs, on standard error.

use crate::report::Report;
use hangup::outbox::{Link, Outbox, OutboxStatus};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::{Instant, interval};

/// How often the line is redrawn.
const FRAME: Duration = Duration::from_millis(50);

pub(crate) struct View {
    bar: ProgressBar,
    began: Instant,
    link: Option<Link>,
}

impl View {
    pub(crate) fn new(messages: u64) -> Self {
        let bar = ProgressBar::new(messages);
        let style = ProgressStyle::with_template("{bar:8} {human_pos}/{human_len}  {wide_msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self {
            bar,
            began: Instant::now(),
            link: None,
        }
    }

    /// Shows the state until the outbox has ended.
    pub(crate) async fn show(mut self, outbox: Outbox<Report>, sent: Arc<AtomicU64>) {
        let mut status = outbox.subscribe();
        let mut frames = interval(FRAME);
        loop {
            let over = tokio::select! {
                changed = status.changed() => changed.is_err(),
                _ = frames.tick() => false,
            };
            // The state of this moment: the channel carries the counts only now and then.
            let now = outbox.status();
            let changed = self.link.as_ref() != Some(&now.link);
            self.link = Some(now.link.clone());
            let line = self.line(&now);
            if !self.bar.is_hidden() {
                self.bar.set_position(sent.load(Ordering::Relaxed));
                self.bar.set_message(line);
            } else if changed {
                note!("{:7.3} s  {line}", self.began.elapsed().as_secs_f64());
            }
            if over || matches!(now.link, Link::Closed | Link::GaveUp(_)) {
                self.bar.finish_and_clear();
                return;
            }
        }
    }

    fn line(&self, status: &OutboxStatus) -> String {
        let link = match &status.link {
            Link::Connecting { .. } => "connecting".to_owned(),
            Link::Connected => "connected".to_owned(),
            Link::Retrying {
                attempt,
                retry_at,
                reason,
                ..
            } => format!(
                "retrying: attempt {attempt} in {:.2} s, {reason}",
                retry_at
                    .saturating_duration_since(Instant::now())
                    .as_secs_f64()
            ),
            Link::Closed => "ended".to_owned(),
            Link::GaveUp(why) => format!("gave up: {why}"),
            other => format!("{other:?}"),
        };
        format!("{link}; {} queued", HumanCount(status.queued as u64))
    }
}
