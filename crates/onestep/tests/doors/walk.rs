//! The doors, one after the other. What training said of the validation data is the truth that all
//! others are held against.

use std::collections::BTreeMap;
use std::fs;

use onestep::data::{SampleRng, open};
use onestep::layers::{StateTensor, state_dict};
use onestep::memory::Shape;
use onestep::trainer::Trainer;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::Value;

use crate::kinds::{Kind, Truth};
use crate::support::{Finished, wait_for};

/// A trained model, in the folder `run`.
pub(crate) struct Walk {
    kind: Kind,
    trained: Value,
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("expected a number, got {value}"))
}

/// Sums over other batches are rounded otherwise: a few hundred terms in f32.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 2e-5 * a.abs().max(b.abs()).max(1e-3)
}

impl Walk {
    /// The door that all begin with.
    pub(crate) fn train(kind: Kind) -> Self {
        kind.place.write("model.json", &kind.model);
        let walk = Walk { trained: Value::Null, kind };
        walk.configure("run.toml", 12, "");
        let trained = walk.kind.place.json("train --config run.toml --out run --json");
        let first = number(&trained["first_loss"]);
        assert!(number(&trained["train_loss"]) < first, "it learns: {trained}");
        Walk { trained, ..walk }
    }

    fn configure(&self, name: &str, epochs: usize, more: &str) {
        let Kind { data, settings, .. } = &self.kind;
        let text = format!(
            "model = \"model.json\"\ndata = \"{data}\"\nepochs = {epochs}\nbatch_size = 16\n\
             threads = 1\nschedule = \"constant\"\n{settings}{more}"
        );
        self.kind.place.write(name, text);
    }

    /// `evaluate` says what training said, however it cuts the data into batches.
    pub(crate) fn evaluate(&self) {
        let place = &self.kind.place;
        let same = place.json("evaluate --checkpoint run --threads 1 --json");
        let named = place.json(&format!(
            "evaluate --checkpoint run --threads 1 --data {} --batch-size 7 --json",
            self.kind.data
        ));
        for measured in [&same, &named] {
            for (key, trained) in [
                ("loss", "validation_loss"),
                ("accuracy", "validation_accuracy"),
                ("mean_absolute_error", "validation_mean_absolute_error"),
            ] {
                let (measured, trained) = (&measured[key], &self.trained[trained]);
                assert_eq!(measured.is_null(), trained.is_null(), "{key}: {measured}, {trained}");
                if !trained.is_null() {
                    let (measured, trained) = (number(measured), number(trained));
                    assert!(close(measured, trained), "{key}: {measured}, in training {trained}");
                }
            }
        }
    }

    /// `predict` on the files of all samples is right as often as `evaluate` says of all parts.
    pub(crate) fn predict_files(&self) {
        let answers = self.predictions();
        let truths = &self.kind.truths;
        assert_eq!(answers.len(), truths.len());
        let (mut right, mut error) = (0, 0.0);
        for (answer, truth) in answers.iter().zip(truths) {
            match truth {
                Truth::Class(name) => right += usize::from(answer["top"][0]["name"] == **name),
                Truth::Value(value) => error += (number(&answer["output"][0]) - value).abs(),
            }
        }
        let count = truths.len() as f64;
        let (accuracy, absolute) = self.over_all_parts();
        match &truths[0] {
            Truth::Class(_) => {
                let share = right as f64 / count;
                assert!((share - accuracy).abs() < 1e-6, "predict {share}, evaluate {accuracy}");
                assert!(share > 0.5, "{share}");
            }
            Truth::Value(_) => {
                let mean = error / count;
                assert!(close(mean, absolute), "predict {mean}, evaluate {absolute}");
            }
        }
    }

    fn predictions(&self) -> Vec<Value> {
        let files = &self.kind.files;
        let command = format!("predict --checkpoint run --threads 1 --json {files}");
        let answer = self.kind.place.json(&command);
        answer["predictions"].as_array().unwrap().clone()
    }

    /// Accuracy and mean absolute error over all samples, as `evaluate` measures its parts.
    fn over_all_parts(&self) -> (f64, f64) {
        let (mut samples, mut right, mut error) = (0.0, 0.0, 0.0);
        for part in ["train", "validation", "test"] {
            let command = format!("evaluate --checkpoint run --threads 1 --part {part} --json");
            let Finished { code, stdout, .. } = self.kind.place.run(&command);
            if part == "test" && code != Some(0) {
                continue; // most kinds of data have none
            }
            let measured: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
            let count = number(&measured["samples"]);
            samples += count;
            right += count * measured["accuracy"].as_f64().unwrap_or(0.0);
            error += count * measured["mean_absolute_error"].as_f64().unwrap_or(0.0);
        }
        assert_eq!(samples as usize, self.kind.truths.len());
        let all = self.kind.place.json("evaluate --checkpoint run --threads 1 --part all --json");
        assert_eq!(all["samples"].as_u64(), Some(samples as u64));
        if let Some(accuracy) = all["accuracy"].as_f64() {
            assert!((accuracy - right / samples).abs() < 1e-6, "{all}");
        }
        (right / samples, error / samples)
    }

