//! The structure of the code: each layer uses only lower layers, and files form no cycles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{Item, ItemMod, ItemUse, UseTree, Visibility};

use crate::house::{root, rust_files};

/// The layers from top to bottom, as in ARCHITECTURE.md.
///
/// A module may use the layers below its own.
const LAYERS: &[&str] = &[
    "cli",
    "web",
    "notify",
    "simulator",
    "reconcile",
    "sources",
    "settings",
    "agents_api",
    "store",
    "zoneinfo",
    "pulse",
    "clock",
    "regular_file",
    "process",
    "redact",
    "plan",
    "lint",
    "schema",
    "compile",
    "pages",
    "shapes",
    "hours",
    "calendar",
    "tables",
    "written",
    "zone",
    "model",
    "limits",
];

/// A source file with its used paths and re-exported names.
#[derive(Default)]
struct File {
    /// The used paths, from the crate's root.
    used: BTreeSet<Vec<String>>,
    /// The names that it re-exports with `pub use`, and their paths.
    passed_on: BTreeMap<String, Vec<String>>,
}

/// A visitor that collects the uses of one file, without its test modules.
struct Uses<'f> {
    module: &'f [String],
    file: File,
}

impl Uses<'_> {
    /// Resolves a path from the crate's root; `None` for another crate.
    fn absolute(&self, path: &[String], modules: &BTreeSet<Vec<String>>) -> Option<Vec<String>> {
        let mut base: Vec<String> = match path.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.module.to_vec(),
            first => {
                let child = [self.module, &[first.to_owned()]].concat();
                return modules.contains(&child).then(|| [self.module, path].concat());
            }
        };
        let supers = path.iter().take_while(|part| *part == "super").count();
        base.truncate(base.len() - supers);
        base.extend(path.iter().skip(supers.max(1)).cloned());
        Some(base)
    }
}

