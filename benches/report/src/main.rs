//! One page of performance: measures everything side by side, and writes `docs/performance.md` with its plots.
//!
//! ```sh
//! cargo run --release --manifest-path benches/report/Cargo.toml                        # all, less than ten minutes
//! cargo run --release --manifest-path benches/report/Cargo.toml -- detection storm     # some sections
//! ```
//!
//! The sections reuse the turns of the benchmarks beside this folder. The section `serve` needs `nginx` and `wrk`
//! (Debian: nginx-light, wrk), and says so where they are missing. SQLite's library is needed with its headers, or
//! `--features bundled`. Linux only.

mod crowd;
mod machine;
mod page;
mod plot;
mod section;
mod sections;
mod spread;
mod targets;
mod turns;

use page::Page;
use sections::SECTIONS;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // This program again, as the other end of connections or as a server.
        [crowd::ARGUMENT, count, address] => {
            return Ok(crowd::run(count.parse()?, address.parse()?)?);
        }
        [how @ ("--serve" | "--serve-by-one"), folder] => {
            return Ok(sections::serve::run(
                Path::new(folder),
                how == "--serve-by-one",
            )?);
        }
        _ => {}
    }
    if let Some(unknown) = arguments
        .iter()
        .find(|name| !SECTIONS.iter().any(|section| section.name == **name))
    {
        let names: Vec<_> = SECTIONS.iter().map(|section| section.name).collect();
        return Err(format!("no section {unknown}: there are {}", names.join(", ")).into());
    }
    crowd::raise_limit();
    let began = Instant::now();
    let mut page = Page::read()?;
    for section in &SECTIONS {
        if !arguments.is_empty() && !arguments.contains(&section.name) {
            continue;
        }
        let (began, before) = (Instant::now(), machine::load());
        let measured = (section.measure)()?;
        println!("## {}\n\n{}", section.title, measured.text);
        println!("{}: {} s\n", section.name, began.elapsed().as_secs());
        page.replace(section, measured, [before, machine::load()])?;
        // What is measured is kept, if a later section fails.
        page.write(&SECTIONS)?;
    }
    println!(
        "all in {} s; written: docs/performance.md",
        began.elapsed().as_secs()
    );
    Ok(())
}
