//! From places of a plan to arguments of a kernel.

use onestep_engine::DType;
use onestep_engine::plan::Place;

use crate::argument::{Access, Argument, Role};
use crate::dialect::Limits;
use crate::error::SourceError;

/// The arguments of a kernel as they are found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arguments {
    all: Vec<Argument>,
    /// Bind whole regions, for kernels of very many places: what differs is then in the text.
    by_region: bool,
}

impl Arguments {
    /// For a kernel of these places. Each has an argument of its own, so that kernels which differ in where
    /// things lie are the same; only where the platform does not allow so many do places share a region's.
    ///
    /// # Errors
    /// An element lies further off than a 32-bit index counts.
    pub(crate) fn new<'a>(
        places: impl Iterator<Item = &'a Place>,
        others: usize,
        limits: Limits,
    ) -> Result<Self, SourceError> {
        let places: Vec<&Place> = places.collect();
        let mut each = Arguments::default();
        for place in &places {
            each.place(place, Access::Read);
        }
        let by_region = each.all.len() + others > limits.arguments;
        for place in places {
            let (start, end) = place.span();
            let reach = if by_region { end } else { end - start };
            if reach / place.dtype.size() > u32::MAX as usize {
                let what = format!("{} reaches {reach} bytes, too far for its index", place.shape);
                return Err(SourceError::broken(what));
            }
        }
        Ok(Arguments { all: Vec::new(), by_region })
    }

    /// The expression of a pointer to a place's first element.
    pub(crate) fn place(&mut self, place: &Place, access: Access) -> Pointer {
        let size = place.dtype.size();
        let offset = if self.by_region { place.offset % size } else { place.offset };
        let role = Role::Memory { region: place.region, offset };
        let argument = self.add(Argument { role, dtype: place.dtype, access });
        Pointer { argument, first: (place.offset - offset) / size, dtype: place.dtype }
    }

    /// A pointer to scratch memory.
    pub(crate) fn scratch(&mut self, offset: usize, dtype: DType, access: Access) -> Pointer {
        let argument = self.add(Argument { role: Role::Scratch { offset }, dtype, access });
        Pointer { argument, first: 0, dtype }
    }

    /// The name of the key of random numbers.
    pub(crate) fn random_key(&mut self) -> String {
        let argument = Argument { role: Role::RandomKey, dtype: DType::I32, access: Access::Read };
        format!("(DEVICE const uint*)a{}", self.add(argument))
    }

    fn add(&mut self, new: Argument) -> usize {
        let same = |known: &Argument| known.role == new.role && known.dtype == new.dtype;
        if let Some(at) = self.all.iter().position(same) {
            if new.access == Access::Write {
                self.all[at].access = Access::Write;
            }
            return at;
        }
        self.all.push(new);
        self.all.len() - 1
    }

    pub(crate) fn into_all(self) -> Vec<Argument> {
        self.all
    }
}

/// A pointer in a kernel's text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pointer {
    argument: usize,
    /// Elements before the first.
    first: usize,
    dtype: DType,
}

impl Pointer {
    /// The element at an index as it lies in memory.
    pub(crate) fn at(&self, index: &str) -> String {
        match self.first {
            0 => format!("a{}[{index}]", self.argument),
            first => format!("a{}[{first}u + {index}]", self.argument),
        }
    }

    /// The element at an index as a float.
    pub(crate) fn load(&self, index: &str) -> String {
        let element = self.at(index);
        match self.dtype {
            DType::F32 => element,
            DType::F16 => format!("from_half({element})"),
            DType::BF16 => format!("from_bfloat({element})"),
            DType::I32 | DType::U8 => format!("(float){element}"),
        }
    }

    /// The statement that stores a float at an index.
    pub(crate) fn store(&self, index: &str, value: &str) -> String {
        format!("{} = {};", self.at(index), stored(self.dtype, value))
    }
}

/// A float as it is stored.
pub(crate) fn stored(dtype: DType, value: &str) -> String {
    match dtype {
        DType::F32 => value.to_owned(),
        DType::F16 => format!("to_half({value})"),
        DType::BF16 => format!("to_bfloat({value})"),
        DType::I32 => format!("to_int({value})"),
        DType::U8 => format!("to_byte({value})"),
    }
}

/// A number as a literal. What has no decimal form is given by its bits.
pub(crate) fn literal(x: f32) -> String {
    if x.is_finite() && (x != 0.0 || x.is_sign_positive()) {
        format!("{x:e}f")
    } else {
        format!("float_of(0x{:08x}u)", x.to_bits())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_read_back_as_they_were() {
        for x in [0.0, 1.0, -2.5, 1e-30, 3.402_823_5e38, 0.1, 1e10, f32::MIN_POSITIVE] {
            let text = literal(x);
            let number = text.strip_suffix('f').unwrap();
            assert_eq!(number.parse::<f32>().unwrap().to_bits(), x.to_bits(), "{text}");
            assert!(number.contains('e'), "an integer with an f behind it is no C: {text}");
        }
        assert_eq!(literal(-0.0), "float_of(0x80000000u)");
        assert_eq!(literal(f32::INFINITY), "float_of(0x7f800000u)");
    }
}
