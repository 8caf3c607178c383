//! Gradients joined into a flat vector.

use onestep_engine::DType;
use onestep_engine::plan::{Place, Region};
use onestep_engine::reference::Context;
use onestep_kernel_source::{Dialect, KernelSource, join};

use super::common::{Library, Machine, Result, compiler, numbers, whole};

#[test]
fn tensors_are_joined_in_order_whatever_their_number_and_strides() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    for dialect in Dialect::ALL {
        let mut machine = Machine::new(dialect, Context::default());
        let mut parts = Vec::new();
        for i in 0..70 {
            let dims = [i % 5 + 1, i * 7 % 11];
            let mut part = whole(Region::Feed(i), &dims, DType::F32);
            if i % 3 == 0 {
                // Transposed.
                part.strides[..2].copy_from_slice(&[1, dims[0]]);
            }
            machine.reserve(part.region, 8);
            machine.write(&part, &numbers(i as u64, part.shape.elements()));
            parts.push(part);
        }
        let wanted: Vec<f32> = parts.iter().flat_map(|part| machine.read(part)).collect();
        let flat = whole(Region::Arena, &[wanted.len() + 3], DType::F32);
        machine.write(&flat, &vec![7.0; wanted.len() + 3]);
        let launches = join(&parts, &flat, dialect)?;
        assert_eq!(launches.kernels.len(), 3);
        let kernels: Vec<&KernelSource> = launches.kernels.iter().collect();
        let library = Library::new(dialect, &kernels)?;
        machine.launch(&library, &launches);
        let joined = machine.read(&flat);
        assert_eq!(joined[..wanted.len()], wanted);
        assert_eq!(joined[wanted.len()..], [7.0; 3], "what is behind stays");
    }
    let small: Place = whole(Region::Arena, &[3], DType::F32);
    let error = join(&[whole(Region::Feed(0), &[4], DType::F32)], &small, Dialect::Metal);
    assert!(error.unwrap_err().to_string().contains("4 elements"));
    Ok(())
}
