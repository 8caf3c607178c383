//! The types that a field's elements may have.

use onestep_memory::{Element, HostValues, SliceMut};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for i32 {}
    impl Sealed for u8 {}
}

/// A type that a field's elements may have: f32, i32 or u8.
pub trait FieldElement: Element + sealed::Sealed {
    #[doc(hidden)]
    fn of(slice: SliceMut<'_>) -> Option<&mut [Self]>;
    #[doc(hidden)]
    fn kept(values: &HostValues) -> Option<&[Self]>;
}

macro_rules! field_elements {
    ($($type:ty => $case:ident),*) => {$(
        impl FieldElement for $type {
            fn of(slice: SliceMut<'_>) -> Option<&mut [Self]> {
                match slice {
                    SliceMut::$case(slice) => Some(slice),
                    _ => None,
                }
            }
            fn kept(values: &HostValues) -> Option<&[Self]> {
                match values {
                    HostValues::$case(values) => Some(values),
                    _ => None,
                }
            }
        }
    )*};
}

field_elements! { f32 => F32, i32 => I32, u8 => U8 }
