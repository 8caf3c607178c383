//! Weights in this library's layout and in PyTorch's.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use onestep_layers::{ModelBuilder, ModelSpec, WeightLayout};
use onestep_trainer::{Trainer, TrainerConfig};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

type Tensors<'a> = Vec<(&'a str, Vec<usize>, Vec<f32>)>;

/// Writes tensors as another program would.
fn write(path: &Path, tensors: &Tensors<'_>, mark: Option<(&str, &str)>) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, data)| data.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views: BTreeMap<&str, TensorView<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
        })
        .collect();
    let mark = mark.map(|(key, value)| HashMap::from([(key.to_owned(), value.to_owned())]));
    std::fs::write(path, safetensors::serialize(views, mark).unwrap()).unwrap();
}

fn trainer(spec: ModelSpec) -> Trainer {
    let config = TrainerConfig { threads: 1, loss: "mse".parse().unwrap(), ..Default::default() };
    Trainer::new(spec, config).unwrap()
}

/// What `torch.nn.Linear(2, outputs)` with these numbers says to [1, 10].
fn linear(weight: &[f32], bias: &[f32]) -> Vec<f32> {
    weight.chunks(2).zip(bias).map(|(row, bias)| row[0] + 10.0 * row[1] + bias).collect()
}

#[test]
fn a_pytorch_state_dict_is_recognised_and_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let (theirs, back) = (folder.path().join("theirs"), folder.path().join("back"));
    let (weight, bias) = (vec![1., 2., 3., 4., 5., 6.], vec![0.5, 0.25, 0.125]);
    let tensors =
        vec![("fc.weight", vec![3, 2], weight.clone()), ("fc.bias", vec![3], bias.clone())];
    write(&theirs, &tensors, None);
    let mut trainer = trainer(ModelBuilder::new([2]).dense(3, true, "fc").spec());
    trainer.load_weights(&theirs).unwrap();
    let output = trainer.predict(&[1.0, 10.0][..]).unwrap();
    assert_eq!(output.rows().next().unwrap(), linear(&weight, &bias));

    trainer.save_weights_in(&back, WeightLayout::Pytorch).unwrap();
    let bytes = std::fs::read(&back).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    for (name, shape, data) in &tensors {
        let tensor = file.tensor(name).unwrap();
        let bytes: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!((tensor.shape(), tensor.data()), (&shape[..], &bytes[..]), "{name}");
    }
}

#[test]
fn square_weights_need_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let weight = [1., 2., 3., 4.];
    let tensors = vec![("fc.weight", vec![2, 2], weight.to_vec())];
    let mut trainer = trainer(ModelBuilder::new([2]).dense(2, false, "fc").spec());
    let before = trainer.snapshot().unwrap();
    let theirs = linear(&weight, &[0.0, 0.0]);
    let ours = [1. + 3. * 10., 2. + 4. * 10.];
    fn says(trainer: &mut Trainer) -> Vec<f32> {
        trainer.predict(&[1.0, 10.0][..]).unwrap().rows().next().unwrap().to_vec()
    }

    write(&path, &tensors, None);
    let error = trainer.load_weights(&path).unwrap_err().to_string();
    assert!(error.contains("w.safetensors") && error.contains("--layout pytorch"), "{error}");
    assert_eq!(trainer.snapshot().unwrap(), before);
    trainer.load_weights_in(&path, WeightLayout::Pytorch).unwrap();
    assert_eq!(says(&mut trainer), theirs);
    trainer.load_weights_in(&path, WeightLayout::Onestep).unwrap();
    assert_eq!(says(&mut trainer), ours);
    // PyTorch's own writers say where a file is from, and so do files of this library.
    write(&path, &tensors, Some(("format", "pt")));
    trainer.load_weights(&path).unwrap();
    assert_eq!(says(&mut trainer), theirs);
    for layout in WeightLayout::ALL {
        trainer.save_weights_in(&path, layout).unwrap();
        trainer.load_weights(&path).unwrap();
        assert_eq!(says(&mut trainer), theirs, "{layout}");
    }
}

#[test]
fn other_weights_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let mut trainer = trainer(ModelBuilder::new([2]).dense(3, true, "fc").spec());
    for (tensors, wanted) in [
        (vec![("0.weight", vec![3, 2], vec![0.0; 6])], "no tensor `fc.weight`"),
        (vec![("0.weight", vec![3, 2], vec![0.0; 6])], "it has 0.weight"),
        (
            vec![("fc.weight", vec![3, 4], vec![0.0; 12]), ("fc.bias", vec![3], vec![0.0; 3])],
            "`fc.weight`: expected shape [2, 3], got [3, 4]",
        ),
    ] {
        write(&path, &tensors, None);
        let error = trainer.load_weights(&path).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
