//! From a model to a planned training step, before which nothing runs.

use criterion::{Criterion, criterion_group, criterion_main};
use onestep_benches::runner;

fn compile(c: &mut Criterion) {
    let mut group = c.benchmark_group("compile");
    group.sample_size(10);
    for name in ["seed_cnn_adam", "mlp_mnist", "resnet18_b32"] {
        group.bench_function(name, |b| {
            b.iter(|| runner(name).expect("the workload is built in"));
        });
    }
    group.finish();
}

criterion_group!(benches, compile);
criterion_main!(benches);
