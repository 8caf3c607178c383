//! Tensors from the pool, and staging slots: what a step costs outside of its kernels.

use criterion::{Criterion, criterion_group, criterion_main};
use onestep::memory::{DType, MemoryManager, Shape, StagingPool};

fn memory(c: &mut Criterion) {
    let memory = MemoryManager::host();
    let mut group = c.benchmark_group("memory");
    for elements in [256usize, 65_536, 4_194_304] {
        group.bench_function(format!("tensor of {elements} f32 from the pool"), |b| {
            b.iter(|| memory.allocate([elements], DType::F32).expect("memory is there"));
        });
    }
    let layout = [(Shape::from([64, 784]), DType::F32), (Shape::from([64]), DType::I32)];
    let pool = StagingPool::new(&memory, 2, &layout).expect("memory is there");
    group.bench_function("staging slot, taken and given back", |b| {
        b.iter(|| pool.acquire().expect("the pool is open").freeze());
    });
    group.finish();
}

criterion_group!(benches, memory);
criterion_main!(benches);