fn leaves(tree: &UseTree, prefix: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let with = |name: &dyn ToString| [prefix, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(&path.ident), found),
        UseTree::Name(name) if name.ident == "self" => {
            found.push((prefix.to_vec(), prefix.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => found.push((with(&name.ident), name.ident.to_string())),
        UseTree::Rename(rename) => found.push((with(&rename.ident), rename.rename.to_string())),
        UseTree::Glob(_) => found.push((prefix.to_vec(), "*".to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(tree, prefix, found)),
    }
}

fn is_test(module: &ItemMod) -> bool {
    module.attrs.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test")
    })
}

/// A visitor that collects the paths of `use` items and of expressions.
struct Paths<'u, 'f> {
    uses: &'u mut Uses<'f>,
    modules: &'u BTreeSet<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths<'_, '_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(module) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut found = Vec::new();
        leaves(&item.tree, &[], &mut found);
        for (path, name) in found {
            let Some(path) = self.uses.absolute(&path, self.modules) else { continue };
            match item.vis {
                Visibility::Inherited => drop(self.uses.file.used.insert(path)),
                _ => drop(self.uses.file.passed_on.insert(name, path)),
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if parts.len() > 1
            && let Some(path) = self.uses.absolute(&parts, self.modules)
        {
            self.uses.file.used.insert(path);
        }
        visit::visit_path(self, path);
    }
}

/// Returns all files by module, without tests.
fn files() -> BTreeMap<Vec<String>, File> {
    let mut paths = Vec::new();
    rust_files(&root().join("src"), &mut paths);
    let module_of = |path: &Path| -> Vec<String> {
        let inside = path.strip_prefix(root().join("src")).unwrap().with_extension("");
        let parts = inside.iter().map(|part| part.to_str().unwrap().to_owned());
        parts.filter(|part| part != "mod").collect()
    };
    let parsed: Vec<_> = paths
        .iter()
        .map(|path| (module_of(path), syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap()))
        .filter(|(module, _)| !["main", "lib"].contains(&module[0].as_str()))
        .collect();
    let modules: BTreeSet<Vec<String>> = parsed.iter().map(|(module, _)| module.clone()).collect();
    let mut files = BTreeMap::new();
    let tests: BTreeSet<Vec<String>> = parsed
        .iter()
        .flat_map(|(module, file)| {
            file.items.iter().filter_map(|item| match item {
                Item::Mod(inner) if is_test(inner) => {
                    Some([&module[..], &[inner.ident.to_string()]].concat())
                }
                _ => None,
            })
        })
        .collect();
    for (module, file) in &parsed {
        if tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        let mut uses = Uses { module, file: File::default() };
        Paths { uses: &mut uses, modules: &modules }.visit_file(file);
        files.insert(module.clone(), uses.file);
    }
    files
}

/// Returns the file that a path leads to, through re-exports.
fn target(files: &BTreeMap<Vec<String>, File>, path: &[String]) -> Option<Vec<String>> {
    let module =
        (1..=path.len()).rev().map(|length| &path[..length]).find(|part| files.contains_key(*part))?;
    let passed = path.get(module.len()).and_then(|name| files[module].passed_on.get(name));
    match passed {
        Some(passed) => target(files, passed),
        None => Some(module.to_vec()),
    }
}

/// Returns the files that each file uses.
fn graph() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let files = files();
    let targets = |module: &Vec<String>, file: &File| {
        let targets = file.used.iter().filter_map(|path| target(&files, path));
        targets.filter(|target| target != module).collect()
    };
    files.iter().map(|(module, file)| (module.clone(), targets(module, file))).collect()
}

#[test]
fn a_module_uses_only_lower_layers() {
    let graph = graph();
    let layer = |module: &[String]| {
        let found = LAYERS.iter().position(|layer| *layer == module[0]);
        found.unwrap_or_else(|| panic!("{} belongs to no layer", module[0]))
    };
    let upward: Vec<String> = graph
        .iter()
        .flat_map(|(module, used)| {
            let above = used.iter().filter(|used| layer(used) < layer(module));
            above.map(|used| format!("{} uses {}", module.join("::"), used.join("::")))
        })
        .collect();
    assert!(upward.is_empty(), "these modules use a higher layer:\n{}", upward.join("\n"));
    let seen: BTreeSet<usize> = graph.keys().map(|module| layer(module)).collect();
    assert_eq!(seen.len(), LAYERS.len(), "a layer is missing");
}

/// Returns all files that a file uses, directly or indirectly.
fn reach(graph: &BTreeMap<Vec<String>, BTreeSet<Vec<String>>>, module: &[String]) -> BTreeSet<Vec<String>> {
    let (mut seen, mut left) = (BTreeSet::new(), vec![module.to_vec()]);
    while let Some(next) = left.pop() {
        left.extend(graph[&next].iter().filter(|used| seen.insert((*used).clone())).cloned());
    }
    seen
}

/// Files that use each other are in effect one file.
#[test]
fn no_files_form_a_dependency_cycle() {
    let graph = graph();
    let reached: BTreeMap<&Vec<String>, _> =
        graph.keys().map(|module| (module, reach(&graph, module))).collect();
    let cycles: Vec<String> = graph
        .iter()
        .flat_map(|(module, used)| {
            let back = used.iter().filter(|used| reached[used].contains(module));
            back.map(|used| format!("{} uses {}", module.join("::"), used.join("::")))
        })
        .collect();
    assert!(cycles.is_empty(), "these files form a cycle:\n{}", cycles.join("\n"));
}

#[test]
fn every_file_starts_with_a_doc_comment() {
    let mut paths = Vec::new();
    rust_files(&root().join("src"), &mut paths);
    for path in paths {
        assert!(fs::read_to_string(&path).unwrap().starts_with("//!"), "{}", path.display());
    }
}

#[test]
fn the_architecture_document_names_every_layer() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for layer in LAYERS {
        assert!(text.contains(&format!("{layer}/")) || text.contains(&format!("{layer}.rs")), "{layer}");
    }
}

/// The pure layers use no file, no network, no clock and no async.
#[test]
fn pure_layers_do_no_io() {
    let pure = LAYERS.iter().position(|layer| *layer == "plan").unwrap();
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    for file in files {
        let inside = file.strip_prefix(root().join("src")).unwrap().to_str().unwrap().to_owned();
        let is_pure = LAYERS[pure..]
            .iter()
            .any(|layer| inside.starts_with(&format!("{layer}/")) || inside == format!("{layer}.rs"));
        if !is_pure {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for banned in [
            "std::fs",
            "std::net",
            "std::env",
            "tokio::",
            "reqwest::",
            "async fn",
            "SystemTime",
            "Utc::now",
            "rusqlite::",
        ] {
            assert!(!text.contains(banned), "{inside} has {banned}");
        }
    }
}
