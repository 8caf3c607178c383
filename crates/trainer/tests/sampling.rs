//! What is drawn from logits, against the distributions of Hugging Face's filters.

use std::path::Path;

use onestep_trainer::{Sampler, Sampling};
use safetensors::SafeTensors;
use serde_json::Value;

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let view = tensors.tensor(name).unwrap();
    let bytes = view.data().chunks_exact(4);
    bytes.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

#[test]
fn distributions_are_those_of_the_peers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/goldens/data");
    let Ok(index) = std::fs::read_to_string(folder.join("sampling.json")) else {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    };
    let index: Value = serde_json::from_str(&index).unwrap();
    let bytes = std::fs::read(folder.join("sampling.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let cases = index["cases"].as_array().unwrap();
    assert!(cases.len() >= 10);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let options = &case["options"];
        let number = |name: &str| options[name].as_f64().map(|value| value as f32);
        let sampling = Sampling {
            temperature: number("temperature").unwrap_or(1.0),
            top_k: options["top_k"].as_u64().map(|k| k as usize),
            top_p: number("top_p"),
            ..Sampling::default()
        };
        let mut sampler = Sampler::new(&sampling).unwrap();
        let got = sampler.probabilities(&floats(&tensors, &format!("{name}/logits"))).unwrap();
        let wanted = floats(&tensors, &format!("{name}/probabilities"));
        for (got, wanted) in got.iter().zip(&wanted) {
            assert_eq!(*got == 0.0, *wanted == 0.0, "{name}");
            // f32 of a number computed in f64, from weights rounded to f32 once.
            assert!((got - wanted).abs() <= 4.0 * f32::EPSILON * wanted, "{name}: {got} {wanted}");
        }
        let kept = wanted.iter().filter(|p| **p > 0.0).count();
        assert!(kept < wanted.len() || options.get("top_k").is_none() || name.contains("more"));
    }
}

#[test]
fn draws_follow_the_distribution() {
    let mut sampler = Sampler::new(&Sampling::default()).unwrap();
    let logits = [0.5f32.ln(), f32::NEG_INFINITY, 0.25f32.ln(), 0.25f32.ln()];
    let mut draw = |uniform| sampler.draw(&logits, uniform).unwrap();
    assert_eq!([0.0, 0.49, 0.51, 0.74, 0.76, 0.9999999].map(&mut draw), [0, 0, 2, 2, 3, 3]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let plain = Sampling::default;
    for (sampling, name) in [
        (Sampling { temperature: -1.0, ..plain() }, "temperature"),
        (Sampling { temperature: f32::NAN, ..plain() }, "temperature"),
        (Sampling { top_k: Some(0), ..plain() }, "top_k"),
        (Sampling { top_p: Some(0.0), ..plain() }, "top_p"),
        (Sampling { top_p: Some(1.5), ..plain() }, "top_p"),
    ] {
        let error = Sampler::new(&sampling).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    for temperature in [0.0, 1.0] {
        let mut sampler = Sampler::new(&Sampling { temperature, ..plain() }).unwrap();
        for logits in [&[][..], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0], &[f32::NEG_INFINITY]] {
            let error = sampler.draw(logits, 0.5).unwrap_err().to_string();
            assert!(error.contains("logits of the next token"), "{error}");
        }
        // Differences far beyond what an exponential holds.
        assert_eq!(sampler.draw(&[-3e38, 3e38, 0.0], 0.99).unwrap(), 1);
    }
}
