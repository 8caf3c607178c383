//! PyTorch's state dict there and back.

use onestep_layers::state_dict::WeightLayout;
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
    let states = model.states().iter().zip(model.initial_states(0));
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

fn square() -> Model {
    ModelBuilder::new([2]).dense(2, true, "a").relu("r").dense(2, false, "b").build().unwrap()
}

#[test]
fn a_layout_is_recognised_by_shapes_and_names() {
    let model = model();
    let ours = tensors(&model);
    let theirs = state_dict::to_pytorch(&model, ours.clone()).unwrap();
    let of = |tensors: &[StateTensor]| state_dict::recognise(&model, tensors).unwrap();
    assert_eq!(of(&ours), Some(WeightLayout::Onestep));
    assert_eq!(of(&theirs), Some(WeightLayout::Pytorch));
    for (layout, given) in [(WeightLayout::Onestep, &ours), (WeightLayout::Pytorch, &theirs)] {
        assert_eq!(state_dict::from_layout(&model, given.clone(), layout).unwrap(), ours);
        assert_eq!(layout.name().parse::<WeightLayout>().unwrap(), layout);
    }
    assert!("torch".parse::<WeightLayout>().unwrap_err().to_string().contains("pytorch"));
}

#[test]
fn square_weights_are_in_neither_layout_for_sure() {
    let model = square();
    let weights = |a: [f32; 4], b: [f32; 4]| {
        vec![
            StateTensor::new("a.weight", &[2, 2], a.to_vec()),
            StateTensor::new("a.bias", &[2], vec![0.0; 2]),
            StateTensor::new("b.weight", &[2, 2], b.to_vec()),
        ]
    };
    let of = |tensors: &[StateTensor]| state_dict::recognise(&model, tensors).unwrap();
    let (even, uneven) = ([1.0, 2.0, 2.0, 5.0], [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(of(&weights(even, uneven)), None);
    // What is its own transpose is the same in both.
    assert_eq!(of(&weights(even, even)), Some(WeightLayout::Onestep));
    let mut counted = weights(even, uneven);
    counted.push(StateTensor::new("bn.num_batches_tracked", &[], vec![7.0]));
    assert_eq!(of(&counted), Some(WeightLayout::Pytorch));
    let theirs = state_dict::from_layout(&model, weights(even, uneven), WeightLayout::Pytorch);
    assert_eq!(theirs.unwrap()[2].data, [1.0, 3.0, 2.0, 4.0]);
    let mut short = weights(even, uneven);
    short[2].data.pop();
    assert_eq!(of(&short), Some(WeightLayout::Onestep));
    assert!(state_dict::from_layout(&model, short, WeightLayout::Onestep).is_err());
}

#[test]
fn states_may_be_left_out_and_layouts_not_mixed() {
    let model = model();
    let mut ours = tensors(&model);
    ours.retain(|tensor| !tensor.name.contains("running"));
    let read = state_dict::from_layout(&model, ours.clone(), WeightLayout::Onestep).unwrap();
    assert_eq!(read, ours);

    let model = ModelBuilder::new([2]).dense(3, false, "a").dense(4, false, "b").build().unwrap();
    let mixed = [
        StateTensor::new("a.weight", &[2, 3], vec![0.0; 6]),
        StateTensor::new("b.weight", &[4, 3], vec![0.0; 12]),
    ];
    let error = state_dict::recognise(&model, &mixed).unwrap_err().to_string();
    assert!(error.contains("`a.weight`") && error.contains("`b.weight`"), "{error}");
}
