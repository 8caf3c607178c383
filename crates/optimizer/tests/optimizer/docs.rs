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

/// What `docs/adding-a-schedule.md` says is touched, is: each schedule of the list has all of it.
#[test]
fn every_schedule_is_what_the_document_says() {
    let guide = read("docs/adding-a-schedule.md");
    let named = |path: &str| {
        assert!(guide.contains(path), "docs/adding-a-schedule.md does not name {path}");
        read(path)
    };
    let list = named("crates/optimizer/src/schedule/spec.rs");
    let modules = named("crates/optimizer/src/schedule/mod.rs");
    let reading = named("crates/optimizer/src/schedule/forms.rs");
    let generator = named("crates/conformance/goldens/generator/schedules.py");
    let table = named("crates/conformance/src/table/schedules.rs");
    for name in ScheduleSpec::TYPES {
        assert_eq!(list.matches(&format!(" = \"{name}\",\n")).count(), 1, "{name} stands once");
        let file = match *name {
            "constant" => "spec",
            "linear_warmup" => "warmup",
            "reduce_on_plateau" => "plateau",
            name => name,
        };
        read(&format!("crates/optimizer/src/schedule/{file}.rs"));
        assert!(modules.contains(&format!("\nmod {file};\n")), "mod.rs lacks {file}");
        let text = if *name == "linear_warmup" { "warmup" } else { name };
        assert!(schedule_forms().contains(text) && reading.contains(text), "{name} has no text");
        assert!(generator.contains(&format!("\"{name}\"")), "{name} has no reference");
        let case = table.lines().any(|line| line.trim_start().starts_with(&format!("\"{name}")));
        assert!(case, "{name} has no case");
    }
}
