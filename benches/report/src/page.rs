//! `docs/performance.md`, its plots, and `docs/performance/figures.tsv`.
//!
//! Each section stands between two marks, and a run replaces the sections that it has measured.

use crate::Result;
use crate::section::{Measured, Section};
use crate::{machine, targets};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The command, without the names of sections.
const COMMAND: &str = "cargo run --release --manifest-path benches/report/Cargo.toml --";

pub(crate) struct Page {
    folder: PathBuf,
    sections: BTreeMap<String, String>,
    figures: BTreeMap<String, String>,
}

impl Page {
    /// What earlier runs have left.
    pub(crate) fn read() -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let text = fs::read_to_string(folder.join("performance.md")).unwrap_or_default();
        let mut sections = BTreeMap::new();
        for part in text.split("<!-- ").skip(1) {
            if let Some((name, text)) = part.split_once(": begin -->\n") {
                sections.insert(name.to_owned(), text.to_owned());
            }
        }
        let text = fs::read_to_string(folder.join("performance/figures.tsv")).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once('\t'));
        let figures = pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Ok(Self {
            folder,
            sections,
            figures,
        })
    }

    /// Puts a section in the place of what an earlier run has left of it.
    pub(crate) fn replace(
        &mut self,
        section: &Section,
        measured: Measured,
        load: [String; 2],
    ) -> Result<()> {
        let name = section.name;
        let [before, after] = load;
        let text = format!(
            "{}Measured on {} at a load average of {before} before it and {after} after it, by:\n\n\
             ```sh\n{COMMAND} {name}\n```\n\n",
            measured.text,
            machine::date(),
        );
        self.sections.insert(name.to_owned(), text);
        let prefix = format!("{name}.");
        self.figures.retain(|name, _| !name.starts_with(&prefix));
        self.figures
            .insert(format!("{prefix}date"), machine::date());
        for (figure, value) in measured.figures {
            self.figures.insert(format!("{prefix}{figure}"), value);
        }
        let plots = self.folder.join("performance");
        fs::create_dir_all(&plots)?;
        for (plot, svg) in measured.plots {
            fs::write(plots.join(plot).with_extension("svg"), svg)?;
        }
        Ok(())
    }

    pub(crate) fn write(&self, sections: &[Section]) -> Result<()> {
        let mut page = format!(
            "# Performance\n\n\
             Every figure compares two programs side by side, in one run and in short turns, so that what slows the\n\
             machine down slows both. A figure is the median of the turns. The quartiles stand in brackets: where they\n\
             are far apart, the machine was busy, and the figure says little.\n\n\
             `benches/report` measures this page and writes it, with its plots and\n\
             [performance/figures.tsv](performance/figures.tsv), from which the figures of the README are taken\n\
             (`ci/performance.sh`). All of it takes less than ten minutes, after a build:\n\n\
             ```sh\n{}\n```\n\n{}\n\n## Targets\n\n{}\n",
            COMMAND.trim_end_matches(" --"),
            machine::describe(),
            targets::table(&self.figures),
        );
        for section in sections {
            let Section { name, title, .. } = section;
            let text = self.sections.get(*name);
            let text = text.map_or("Not measured.\n\n", |text| text);
            let text = text.split("<!-- ").next().unwrap_or_default();
            page +=
                &format!("## {title}\n\n<!-- {name}: begin -->\n{text}<!-- {name}: end -->\n\n");
        }
        page.truncate(page.trim_end().len());
        page.push('\n');
        fs::write(self.folder.join("performance.md"), page)?;
        let figures: String = self
            .figures
            .iter()
            .map(|(name, value)| format!("{name}\t{value}\n"))
            .collect();
        fs::write(self.folder.join("performance/figures.tsv"), figures)?;
        Ok(())
    }
}
