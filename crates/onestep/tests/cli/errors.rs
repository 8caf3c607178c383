//! `docs/errors.md` is true: each of its commands fails and says what the page says.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use crate::support::{MLP, Place};

const SQUARE: &str = r#"{ "name": "square", "input": { "shape": [1, 8, 8] },
  "layers": [ { "type": "flatten", "name": "flat" },
              { "type": "dense", "name": "fc", "out_features": 64, "bias": false } ] }"#;

/// The files that the page speaks of.
fn place() -> Place {
    let place = Place::new();
    place.write("mlp.json", MLP);
    place.write("other.json", MLP.replace("\"out_features\": 16", "\"out_features\": 17"));
    place.write("square.json", SQUARE);
    place.write("cut.json", &MLP[..40]);
    place.write("layer.json", MLP.replace("relu\"", "relux\""));
    place.write("option.json", MLP.replace("\"out_features\": 16", "\"out_feature\": 16"));
    place.write("names.json", MLP.replace("fc2", "fc1"));
    place.write("type.toml", "epochs = 1\nbatch_size = \"8\"\n");
    place.write("option.toml", "[optimizer]\ntype = \"sgd\"\nmomentum = \"much\"\n");
    place.write("key.toml", "epoch = 1\n");
    place.write("broken.png", "no picture");
    place.write("nan.csv", "a,b\n1,nan\n");
    place.write("short.csv", "a,c\n1,2\n");
    let rows: String = (0..40).map(|i| format!("{i},{},{}\n", i % 7, ["u", "v"][i % 2])).collect();
    place.write("t.csv", format!("a,b,label\n{rows}"));
    place.write("w.csv", format!("a,b,label\n{}", rows.replace('u', "w")));
    place.json("train --data csv:t.csv --epochs 1 --threads 1 --out table --json");
    place.write("cell.csv", "a,b,label\n1,2,u\n3,x,v\n5,6,u\n");
    place.json("train --model mlp.json --epochs 1 --threads 1 --out run --json");
    let weights = fs::read(place.path("run/weights.safetensors")).unwrap();
    place.write("cut.safetensors", &weights[..weights.len() / 2]);
    copy(&place.path("run"), &place.path("damaged"));
    let state = place.path("damaged/last/state.safetensors");
    let mut bytes = fs::read(&state).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(state, bytes).unwrap();
    let numbers: Vec<u8> = (0..64 * 64u16).flat_map(|i| f32::from(i).to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![64, 64], &numbers).unwrap();
    let file = safetensors::serialize(BTreeMap::from([("fc.weight", view)]), None).unwrap();
    place.write("square.safetensors", file);
    place
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &place),
            false => drop(fs::copy(entry.path(), place).unwrap()),
        }
    }
}

/// The code in a cell of a table.
fn code(cell: &str) -> &str {
    let cell = cell.trim();
    let inner = cell.strip_prefix("``").and_then(|rest| rest.strip_suffix("``"));
    let inner = inner.or_else(|| cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')));
    inner.unwrap_or_else(|| panic!("no code: {cell}")).trim()
}

#[test]
fn the_page_of_errors_is_true() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    // A package by itself has no docs.
    let Ok(page) = fs::read_to_string(page) else { return };
    let place = place();
    let (mut rows, mut untrue) = (0, Vec::new());
    for line in page.lines().filter(|line| line.contains("| `onestep ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, command, said] = cells[..] else { panic!("not a row of three: {line}") };
        let command = code(command).strip_prefix("onestep ").unwrap();
        let finished = place.run(command);
        let failed = matches!(finished.code, Some(1 | 2));
        let said = finished.stderr.contains(code(said)) && !finished.stderr.contains("panicked");
        if !(failed && said) {
            untrue.push(format!("{command}: {:?}: {}", finished.code, finished.stderr));
        }
        rows += 1;
    }
    assert!(untrue.is_empty(), "{}", untrue.join("\n"));
    assert!(rows > 30, "{rows}");
}
