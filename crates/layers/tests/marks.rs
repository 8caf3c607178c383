//! The result of each layer is found by its path.

use onestep_engine::{Mode, Value};
use onestep_layers::{LayerError, ModelBuilder};

/// A batch norm's last node is the update of a running statistic, which is not its
/// result.
#[test]
fn the_result_of_a_layer_is_what_the_next_one_takes() -> Result<(), LayerError> {
    let model = ModelBuilder::new([1, 4, 4])
        .conv2d(2, 3, 1, 1, false, "conv1")
        .batch_norm("bn1")
        .relu("relu1")
        .flatten("flatten")
        .dense(2, true, "fc")
        .build()?;
    for mode in [Mode::Train, Mode::Predict] {
        let forward = model.forward(mode, 3)?;
        let marks = forward.graph.marks();
        let names: Vec<&str> = marks.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["conv1", "bn1", "relu1", "flatten", "fc"]);
        let inputs = |value: Value| &forward.graph.node(value).inputs;
        assert_eq!(inputs(marks[2].1), &[marks[1].1]);
        assert_eq!(inputs(marks[3].1), &[marks[2].1]);
        let dims: Vec<&[usize]> =
            marks.iter().map(|&(_, value)| forward.graph.shape(value).dims()).collect();
        assert_eq!(dims, [&[3, 2, 4, 4][..], &[3, 2, 4, 4], &[3, 2, 4, 4], &[3, 32], &[3, 2]]);
    }
    Ok(())
}
