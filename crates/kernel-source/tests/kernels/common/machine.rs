//! Memory as a plan lays it out, and printed kernels that run in it.

use std::collections::HashMap;

use onestep_engine::plan::{Place, Region, Work};
use onestep_engine::reference::{Array, Context, evaluate_op};
use onestep_engine::{DType, Type};
use onestep_kernel_source::{Argument, Dialect, KernelSource, Launches, Role, SourceError, print};
use onestep_memory::{bf16, f16};

use super::{Library, Result};

/// A machine of one dialect.
pub(crate) struct Machine {
    dialect: Dialect,
    /// Each region's bytes, aligned for all types.
    regions: HashMap<Region, Vec<u64>>,
    /// Seed and step.
    pub(crate) context: Context,
    /// The order of threads and groups.
    pub(crate) seed: u64,
    /// Operations that had no printed kernel.
    pub(crate) by_definition: Vec<&'static str>,
}

impl Machine {
    pub(crate) fn new(dialect: Dialect, context: Context) -> Self {
        let (regions, by_definition) = (HashMap::new(), Vec::new());
        Machine { dialect, regions, context, seed: 1, by_definition }
    }

    /// Makes sure that a region has so many bytes. What was never written is NaN.
    pub(crate) fn reserve(&mut self, region: Region, bytes: usize) {
        let memory = self.regions.entry(region).or_default();
        if memory.len() * 8 < bytes {
            memory.resize(bytes.div_ceil(8), u64::MAX);
        }
    }

    fn bytes(&self, region: Region) -> &[u8] {
        bytes_of(&self.regions[&region])
    }

