//! What the documents say of kinds is what the lists say.

use std::path::{Path, PathBuf};

use onestep_base::Registered;
use onestep_data::{DATA_KINDS, TransformSpec, data_tables, transform_forms};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The text of a file of the repository.
fn read(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        eprintln!("skipped: {} is not there, as in a package of this crate alone", path.display());
    }
    text
}

/// Holds the part of a document between two marks against what is made from a list. With
/// `ONESTEP_WRITE=1` the part is written anew.
fn check(document: &str, mark: &str, wanted: &str) {
    let path = repository(&format!("docs/{document}"));
    let Some(text) = read(&path) else { return };
    let (begin, end) = (format!("<!-- {mark}: begin -->\n"), format!("<!-- {mark}: end -->"));
    let (before, rest) = text.split_once(&begin).expect("the mark of the beginning");
    let (found, after) = rest.split_once(&end).expect("the mark of the end");
    if std::env::var_os("ONESTEP_WRITE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "{document}: `ONESTEP_WRITE=1` writes it anew");
}

#[test]
fn the_kinds_of_data_are_those_of_the_list() {
    check("data.md", "data kinds", &data_tables());
}

#[test]
fn the_transforms_are_those_of_the_list() {
    check("data.md", "transforms", &TransformSpec::table());
}

/// A document on what an addition touches: all places that it must name, which must be there.
struct Guide(String);

impl Guide {
    fn of(name: &str) -> Option<Self> {
        read(&repository(&format!("docs/{name}"))).map(Self)
    }

    /// The content of a place that the document names.
    fn content(&self, path: &str) -> String {
        assert!(self.0.contains(path), "the document does not name {path}");
        let full = repository(path);
        std::fs::read_to_string(&full).unwrap_or_else(|e| panic!("{}: {e}", full.display()))
    }
}

/// What `docs/adding-a-transform.md` says of where a transform stands is so for each there is.
#[test]
fn adding_a_transform_names_the_places() {
    let Some(guide) = Guide::of("adding-a-transform.md") else { return };
    let list = guide.content("crates/data/src/transform/mod.rs");
    let users = guide.content("crates/data/src/lib.rs");
    let generator = guide.content("crates/conformance/goldens/generator/batches.py");
    let goldens = guide.content("crates/data/src/goldens.rs");
    for &name in TransformSpec::TYPES {
        let own = repository(&format!("crates/data/src/transform/{name}.rs"));
        let own =
            std::fs::read_to_string(&own).unwrap_or_else(|e| panic!("{name} has no file: {e}"));
        assert!(list.contains(&format!("\nmod {name};\n")), "mod.rs lacks mod {name}");
        let line = format!(" = \"{name}\",\n");
        assert_eq!(list.matches(&line).count(), 1, "the list has {name} once");
        let line = list.lines().find(|l| l.ends_with(line.trim_end())).unwrap();
        let options = line.split(['(', ')']).nth(1).unwrap();
        assert!(list.contains(&format!("pub use {name}::{options};")), "{options} is not exported");
        assert!(users.contains(&format!("{options}, ")), "lib.rs lacks {options}");
        assert!(own.contains(&format!("impl Short for {options}")), "{name} has no text form");
        if name == "custom" {
            continue;
        }
        assert!(own.contains("mod tests"), "{name} has no tests");
        assert!(transform_forms().contains(&format!("{name}=")), "the help lacks {name}");
        assert!(generator.contains(&format!("\"{name}")), "batches.py lacks {name}");
        assert!(goldens.contains(&format!("\"{name}")), "goldens.rs lacks {name}");
    }
}

/// What `docs/adding-a-data-kind.md` says of where a kind stands is so for each there is.
#[test]
fn adding_a_kind_of_data_names_the_places() {
    let Some(guide) = Guide::of("adding-a-data-kind.md") else { return };
    let modules = guide.content("crates/data/src/sources/mod.rs");
    let list = guide.content("crates/data/src/sources/open.rs");
    guide.content("crates/data/src/lib.rs");
    for folder in ["crates/data/tests/", "crates/onestep/tests/doors/"] {
        assert!(guide.0.contains(folder) && repository(folder).is_dir(), "{folder}");
    }
    let doors = ["kinds.rs", "text.rs", "fields.rs"]
        .map(|file| std::fs::read_to_string(repository("crates/onestep/tests/doors").join(file)));
    let doors = doors.map(Result::unwrap).concat();
    let sources = repository("crates/data/src/sources");
    let files: Vec<PathBuf> = ["", "images", "sounds", "table", "labelled", "text"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(sources.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    for kind in DATA_KINDS {
        let name = format!("    name: \"{}\",\n", kind.name);
        let of_kind = |path: &&PathBuf| std::fs::read_to_string(path).unwrap().contains(&name);
        let file = files.iter().find(of_kind);
        let file = file.unwrap_or_else(|| panic!("{} has no file with its KIND", kind.name));
        let module = match file.file_stem().unwrap().to_str().unwrap() {
            "kind" | "options" => file.parent().unwrap().file_name().unwrap(),
            _ => file.file_stem().unwrap(),
        };
        let module = module.to_str().unwrap();
        assert!(modules.contains(&format!("mod {module};\n")), "mod.rs lacks mod {module}");
        assert_eq!(
            list.matches(&format!("{module}::KIND")).count(),
            kinds_named(module),
            "{module}"
        );
        let text = kind.form().split(':').next().unwrap().to_owned();
        let at_the_doors =
            doors.contains(&format!("{text}:")) || doors.contains(&format!("\"{text}\""));
        assert!(at_the_doors, "no test of the doors has {text}");
    }
}

/// `pairs` is named once more, to make its place absolute.
fn kinds_named(module: &str) -> usize {
    if module == "pairs" { 2 } else { 1 }
}
