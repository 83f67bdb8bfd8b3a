//! The sections of the page, in its order.

mod detection;
mod growth;
mod idle;
mod outbox;
mod send_file;
pub(crate) mod serve;
mod store;
mod storm;
mod throughput;
mod ways;

use crate::section::Section;

pub(crate) const SECTIONS: [Section; 10] = [
    Section {
        name: "ways",
        title: "How soon a handler learns that its client is gone",
        measure: ways::measure,
    },
    Section {
        name: "detection",
        title: "Detection beside a thread in poll(2) and a read loop",
        measure: detection::measure,
    },
    Section {
        name: "growth",
        title: "Detection as connections grow",
        measure: growth::measure,
    },
    Section {
        name: "storm",
        title: "A storm: ten thousand connections close together",
        measure: storm::measure,
    },
    Section {
        name: "throughput",
        title: "Reads and writes beside the bare stream",
        measure: throughput::measure,
    },
    Section {
        name: "idle",
        title: "What an idle connection costs",
        measure: idle::measure,
    },
    Section {
        name: "send_file",
        title: "send_file beside a loop that reads and writes",
        measure: send_file::measure,
    },
    Section {
        name: "serve",
        title: "serve beside nginx",
        measure: serve::measure,
    },
    Section {
        name: "outbox",
        title: "The outbox beside bare frames",
        measure: outbox::measure,
    },
    Section {
        name: "store",
        title: "The store beside SQLite",
        measure: store::measure,
    },
];
