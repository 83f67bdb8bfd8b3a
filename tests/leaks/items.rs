//! Every public function has a leak test, or a reason to have none: `items.tsv` against the source.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use syn::{ImplItem, Item, TraitItem, Visibility};

const TABLE: &str = include_str!("items.tsv");

/// Fails for a public function without a line, a line without a function, and a test that there is not.
pub(crate) fn check(tests: &[&str]) -> Result<(), String> {
    let mut items = BTreeSet::new();
    collect(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src").as_path(),
        &mut items,
    );
    let table: BTreeMap<&str, &str> = TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').unwrap_or((line, "")))
        .collect();
    let mut faults = Vec::new();
    for item in &items {
        match table.get(item.as_str()) {
            None => faults.push(format!(
                "{item}: add a leak test, and its line to items.tsv"
            )),
            Some(test) if test.starts_with("none: ") => {}
            Some(test) if tests.contains(test) => {}
            Some(test) => faults.push(format!("{item}: there is no leak test {test:?}")),
        }
    }
    for item in table.keys() {
        if !items.contains(*item) {
            faults.push(format!("{item}: it is in items.tsv, and not in src"));
        }
    }
    if faults.is_empty() {
        println!(
            "items: {} public functions have a leak test or a reason",
            items.len()
        );
        return Ok(());
    }
    Err(faults.join("\n"))
}

fn collect(folder: &Path, items: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, items);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let file = syn::parse_file(&source).unwrap();
            // A free function is named after its room, and not its file, which may be split.
            let room = folder.file_name().unwrap().to_str().unwrap();
            of_items(&file.items, room, items);
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The lint `unreachable_pub` sees to it that what is `pub` can be reached.
fn of_items(source: &[Item], room: &str, items: &mut BTreeSet<String>) {
    for item in source {
        match item {
            Item::Fn(function) if is_public(&function.vis) => {
                items.insert(format!("{room}::{}", function.sig.ident));
            }
            Item::Impl(block) if block.trait_.is_none() => {
                let syn::Type::Path(of) = &*block.self_ty else {
                    continue;
                };
                let of = &of.path.segments.last().unwrap().ident;
                for item in &block.items {
                    if let ImplItem::Fn(function) = item
                        && is_public(&function.vis)
                    {
                        items.insert(format!("{of}::{}", function.sig.ident));
                    }
                }
            }
            Item::Trait(declared) if is_public(&declared.vis) => {
                for item in &declared.items {
                    if let TraitItem::Fn(function) = item {
                        items.insert(format!("{}::{}", declared.ident, function.sig.ident));
                    }
                }
            }
            Item::Mod(module) => {
                if let Some((_, content)) = &module.content {
                    of_items(content, room, items);
                }
            }
            _ => {}
        }
    }
}
