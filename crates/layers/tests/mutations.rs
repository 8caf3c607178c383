//! Models drawn at random, and texts of models that were damaged: whatever is wrong is said, and
//! nothing panics.

use onestep_base::philox::uniform;
use onestep_engine::Mode;
use onestep_layers::ModelSpec;

/// Numbers of one stream.
struct Draw(u64, u32);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 += 1;
        (uniform(11, 0, self.1, self.0) * bound as f32) as usize
    }
}

/// A graph of layers on samples `[4]` in which each takes any of those before it.
fn drawn(draw: &mut Draw) -> String {
    let mut names = vec!["a".to_owned(), "b".to_owned()];
    let mut layers = Vec::new();
    for i in 0..1 + draw.below(8) {
        let one = names[draw.below(names.len())].clone();
        let other = names[draw.below(names.len())].clone();
        let name = format!("l{i}");
        layers.push(match draw.below(7) {
            0 => format!(r#"{{"type": "relu6", "name": "{name}", "inputs": "{one}"}}"#),
            1 => format!(r#"{{"type": "sum", "name": "{name}", "inputs": ["{one}", "{other}"]}}"#),
            2 => format!(
                r#"{{"type": "multiply", "name": "{name}", "inputs": ["{one}", "{other}"]}}"#
            ),
            3 => format!(
                r#"{{"type": "residual", "name": "{name}", "inputs": ["{one}"],
                    "body": [{{"type": "sum", "inputs": ["{other}", "{one}"]}}]}}"#
            ),
            4 => format!(
                r#"{{"type": "repeat", "name": "{name}", "inputs": ["{one}"], "times": 2,
                    "body": [{{"type": "dense", "name": "fc", "out_features": 4}}]}}"#
            ),
            5 => format!(
                r#"{{"type": "split", "name": "{name}s", "inputs": "{one}", "sizes": [1, 3]}},
                   {{"type": "concat", "name": "{name}", "inputs": ["{name}s.1", "{name}s.0"]}}"#
            ),
            _ => format!(
                r#"{{"type": "dense", "name": "{name}", "inputs": "{one}", "out_features": 4}}"#
            ),
        });
        names.push(name);
    }
    let outputs = format!(r#"["{}", "{}"]"#, names[names.len() - 1], names[0]);
    format!(
        r#"{{"inputs": {{"a": {{"shape": [4]}}, "b": {{"shape": [4]}}}},
            "layers": [{}], "outputs": {outputs}}}"#,
        layers.join(", ")
    )
}

#[test]
fn drawn_graphs_compile_and_survive() {
    let mut draw = Draw(0, 1);
    for _ in 0..200 {
        let text = drawn(&mut draw);
        let spec = ModelSpec::from_json(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(ModelSpec::from_json(&spec.to_json().unwrap()).unwrap(), spec);
        let model = spec.compile().unwrap_or_else(|e| panic!("{text}: {e}"));
        for mode in [Mode::Train, Mode::Predict] {
            let forward = model.forward(mode, 3).unwrap();
            assert!(forward.outputs.iter().all(|o| forward.graph.shape(o.value).dims() == [3, 4]));
        }
    }
}

#[test]
fn damaged_texts_are_refused_or_read() {
    let mut draw = Draw(0, 2);
    let tokens =
        ["\"a\"", "\"l0\"", "\"l1.1\"", "[", "]", "{", "}", ",", "0", "-1", "4", "1e9", "null"];
    let (mut read, mut refused) = (0, 0);
    for _ in 0..600 {
        let mut text = drawn(&mut draw);
        for _ in 0..1 + draw.below(3) {
            let from = draw.below(text.len());
            let to = (from + draw.below(8)).min(text.len());
            text.replace_range(from..to, tokens[draw.below(tokens.len())]);
        }
        match ModelSpec::from_json(&text).and_then(|spec| spec.compile()) {
            Ok(_) => read += 1,
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    }
    assert!(refused > 100, "{read} read, {refused} refused");
}
