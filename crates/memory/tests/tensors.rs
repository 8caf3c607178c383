//! Tensors: contents, views, sharing, and the errors of wrong use.

mod common;

use std::sync::Arc;

use common::OpaqueDevice;
use onestep_memory::{DType, Element, MemoryError, MemoryManager, Tensor, bf16, f16};

fn round_trip<T: Element + PartialEq + std::fmt::Debug>(memory: &MemoryManager, data: [T; 3]) {
    let tensor = memory.from_slice([3], &data).unwrap();
    assert_eq!(tensor.dtype(), T::DTYPE);
    assert_eq!(tensor.bytes(), 3 * size_of::<T>());
    assert_eq!(tensor.read::<T>().unwrap(), data);
}

#[test]
fn every_element_type_round_trips_on_every_device() {
    for memory in [MemoryManager::host(), MemoryManager::new(Arc::new(OpaqueDevice::default()))] {
        round_trip(&memory, [1.5f32, -0.0, f32::MAX]);
        round_trip(&memory, [1.0, 2.0, 3.0].map(f16::from_f32));
        round_trip(&memory, [1.0, 2.0, 3.0].map(bf16::from_f32));
        round_trip(&memory, [1i32, -2, i32::MIN]);
        round_trip(&memory, [0u8, 1, 255]);
    }
}

#[test]
fn zeros_are_zero_in_recycled_memory_too() {
    let memory = MemoryManager::host();
    let elements = 100_003; // more than one chunk, and not a whole number of them
    drop(memory.from_slice([elements], &vec![7u8; elements]).unwrap());
    let zeros = memory.zeros([elements], DType::U8).unwrap();
    assert_eq!(memory.statistics().total.hits, 1);
    assert!(zeros.read::<u8>().unwrap().iter().all(|&byte| byte == 0));
}

#[test]
fn views_of_views_share_the_buffer_and_keep_it_alive() {
    let memory = MemoryManager::host();
    let whole = memory.from_slice([12], &std::array::from_fn::<i32, 12, _>(|i| i as i32)).unwrap();
    let middle = whole.view(4, [2, 3]).unwrap();
    let inner = middle.view(2, [2]).unwrap();
    assert_eq!(inner.read::<i32>().unwrap(), [6, 7]);
    assert_eq!(whole.reference_count(), 3);
    drop((whole, middle));
    inner.write(&[60, 70]).unwrap();
    assert_eq!(inner.read::<i32>().unwrap(), [60, 70]);
    assert_eq!(memory.statistics().total.live_buffers, 1);
    drop(inner);
    assert_eq!(memory.statistics().total.live_buffers, 0);
}

#[test]
fn views_stay_inside_what_they_are_views_of() {
    let memory = MemoryManager::host();
    let part = memory.zeros([10], DType::F32).unwrap().view(2, [5]).unwrap();
    assert!(part.view(5, [0]).is_ok());
    for offset in [1, usize::MAX] {
        let error = part.view(offset, [5]).unwrap_err();
        let shape = [5].into();
        assert_eq!(error, MemoryError::ViewOutOfBounds { offset, shape, available: 5 });
    }
}

#[test]
fn wrong_types_and_lengths_are_named() {
    let memory = MemoryManager::host();
    let tensor = memory.zeros([2, 2], DType::F32).unwrap();
    assert_eq!(tensor.read::<i32>().unwrap_err().to_string(), "tensor holds f32, got i32");
    let error = tensor.write(&[1.0f32]).unwrap_err();
    assert_eq!(error.to_string(), "tensor [2, 2] holds 4 elements, got 1");
    assert!(tensor.item::<f32>().is_err());
    let error = memory.from_slice([3], &[1u8]).unwrap_err();
    assert_eq!(error, MemoryError::LengthMismatch { shape: [3].into(), got: 1 });
}

#[test]
fn scalars_and_empty_tensors_work() {
    let memory = MemoryManager::host();
    assert_eq!(memory.from_slice([], &[2.5f32]).unwrap().item(), Ok(2.5f32));
    let empty = memory.zeros([0, 3], DType::F32).unwrap();
    assert_eq!((empty.bytes(), empty.read::<f32>().unwrap().len()), (0, 0));
}

#[test]
fn impossible_shapes_are_refused() {
    let memory = MemoryManager::host();
    for shape in [[usize::MAX, 2], [usize::MAX / 2, 1], [isize::MAX as usize / 4, 1]] {
        let error = memory.allocate(shape, DType::F32).unwrap_err();
        let refused = matches!(
            error,
            MemoryError::ShapeOverflow { .. } | MemoryError::DeviceOutOfMemory { .. }
        );
        assert!(refused, "{error}");
    }
}

#[test]
fn exclusive_access_needs_the_only_handle() {
    let memory = MemoryManager::host();
    let mut tensor = memory.zeros([4], DType::I32).unwrap();
    tensor.get_mut::<i32>().unwrap().copy_from_slice(&[1, 2, 3, 4]);
    let view = tensor.view(1, [2]).unwrap();
    assert_eq!(tensor.get_mut::<i32>(), Err(MemoryError::StillShared { references: 2 }));
    drop(view);
    assert_eq!(tensor.get_mut::<i32>().unwrap(), [1, 2, 3, 4]);
}

#[test]
fn host_slices_are_the_memory_itself() {
    let memory = MemoryManager::host();
    let tensor = memory.from_slice([3], &[1.0f32, 2.0, 3.0]).unwrap();
    // SAFETY: nothing else uses the tensor.
    unsafe { tensor.host_slice_mut::<f32>() }.unwrap()[1] = 20.0;
    // SAFETY: as above.
    assert_eq!(unsafe { tensor.host_slice::<f32>() }.unwrap(), [1.0, 20.0, 3.0]);
    let view = tensor.view(2, []).unwrap();
    let distance = view.host_pointer().unwrap().addr().get();
    assert_eq!(distance - tensor.host_pointer().unwrap().addr().get(), view.offset());
    assert_eq!(tensor.host_pointer().unwrap().addr().get() % 64, 0);
}

#[test]
fn hidden_memory_has_no_host_slices() {
    let memory = MemoryManager::new(Arc::new(OpaqueDevice::default()));
    let mut tensor = memory.zeros([3], DType::F32).unwrap();
    assert_eq!(tensor.host_pointer(), None);
    let error = tensor.get_mut::<f32>().unwrap_err();
    assert_eq!(error.to_string(), "memory of device opaque is not host-visible");
}

#[test]
fn tensors_cross_threads() {
    fn check<T: Send + Sync + Clone>() {}
    check::<Tensor>();
    check::<MemoryManager>();
}
