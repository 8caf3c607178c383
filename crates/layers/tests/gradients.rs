//! The gradient of every layer and loss against finite differences in f64.

mod common;

use onestep_engine::reference::Array;
use onestep_engine::{DType, Graph, Mode};
use onestep_layers::{
    Bce, BceWithLogits, ClassTargets, CrossEntropy, Dice, Dropout, Focal, FormulaLoss,
    HingeEmbedding, Huber, KlDiv, KlReduction, LayerSpec, LogCosh, LossContext, LossSpec, Mae, Mse,
    MultiMargin, MultilabelMargin, MultilabelSoftMargin, Nll, PoissonNll, Reduction, SmoothL1,
    SoftMargin, Tversky,
};

#[test]
fn layers() {
    for (layer, sample, _) in common::layers::all() {
        let model = common::model_for(&layer, sample).unwrap();
        let dims = [&[3], sample].concat();
        let mut input = common::numbers(&dims, 1, -2.0, 2.0);
        if matches!(layer, LayerSpec::Embedding(_) | LayerSpec::EmbeddingBag(_)) {
            input.data.iter_mut().for_each(|x| *x = (x.abs() * 3.0).floor());
        }
        for mode in [Mode::Train, Mode::Evaluate] {
            let context = format!("{layer:?} in {mode:?}");
            common::check_model_gradients(&model, mode, input.clone(), &context);
        }
    }
}

fn check_loss(loss: &LossSpec, dims: &[usize], target: Array) {
    check_weighted_loss(loss, dims, target, None);
}

/// With a weight for each sample the gradient in the weights is checked too.
fn check_weighted_loss(loss: &LossSpec, dims: &[usize], target: Array, weights: Option<Array>) {
    let mut g = Graph::new();
    let output = g.input("output", dims, DType::F32).unwrap();
    let of_samples = weights.as_ref().map(|_| g.input("weight", &dims[..1], DType::F32).unwrap());
    let mut cx = LossContext::new(&mut g, output).weighted(of_samples);
    let values = loss.build_in(&mut cx).unwrap();
    assert_eq!(values.target.map(|own| g.shape(own)), Some(&target.shape));
    let mut leaves = common::Leaves::new();
    leaves.extend(weights.map(|weights| ("weight".to_owned(), weights)));
    leaves.insert("output".into(), common::numbers(dims, 2, -3.0, 3.0));
    leaves.insert("target".into(), target);
    common::check_gradients(&g, values.loss, &leaves, &format!("{loss:?}"));
}

#[test]
fn losses_of_labels() {
    let weight = Some(vec![0.5, 2.0, 1.0, 0.25]);
    for (label_smoothing, weight) in
        [(0.0, None), (0.2, None), (0.0, weight.clone()), (0.3, weight)]
    {
        for reduction in [Reduction::Mean, Reduction::Sum] {
            let (weight, base) = (weight.clone(), CrossEntropy::default());
            let loss = CrossEntropy { label_smoothing, weight, reduction, ..base };
            for dims in [vec![5, 4], vec![2, 4, 3], vec![2, 4, 2, 2]] {
                let labels = [&dims[..1], &dims[2..]].concat();
                let mut target = common::numbers(&labels, 3, 0.0, 4.0);
                target.data.iter_mut().for_each(|x| *x = x.floor());
                check_loss(&loss.clone().into(), &dims, target);
            }
        }
    }
}

/// Smoothing, class weights, what is ignored, weights of samples and positions, each with each.
#[test]
fn cross_entropies_of_all_that_goes_together() {
    for dims in [vec![5, 4], vec![3, 4, 3], vec![2, 4, 2, 2]] {
        let of_samples = common::numbers(&dims[..1], 4, 0.2, 2.0);
        for choice in 0..32 {
            let has = |bit: u32| choice >> bit & 1 == 1;
            let target = if has(0) { ClassTargets::Probabilities } else { ClassTargets::Labels };
            let loss = CrossEntropy {
                target,
                ignore_index: (!has(0)).then_some(-100),
                label_smoothing: if has(1) { 0.3 } else { 0.0 },
                weight: has(2).then(|| vec![0.5, 2.0, 1.0, 0.25]),
                reduction: if has(3) { Reduction::Sum } else { Reduction::Mean },
            };
            let weights = has(4).then(|| of_samples.clone());
            check_weighted_loss(&loss.into(), &dims, class_targets(target, &dims), weights);
        }
    }
}

/// Labels of which every third does not count, or probabilities.
fn class_targets(kind: ClassTargets, dims: &[usize]) -> Array {
    if kind == ClassTargets::Probabilities {
        return common::numbers(dims, 6, 0.05, 0.9);
    }
    let mut labels = common::numbers(&[&dims[..1], &dims[2..]].concat(), 3, 0.0, 4.0);
    let with_places = labels.data.iter_mut().enumerate();
    with_places.for_each(|(i, x)| *x = if i % 3 == 1 { -100.0 } else { x.floor() });
    labels
}

