//! One training step of each small reference workload.

use criterion::{Criterion, criterion_group, criterion_main};
use onestep_benches::runner;

fn steps(c: &mut Criterion) {
    let mut group = c.benchmark_group("step");
    group.sample_size(20);
    for name in ["seed_cnn_sgd", "seed_cnn_adam", "mlp_mnist", "cifar_cnn"] {
        let mut runner = runner(name).expect("the workload is built in");
        group.bench_function(name, |b| {
            b.iter(|| runner.step().and_then(|ticket| Ok(ticket.wait()?)).expect("the step runs"));
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
