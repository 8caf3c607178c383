//! From a model to a planned training step, before which nothing runs.

use criterion::{Criterion, criterion_group, criterion_main};
use onestep_benches::{deep_runner, runner};

fn compile(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile");
    group.sample_size(10);
    for name in ["seed_cnn_adam", "mlp_mnist", "resnet18_b32"] {
        group.bench_function(name, |b| {
            b.iter(|| runner(name).expect("the workload is built in"));
        });
    }
    for layers in [100, 300, 1000] {
        group.bench_function(format!("{layers} layers of dense, batch norm and relu"), |b| {
            b.iter(|| deep_runner(layers).expect("the model is right"));
        });
    }
    group.finish();
}

criterion_group!(benches, compile);
criterion_main!(benches);