#[test]
fn losses_of_scores_and_labels() {
    let weight = Some(vec![0.5, 2.0, 1.0, 0.25]);
    let nll = Nll { ignore_index: 3, weight: weight.clone(), ..Nll::default() };
    let margin = MultiMargin { weight, margin: 0.7, ..MultiMargin::default() };
    let losses: Vec<(LossSpec, &[usize])> = vec![
        (Nll::default().into(), &[5, 4]),
        (nll.into(), &[2, 4, 3]),
        (MultiMargin { p: 2, ..margin.clone() }.into(), &[5, 4]),
        (margin.into(), &[5, 4]),
    ];
    for (loss, dims) in losses {
        let labels = [&dims[..1], &dims[2..]].concat();
        let mut target = common::numbers(&labels, 3, 0.0, 4.0);
        target.data.iter_mut().for_each(|x| *x = x.floor());
        check_loss(&loss, dims, target);
    }
    let mut several = common::numbers(&[2, 4], 3, 0.0, 1.0);
    several.data.copy_from_slice(&[2.0, 0.0, -1.0, 1.0, 3.0, -1.0, -1.0, -1.0]);
    check_loss(&MultilabelMargin::default().into(), &[2, 4], several);
}

#[test]
fn losses_of_regions_and_sides() {
    let sides = |low: f64, high: f64| {
        let mut target = common::numbers(&[4, 3], 5, 0.0, 1.0);
        target.data.iter_mut().for_each(|x| *x = if *x > 0.5 { high } else { low });
        target
    };
    let of_two: Vec<LossSpec> = vec![
        Focal::default().into(),
        Focal { alpha: None, gamma: 1.5, ..Focal::default() }.into(),
        MultilabelSoftMargin::default().into(),
        MultilabelSoftMargin { weight: Some(vec![1.0, 0.5, 2.0]), ..Default::default() }.into(),
        Dice::default().into(),
        Tversky { alpha: 0.3, beta: 0.7, ..Tversky::default() }.into(),
    ];
    for loss in of_two {
        check_loss(&loss, &[4, 3], sides(0.0, 1.0));
    }
    for loss in [
        LossSpec::from(HingeEmbedding { margin: 0.4, ..Default::default() }),
        SoftMargin::default().into(),
    ] {
        check_loss(&loss, &[4, 3], sides(-1.0, 1.0));
    }
}

#[test]
fn losses_of_numbers() {
    let losses: Vec<LossSpec> = vec![
        BceWithLogits::default().into(),
        BceWithLogits { pos_weight: Some(vec![3.0]), reduction: Reduction::Mean }.into(),
        BceWithLogits { pos_weight: Some(vec![0.5, 1.0, 3.0]), reduction: Reduction::Sum }.into(),
        Mse::default().into(),
        Mse { reduction: Reduction::Sum }.into(),
        Mae::default().into(),
        Huber::default().into(),
        Huber::new(0.4).into(),
        SmoothL1::default().into(),
        SmoothL1::new(0.3).into(),
        SmoothL1::new(0.0).into(),
        LogCosh::default().into(),
        FormulaLoss::new("where(y > t, 2, 1) * abs(y - t)^1.5").into(),
        PoissonNll { full: true, ..PoissonNll::default() }.into(),
        KlDiv::default().into(),
        KlDiv { log_target: true, reduction: KlReduction::Batchmean }.into(),
    ];
    for loss in losses {
        let target = common::numbers(&[4, 3], 5, 0.0, 1.0);
        check_loss(&loss, &[4, 3], target.clone());
        let weights = Some(common::numbers(&[4], 4, 0.2, 2.0));
        check_weighted_loss(&loss, &[4, 3], target, weights);
    }
}

#[test]
fn losses_of_probabilities() {
    let rate = PoissonNll { log_input: false, eps: 1e-3, ..PoissonNll::default() };
    for loss in [LossSpec::from(Bce::default()), rate.into()] {
        let mut g = Graph::new();
        let output = g.input("output", &[4, 3], DType::F32).unwrap();
        let values = loss.build(&mut g, output).unwrap();
        let mut leaves = common::Leaves::new();
        leaves.insert("output".into(), common::numbers(&[4, 3], 2, 0.1, 0.9));
        leaves.insert("target".into(), common::numbers(&[4, 3], 5, 0.0, 1.0));
        common::check_gradients(&g, values.loss, &leaves, &format!("{loss:?}"));
    }
}

#[test]
fn binary_cross_entropy_at_zero_has_its_true_slope() {
    // Differences cannot see which gradient is taken at a kink of |x| and min(x, 0); their sum
    // has none.
    let loss = LossSpec::from(BceWithLogits::default());
    let mut g = Graph::new();
    let output = g.input("output", &[1], DType::F32).unwrap();
    let values = loss.build(&mut g, output).unwrap();
    let grad = onestep_engine::gradients(&mut g, values.loss, &[output]).unwrap()[0];
    let one = |x: f64| Array::new(onestep_engine::Shape::from([1]), vec![x]).unwrap();
    let leaves = [("output".to_owned(), one(0.0)), ("target".to_owned(), one(1.0))];
    assert_eq!(common::value(&g, &leaves.into(), grad).data, [-0.5]);
}

#[test]
fn dropped_elements_have_no_gradient() {
    let model = common::model_for(&Dropout::new(1.0).into(), &[4]).unwrap();
    let input = common::numbers(&[3, 4], 1, -2.0, 2.0);
    assert!(common::output(&model, Mode::Train, &input).data.iter().all(|&y| y == 0.0));
    common::check_model_gradients(&model, Mode::Train, input, "all dropped");
}
