//! `docs/model-spec.md` and its schema say what the code does.

mod common;

use std::fs;
use std::path::PathBuf;

use onestep_layers::{Initializer, LayerSpec, LossSpec, ModelSpec};

fn docs(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn read(name: &str) -> String {
    let path = docs(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_schema_is_fresh() {
    let schema = serde_json::to_string_pretty(&ModelSpec::json_schema()).unwrap() + "\n";
    let name = "model-spec.schema.json";
    if std::env::var_os("ONESTEP_UPDATE_SCHEMA").is_some() {
        fs::write(docs(name), &schema).unwrap();
    }
    assert!(
        read(name) == schema,
        "docs/{name} is stale: run the tests of onestep-layers with ONESTEP_UPDATE_SCHEMA=1"
    );
}

/// The blocks of the document fenced as JSON.
fn json_blocks(text: &str) -> Vec<&str> {
    let starts = text.match_indices("```json\n").map(|(at, fence)| at + fence.len());
    starts.filter_map(|start| text[start..].split("```").next()).collect()
}

#[test]
fn every_example_is_read() {
    let text = read("model-spec.md");
    let (mut models, mut losses) = (0, 0);
    for block in json_blocks(&text) {
        let value: serde_json::Value = serde_json::from_str(block).unwrap();
        if value.get("layers").is_some() {
            let spec = ModelSpec::from_json(block).unwrap();
            spec.compile().unwrap_or_else(|e| panic!("{}: {e}", spec.name));
            models += 1;
        } else if let Some(examples) = value.get("losses") {
            let examples: Vec<LossSpec> = serde_json::from_value(examples.clone()).unwrap();
            losses += examples.len();
        }
    }
    assert!(models >= 2 && losses >= 3, "{models} models and {losses} losses in the document");
}

#[test]
fn every_name_is_documented() {
    let text = read("model-spec.md");
    let names = LayerSpec::TYPES.iter().chain(LossSpec::TYPES).chain(Initializer::NAMES);
    for name in names {
        assert!(text.contains(&format!("`{name}`")), "docs/model-spec.md lacks `{name}`");
    }
}

#[test]
fn every_option_is_documented() {
    let text = read("model-spec.md");
    let schema = serde_json::to_value(ModelSpec::json_schema()).unwrap();
    let mut options = Vec::new();
    collect_properties(&schema, &mut options);
    assert!(options.len() > 40, "{options:?}");
    for option in options {
        assert!(text.contains(&format!("`{option}")), "docs/model-spec.md lacks `{option}`");
    }
}

fn collect_properties(schema: &serde_json::Value, found: &mut Vec<String>) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(serde_json::Value::Object(properties)) = map.get("properties") {
                found.extend(properties.keys().cloned());
            }
            map.values().for_each(|value| collect_properties(value, found));
        }
        serde_json::Value::Array(items) => {
            items.iter().for_each(|value| collect_properties(value, found));
        }
        _ => {}
    }
}

