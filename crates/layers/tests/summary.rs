//! The table of layers.

use onestep_layers::{Branch, ModelBuilder, summary};

fn model() -> onestep_layers::Model {
    ModelBuilder::new([3, 8, 8])
        .name("demo")
        .conv2d(8, 3, 1, 1, true, "conv1")
        .residual(|b: Branch| b.conv2d(8, 1, 1, 0, false, "conv").batch_norm("bn"), |s| s, "block")
        .max_pool2d(2, "pool")
        .flatten("flat")
        .dense(10, true, "fc")
        .build()
        .unwrap()
}

#[test]
fn counts_are_those_of_the_formulas() {
    let table = summary(&model(), 16);
    let row = |name: &str| table.layers.iter().find(|row| row.name == name).unwrap();
    assert_eq!(row("conv1").parameters, 8 * 27 + 8);
    assert_eq!(row("conv1").flops, 8 * 64 * (2 * 27 + 1));
    assert_eq!(row("conv1").output_shape, [16, 8, 8, 8]);
    assert_eq!((row("block").parameters, row("block").flops), (0, 512));
    assert_eq!(row("block.body.bn").parameters, 16);
    assert_eq!(row("pool").flops, 8 * 16 * 4);
    assert_eq!(row("fc").flops, 10 * (2 * 128 + 1));
    assert_eq!(table.parameters, 224 + 64 + 16 + 1290);
    assert_eq!((table.states, table.total), (16, table.parameters + 16));
    assert_eq!(table.bytes, 4 * table.total);
    assert_eq!(table.flops, table.layers.iter().map(|row| row.flops).sum::<u64>());
}

#[test]
fn the_table_is_aligned() {
    let text = model().summary(16).to_string();
    let lines: Vec<&str> = text.lines().collect();
    let width = lines[1].len();
    assert!(lines[1].bytes().all(|b| b == b'-'));
    assert!(lines[2..lines.len() - 1].iter().all(|line| line.len() == width), "{text}");
    assert!(lines.iter().any(|line| line.contains("block.body.conv") && line.contains("16, 8")));
    assert!(text.contains("1,594 trainable parameters, 16 other values"), "{text}");
}

#[test]
fn programs_read_the_same() {
    let json = serde_json::to_value(model().summary(16)).unwrap();
    assert_eq!(json["layers"][0]["type"], "conv2d");
    assert_eq!(json["input_shape"], serde_json::json!([16, 3, 8, 8]));
    assert_eq!(json["parameters"], 1594);
}
