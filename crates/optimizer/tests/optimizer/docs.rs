//! The documents say what the code does.

use std::fs;
use std::path::PathBuf;

use onestep_base::Registered;
use onestep_optimizer::{Grouping, OptimizerSpec, ScheduleSpec, schedule_forms};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn read(name: &str) -> String {
    let path = path(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Holds a part of the document against what it should be, or writes it.
fn fresh(mark: &str, wanted: &str) {
    let name = "docs/model-spec.md";
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->"));
    let text = read(name);
    let (before, rest) = text.split_once(&begin).unwrap();
    let (table, after) = rest.split_once(&end).unwrap();
    if std::env::var_os("ONESTEP_UPDATE_DOCS").is_some() {
        fs::write(path(name), format!("{before}{begin}{wanted}{end}{after}")).unwrap();
        return;
    }
    assert!(
        table == wanted,
        "{name} is stale: run the tests of onestep-optimizer with ONESTEP_UPDATE_DOCS=1"
    );
}

/// Both in one test, as both write the document.
#[test]
fn the_tables_are_fresh() {
    fresh("optimizers", &OptimizerSpec::table());
    fresh("schedules", &ScheduleSpec::table());
}

#[test]
fn the_example_of_groups_is_read() {
    let text = read("docs/model-spec.md");
    let block = text.split("```json\n").find(|block| block.contains("\"frozen\"")).unwrap();
    let grouping: Grouping = serde_json::from_str(block.split("```").next().unwrap()).unwrap();
    grouping.validate().unwrap();
    assert!(grouping.rules[0].group.frozen);
}

/// What `docs/adding-an-optimizer.md` says is touched, is: each optimizer of the list has all of it.
#[test]
fn every_optimizer_is_what_the_document_says() {
    let names = OptimizerSpec::TYPES.iter().filter(|name| **name != "custom");
    let lib = read("crates/optimizer/src/lib.rs");
    let generators = read("crates/conformance/goldens/generator/optimizers.py")
        + &read("crates/conformance/goldens/generator/optimizers_beyond.py");
    let (table, states) =
        (read("crates/conformance/src/table/optimizers.rs"), read("docs/model-spec.md"));
    for name in names {
        let file = read(&format!("crates/optimizer/src/{name}.rs"));
        assert!(file.contains("optimizer_options!("), "{name}: no options");
        assert!(file.contains(&format!("\"{name}\"")) && lib.contains(&format!("mod {name};")));
        assert!(generators.contains(&format!("    \"{name}\": ")), "{name}: no reference");
        assert!(table.contains(&format!("optimizer(\"{name}\"")), "{name}: no case");
        assert!(states.contains(&format!("`{name}`")), "{name}: no row of states");
    }
}

#[test]
fn the_forms_of_schedules_are_documented() {
    let text = read("docs/model-spec.md");
    for form in schedule_forms().split(", each with").next().unwrap().split(", ") {
        assert!(text.contains(&format!("`{form}`")), "{form}");
    }
}
