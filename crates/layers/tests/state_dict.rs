//! PyTorch's state dict there and back.

use onestep_layers::{LayerError, Model, ModelBuilder, StateTensor, state_dict};

fn model() -> Model {
    ModelBuilder::new([2, 4, 4])
        .residual(|b| b.conv2d(2, 3, 1, 1, true, "conv").batch_norm("bn"), |s| s, "block")
        .flatten("flat")
        .dense(3, true, "fc")
        .build()
        .unwrap()
}

fn tensors(model: &Model) -> Vec<StateTensor> {
    let parameters = model.parameters().iter().zip(model.initial_parameters(1));
    let parameters =
        parameters.map(|(p, (name, data))| StateTensor::new(name, p.info.shape.dims(), data));
    let states = model.states().iter().zip(model.initial_states());
    let states = states.map(|(s, (name, data))| StateTensor::new(name, s.shape.dims(), data));
    parameters.chain(states).collect()
}

#[test]
fn there_and_back() {
    let model = model();
    let ours = tensors(&model);
    let theirs = state_dict::to_pytorch(&model, ours.clone()).unwrap();
    let of = |tensors: &[StateTensor], name: &str| {
        tensors.iter().find(|t| t.name == name).unwrap().clone()
    };
    let (fc, fc_theirs) = (of(&ours, "fc.weight"), of(&theirs, "fc.weight"));
    assert_eq!((fc.shape, fc_theirs.shape), (vec![32, 3], vec![3, 32]));
    assert_eq!(fc.data[5 * 3 + 2], fc_theirs.data[2 * 32 + 5]);
    let conv = "block.body.conv.weight";
    assert_eq!(of(&ours, conv), of(&theirs, conv));

    let mut shuffled = theirs.clone();
    shuffled.reverse();
    shuffled.push(StateTensor::new("block.body.bn.num_batches_tracked", &[], vec![3.0]));
    assert_eq!(state_dict::from_pytorch(&model, shuffled).unwrap(), ours);
}

#[test]
fn foreign_dicts_are_refused() {
    let model = model();
    let theirs = state_dict::to_pytorch(&model, tensors(&model)).unwrap();
    let missing = theirs[1..].to_vec();
    let error = state_dict::from_pytorch(&model, missing).unwrap_err();
    assert!(matches!(error, LayerError::MissingTensor { name } if name == theirs[0].name));

    let mut more = theirs.clone();
    more.push(StateTensor::new("fc2.weight", &[1], vec![0.0]));
    let error = state_dict::from_pytorch(&model, more).unwrap_err();
    assert!(matches!(error, LayerError::UnexpectedTensor { name } if name == "fc2.weight"));

    // Our layout where PyTorch's is expected.
    let message = state_dict::from_pytorch(&model, tensors(&model)).unwrap_err().to_string();
    assert_eq!(message, "tensor `fc.weight`: expected shape [3, 32], got [32, 3]");
    let mut short = theirs;
    short[0].data.pop();
    let message = state_dict::from_pytorch(&model, short).unwrap_err().to_string();
    assert!(message.ends_with("expected shape [2, 2, 3, 3], got 35 elements"), "{message}");
}