    /// Runs the work of a plan, one piece after the other.
    pub(crate) fn run<'w>(&mut self, works: impl Iterator<Item = &'w Work>) -> Result<()> {
        let compiled = self.compile(works)?;
        self.execute(&compiled);
        Ok(())
    }

    /// Prints and compiles work, to be run any number of times.
    pub(crate) fn compile<'w>(
        &mut self,
        works: impl Iterator<Item = &'w Work>,
    ) -> Result<Compiled<'w>> {
        let mut printed: Vec<(&Work, Option<Launches>)> = Vec::new();
        for work in works {
            match print(work, self.dialect) {
                Ok(launches) => printed.push((work, Some(launches))),
                Err(SourceError::NoKernel { op }) => {
                    self.by_definition.push(op);
                    printed.push((work, None));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let kernels: Vec<&KernelSource> =
            printed.iter().flat_map(|(_, l)| l.iter().flat_map(|l| &l.kernels)).collect();
        let library = Library::new(self.dialect, &kernels)?;
        Ok(Compiled { library, printed })
    }

    /// Runs what was compiled.
    pub(crate) fn execute(&mut self, compiled: &Compiled<'_>) {
        for (work, launches) in &compiled.printed {
            match launches {
                Some(launches) => self.launch(&compiled.library, launches),
                None => self.evaluate(work),
            }
        }
    }

    /// Runs launches by a library that has them.
    pub(crate) fn launch(&mut self, library: &Library, launches: &Launches) {
        let mut scratch = vec![u64::MAX; launches.scratch.div_ceil(8)];
        let Context { seed, step } = self.context;
        let mut key = [seed as u32, (seed >> 32) as u32, step as u32, (step >> 32) as u32];
        for kernel in &launches.kernels {
            for argument in &kernel.arguments {
                if let Role::Memory { region, offset } = argument.role {
                    self.reserve(region, offset);
                }
            }
            let starts = self.regions.iter_mut();
            let starts: HashMap<Region, *mut u8> =
                starts.map(|(&region, memory)| (region, memory.as_mut_ptr().cast())).collect();
            let mut at = |argument: &Argument| match argument.role {
                Role::Memory { region, offset } => starts[&region].wrapping_add(offset),
                Role::Scratch { offset } => scratch.as_mut_ptr().cast::<u8>().wrapping_add(offset),
                Role::RandomKey => key.as_mut_ptr().cast::<u8>(),
            };
            let buffers: Vec<*mut u8> = kernel.arguments.iter().map(&mut at).collect();
            // SAFETY: the regions are as large as the places that the work was printed for.
            unsafe { library.launch(kernel, &buffers, self.seed) };
            self.seed += 1;
        }
    }

    /// Does what has no printed kernel as the engine defines it.
    fn evaluate(&mut self, work: &Work) {
        match work {
            Work::Op { op, inputs, output } => {
                let operands: Vec<Array> = inputs.iter().map(|p| self.read_array(p)).collect();
                let operands: Vec<&Array> = operands.iter().collect();
                let ty = Type { shape: output.shape.clone(), dtype: output.dtype };
                let result = evaluate_op(op, &self.context, &operands, &ty);
                let data: Vec<f32> = result.data.iter().map(|&x| x as f32).collect();
                self.write(output, &data);
            }
            Work::Composite(composite) => {
                composite.parts().iter().for_each(|part| self.evaluate(part));
            }
            Work::Fused(_) => unreachable!("every fused program has a kernel"),
        }
    }

    /// The elements of a place as f32.
    pub(crate) fn read(&self, place: &Place) -> Vec<f32> {
        let (bytes, size) = (self.bytes(place.region), place.dtype.size());
        let load = |at: usize| {
            let element = &bytes[place.offset + at * size..][..size];
            match place.dtype {
                DType::F32 => f32::from_ne_bytes(element.try_into().unwrap()),
                DType::I32 => i32::from_ne_bytes(element.try_into().unwrap()) as f32,
                DType::U8 => f32::from(element[0]),
                DType::F16 => f16::from_ne_bytes(element.try_into().unwrap()).to_f32(),
                DType::BF16 => bf16::from_ne_bytes(element.try_into().unwrap()).to_f32(),
            }
        };
        positions(place).map(load).collect()
    }

    pub(crate) fn read_array(&self, place: &Place) -> Array {
        let data = self.read(place).into_iter().map(f64::from).collect();
        Array::new(place.shape.clone(), data).unwrap()
    }

    pub(crate) fn write(&mut self, place: &Place, data: &[f32]) {
        self.reserve(place.region, place.span().1);
        let (size, dtype, start) = (place.dtype.size(), place.dtype, place.offset);
        let memory = self.regions.get_mut(&place.region).unwrap();
        let bytes = bytes_of_mut(memory);
        for (at, &x) in positions(place).zip(data) {
            let element = &mut bytes[start + at * size..][..size];
            match dtype {
                DType::F32 => element.copy_from_slice(&x.to_ne_bytes()),
                DType::I32 => element.copy_from_slice(&(x as i32).to_ne_bytes()),
                DType::U8 => element[0] = x as u8,
                DType::F16 => element.copy_from_slice(&f16::from_f32(x).to_ne_bytes()),
                DType::BF16 => element.copy_from_slice(&bf16::from_f32(x).to_ne_bytes()),
            }
        }
    }
}

/// Work with its compiled kernels.
pub(crate) struct Compiled<'w> {
    library: Library,
    printed: Vec<(&'w Work, Option<Launches>)>,
}

fn bytes_of(words: &[u64]) -> &[u8] {
    // SAFETY: bytes have no invalid values and need no alignment.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len() * 8) }
}

fn bytes_of_mut(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: bytes and words have no invalid values, and bytes need no alignment.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len() * 8) }
}

/// The positions of a place's elements in row-major order, in elements from its first.
fn positions(place: &Place) -> impl Iterator<Item = usize> + use<> {
    let (dims, strides) = (place.shape.dims().to_vec(), place.strides().to_vec());
    (0..place.shape.elements()).map(move |mut linear| {
        let mut at = 0;
        for axis in (0..dims.len()).rev() {
            at += linear % dims[axis] * strides[axis];
            linear /= dims[axis];
        }
        at
    })
}