    /// A program that loads the run and predicts gets what the command prints.
    pub(crate) fn predict_by_the_library(&self) {
        let mut trainer = self.load();
        let said = trainer.predict(&self.kind.inputs.concat()).unwrap();
        let answers = self.predictions();
        assert_eq!(said.rows().count(), answers.len());
        for (row, answer) in said.rows().zip(&answers) {
            for (&value, printed) in row.iter().zip(answer["output"].as_array().unwrap()) {
                let (value, printed) = (f64::from(value), number(printed));
                assert!(close(value, printed), "library {value}, command {printed}");
            }
        }
        let spec = self.kind.data.replacen(':', &format!(":{}/", self.folder()), 1);
        let validation = open(&spec).unwrap().validation;
        let loss = trainer.evaluate(validation).unwrap().metrics.loss;
        let trained = number(&self.trained["validation_loss"]);
        assert!(close(loss, trained), "library {loss}, in training {trained}");
    }

    fn folder(&self) -> String {
        self.kind.place.path("").display().to_string()
    }

    fn load(&self) -> Trainer {
        Trainer::load(self.kind.place.path("run/last")).unwrap()
    }

    /// A step whose batch is what the model sees: its output is the prediction, also when the weights
    /// went to PyTorch's layout and back.
    pub(crate) fn step_and_pytorch_layout(&self) {
        let mut trainer = self.load();
        let shape = trainer.model().input_shape().clone();
        let seen = self.seen_by_the_model(&trainer, &shape);
        let batch = [&[self.kind.inputs.len()], shape.dims()].concat();
        self.write_batch(&batch, &seen);
        let ours = weights(&mut trainer);
        let theirs = state_dict::to_pytorch(trainer.model(), ours).unwrap();
        write_tensors(&self.kind, "torch.safetensors", &theirs);
        let predicted = trainer.predict(&self.kind.inputs.concat()).unwrap().values;
        let undo = trainer.record().targets.clone();
        for params in ["run/weights.safetensors", "torch.safetensors --layout pytorch"] {
            let output = self.step(params);
            assert_eq!(output.len(), predicted.len());
            for (&stepped, &predicted) in output.iter().zip(&predicted) {
                let stepped = match &undo {
                    Some(scaling) => stepped * scaling.deviation[0] + scaling.mean[0],
                    None => stepped,
                };
                let (stepped, predicted) = (f64::from(stepped), f64::from(predicted));
                assert!(close(stepped, predicted), "step {stepped}, predict {predicted}");
            }
        }
    }

    fn seen_by_the_model(&self, trainer: &Trainer, shape: &Shape) -> Vec<f32> {
        let pipeline = trainer.config().pipeline().unwrap();
        let mut inputs = self.kind.inputs.clone();
        for input in &mut inputs {
            let mut rng = SampleRng::new(0, 0, 0);
            pipeline.apply(input, shape, false, &mut rng, &mut Vec::new()).unwrap();
        }
        inputs.concat()
    }

    fn write_batch(&self, shape: &[usize], inputs: &[f32]) {
        let bytes: Vec<u8> = inputs.iter().flat_map(|value| value.to_le_bytes()).collect();
        let count = shape[0];
        let (dtype, target) = match self.kind.truths[0] {
            Truth::Class(_) => (Dtype::I32, vec![count]),
            Truth::Value(_) => (Dtype::F32, vec![count, 1]),
        };
        let zeros = vec![0; 4 * count];
        let tensors = [
            ("input", TensorView::new(Dtype::F32, shape.to_vec(), &bytes).unwrap()),
            ("target", TensorView::new(dtype, target, &zeros).unwrap()),
        ];
        self.kind.place.write("batch.safetensors", safetensors::serialize(tensors, None).unwrap());
    }