#[test]
fn the_schema_knows_every_layer() {
    let schema = serde_json::to_string(&ModelSpec::json_schema()).unwrap();
    for (layer, ..) in common::layers::all() {
        let tag = format!("\"const\":\"{}\"", layer.type_name());
        assert!(schema.contains(&tag), "the schema lacks {tag}");
    }
    for name in LossSpec::TYPES {
        assert!(schema.contains(&format!("\"const\":\"{name}\"")), "the schema lacks {name}");
    }
}

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// What `docs/adding-a-layer.md` says of where a layer stands is so for every layer there is.
#[test]
fn adding_a_layer_names_the_places() {
    let guide = read("adding-a-layer.md");
    let content = |path: &str| {
        assert!(guide.contains(path), "docs/adding-a-layer.md does not name {path}");
        let path = repository(path);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let list = content("crates/layers/src/layer/list.rs");
    let mods = content("crates/layers/src/layer/mod.rs");
    let modules = content("crates/conformance/goldens/generator/spec.py")
        + &content("crates/conformance/goldens/generator/spec_transformers.py")
        + &content("crates/conformance/goldens/generator/spec_recurrent.py")
        + &content("crates/conformance/goldens/generator/spec_tables.py");
    let table = content("crates/conformance/src/table/layers.rs");
    let cases = content("crates/layers/tests/common/layers.rs")
        + &content("crates/layers/tests/common/transformers.rs")
        + &content("crates/layers/tests/common/own_cells.rs");
    let goldens = repository("crates/conformance/goldens/data/layers.json");
    let goldens = fs::read_to_string(goldens).unwrap();
    for path in [
        "crates/conformance/goldens/generator/layer_cases.py",
        "crates/conformance/tests/coverage.rs",
        "crates/layers/src/builder/methods.rs",
        "crates/layers/src/containers.rs",
        "docs/model-spec.schema.json",
    ] {
        content(path);
    }
    for &name in LayerSpec::TYPES {
        let file = repository("crates/layers/src/layer").join(format!("{name}.rs"));
        assert!(file.exists(), "{name} has no file of its own");
        assert!(mods.contains(&format!("\nmod {name};\n")), "mod.rs lacks mod {name}");
        let line = format!(" = \"{name}\",\n");
        assert_eq!(list.matches(&line).count(), 1, "the list has {name} once");
        if name == "custom" {
            continue;
        }
        let entry = format!("\"{name}\": ");
        assert!(modules.contains(&entry), "spec.py lacks {name}");
        assert!(goldens.contains(&format!("\"type\": \"{name}\"")), "no golden has {name}");
        let variant = list.lines().find_map(|l| l.trim().strip_suffix(line.trim_end()));
        let variant = variant.unwrap();
        assert!(cases.contains(variant), "common/layers.rs lacks {variant}");
    }
    assert!(table.contains("layer(\"dense\""));
}

/// What `docs/adding-a-loss.md` says of where a loss stands is so for every loss there is.
#[test]
fn adding_a_loss_names_the_places() {
    let guide = read("adding-a-loss.md");
    let content = |path: &str| {
        assert!(guide.contains(path), "docs/adding-a-loss.md does not name {path}");
        fs::read_to_string(repository(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    };
    let list = content("crates/layers/src/loss/list.rs");
    let mods = content("crates/layers/src/loss/mod.rs");
    assert!(guide.contains("`reduction`") && guide.contains("`task`"));
    let generator = content("crates/conformance/goldens/generator/losses.py");
    // Losses of several outputs stand beside it.
    let several = repository("crates/conformance/goldens/generator/several_losses.py");
    let generator = generator + &fs::read_to_string(several).unwrap();
    let table = content("crates/conformance/src/table/losses.rs");
    for path in ["crates/conformance/tests/coverage.rs", "crates/layers/tests/gradients.rs"] {
        content(path);
    }
    for &name in LossSpec::TYPES {
        let file = repository("crates/layers/src/loss").join(format!("{name}.rs"));
        assert!(file.exists(), "{name} has no file of its own");
        assert!(mods.contains(&format!("\nmod {name};\n")), "mod.rs lacks mod {name}");
        let line = format!(" = \"{name}\",\n");
        assert_eq!(list.matches(&line).count(), 1, "the list has {name} once");
        if name == "custom" {
            continue;
        }
        let code = fs::read_to_string(&file).unwrap();
        assert!(code.contains("fn reduction(&self)"), "{name} does not say what it is");
        assert!(generator.contains(&format!("\"{name}\"")), "losses.py lacks {name}");
        let in_table = [format!("loss(\"{name}\""), format!("\n    \"{name}\",\n")];
        assert!(in_table.iter().any(|line| table.contains(line)), "the table lacks {name}");
    }
}

/// What `docs/adding-an-initialiser.md` says of where one stands is so for every initialiser there is.
#[test]
fn adding_an_initialiser_names_the_places() {
    let guide = read("adding-an-initialiser.md");
    let content = |path: &str| {
        assert!(guide.contains(path), "docs/adding-an-initialiser.md does not name {path}");
        fs::read_to_string(repository(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    };
    let list = content("crates/layers/src/initializer/mod.rs");
    let options = content("crates/layers/src/initializer/options.rs");
    for path in ["initialization", "shapes", "json"] {
        content(&format!("crates/layers/tests/{path}.rs"));
    }
    for name in Initializer::NAMES {
        let line = format!(" = \"{name}\",\n");
        assert_eq!(list.matches(&line).count(), 1, "the list has {name} once");
        let variant = list.lines().find_map(|l| l.trim().strip_suffix(line.trim_end())).unwrap();
        if let Some((_, taken)) = variant.trim_end_matches(')').split_once('(') {
            assert!(options.contains(&format!("pub struct {taken} ")), "options.rs lacks {taken}");
        }
    }
}