    /// The output of a step that changes nothing.
    fn step(&self, params: &str) -> Vec<f32> {
        let loss = match self.kind.truths[0] {
            Truth::Class(_) => "cross_entropy",
            Truth::Value(_) => "mse",
        };
        let place = &self.kind.place;
        place.json(&format!(
            "step --model model.json --params {params} --batch batch.safetensors --loss {loss} \
             --lr 0 --threads 1 --out stepped.safetensors --json"
        ));
        let bytes = fs::read(place.path("stepped.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let output = file.tensor("output").unwrap();
        output.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// Data that does not fit is refused by name, at every door.
    pub(crate) fn refuse_what_does_not_fit(&self) {
        let place = &self.kind.place;
        for (data, names) in &self.kind.misfits {
            place.fails(&format!("evaluate --checkpoint run --data {data}"), 1, names);
            place.fails(&format!("train --resume run --epochs 20 --data {data}"), 1, names);
        }
        let after = place.json("evaluate --checkpoint run --threads 1 --json");
        assert!(close(number(&after["loss"]), number(&self.trained["validation_loss"])));
    }

    /// Other transforms in a resumed run leave the normalisation, which is part of the model.
    pub(crate) fn resume_with_other_transforms(&self) {
        let place = &self.kind.place;
        place.json("train --resume run --epochs 13 --augmentation none --out other --json");
        let settings = fs::read_to_string(place.path("other/trainer.json")).unwrap();
        let before = fs::read_to_string(place.path("run/trainer.json")).unwrap();
        let normalises = |text: &str| text.contains("+normalise=");
        assert_eq!(normalises(&settings), normalises(&before), "{settings}");
    }

    /// After early stopping the run is its best epoch, at every door.
    pub(crate) fn stop_early(&self) {
        let place = &self.kind.place;
        let stopping = "lr = 0.3\nearly_stopping = { patience = 2, min_delta = 0.001 }\n";
        self.configure("early.toml", 40, stopping);
        let trained = place.json("train --config early.toml --out early --json");
        assert!(number(&trained["epochs"]) < 40.0, "it stops early: {trained}");
        let best = metrics(&self.kind, "early")
            .iter()
            .map(|epoch| epoch["validation_loss"].parse::<f64>().unwrap())
            .fold(f64::INFINITY, f64::min);
        let measured = place.json("evaluate --checkpoint early --threads 1 --json");
        let loss = number(&measured["loss"]);
        assert!(close(loss, number(&trained["validation_loss"])), "{measured}, {trained}");
        // Less than min_delta is no better epoch.
        assert!(loss >= best * (1.0 - 2e-5) && loss <= best + 0.001 + 1e-6, "{loss}, best {best}");
    }

    /// An interrupted run that goes on ends as one that was not interrupted, to the bit.
    #[cfg(unix)]
    pub(crate) fn interrupt_and_resume(&self) {
        let place = &self.kind.place;
        let stopping = "early_stopping = { patience = 100000 }\n";
        self.configure("long.toml", 100_000, stopping);
        let child = place.start("train --config long.toml --out part --json");
        wait_for(&place.path("part/last/progress.json"));
        let pid = child.id().to_string();
        let kill = std::process::Command::new("kill").args(["-INT", &pid]).status();
        assert!(kill.unwrap().success());
        let finished = place.finish(child);
        assert_eq!(finished.code, Some(130), "{finished:?}");
        let epochs = metrics(&self.kind, "part").len() + 2;
        place.json(&format!("train --resume part --epochs {epochs} --json"));
        place.json(&format!("train --config long.toml --epochs {epochs} --out whole --json"));
        let figures = |run| -> Vec<String> {
            let epochs = metrics(&self.kind, run);
            epochs.iter().map(|epoch| epoch["train_loss"].clone()).collect()
        };
        assert_eq!(figures("part"), figures("whole"));
        let weights = |run: &str| fs::read(place.path(run).join("weights.safetensors")).unwrap();
        assert_eq!(weights("part"), weights("whole"));
    }
}

/// The epochs of a run by their columns.
fn metrics(kind: &Kind, run: &str) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(kind.place.path(run).join("metrics.csv")).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned));
    let names: Vec<String> = lines.next().unwrap().collect();
    lines.map(|row| names.iter().cloned().zip(row).collect()).collect()
}

fn weights(trainer: &mut Trainer) -> Vec<StateTensor> {
    let model = trainer.model();
    let named: Vec<(String, Vec<usize>)> = model
        .parameters()
        .iter()
        .map(|p| (p.info.name.clone(), p.info.shape.dims().to_vec()))
        .collect();
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let values = trainer.parameter(&name).unwrap();
        StateTensor::new(&name, &shape, values)
    };
    named.into_iter().map(tensor).collect()
}

fn write_tensors(kind: &Kind, name: &str, tensors: &[StateTensor]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|tensor| tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap();
        (tensor.name.as_str(), view)
    });
    kind.place.write(name, safetensors::serialize(views, None).unwrap());
}
