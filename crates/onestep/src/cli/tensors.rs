//! Tensors in safetensors files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use onestep::memory::{HostTensor, HostValues, Shape, bf16, f16};
use onestep::trainer::weights::beyond_f32;
use onestep::trainer::write_atomically;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// A tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) tensor: HostTensor,
    /// The name of the type that the file has it in.
    pub(crate) dtype: String,
}

impl std::fmt::Display for Stored {
    /// Type and shape as the file has them: `i64[2, 3]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.dtype, self.tensor.shape())
    }
}

/// The tensors of a file by name. Floating-point types of any width become f32, whole numbers and
/// truth values i32.
#[derive(Debug)]
pub(crate) struct TensorFile {
    path: PathBuf,
    tensors: BTreeMap<String, Stored>,
}

impl TensorFile {
    /// Reads a file whole.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)
            .with_context(|| format!("{}: cannot read the file", path.display()))?;
        let file = SafeTensors::deserialize(&bytes)
            .with_context(|| format!("{}: not a usable safetensors file", path.display()))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            let tensor =
                decode(&view).with_context(|| format!("{}: tensor `{name}`", path.display()))?;
            tensors.insert(name, tensor);
        }
        Ok(TensorFile { path: path.to_path_buf(), tensors })
    }

    /// Takes a tensor out of the file.
    pub(crate) fn take(&mut self, name: &str, wanted: &str) -> Result<Stored> {
        self.tensors.remove(name).ok_or_else(|| {
            let known: Vec<&str> = self.tensors.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            anyhow!(
                "{}: the tensor `{name}` is missing: expected {wanted}, got {known}",
                self.path.display()
            )
        })
    }

    /// Takes a tensor out of the file that need not be there.
    pub(crate) fn take_any(&mut self, name: &str) -> Option<Stored> {
        self.tensors.remove(name)
    }

    /// Takes the tensor of a file that has one, whatever it is called.
    pub(crate) fn take_only(&mut self) -> Option<(String, Stored)> {
        if self.tensors.len() == 1 { self.tensors.pop_first() } else { None }
    }

    /// Refuses tensors that nobody took.
    pub(crate) fn finish(self, owner: &str) -> Result<()> {
        match self.tensors.first_key_value() {
            None => Ok(()),
            Some((name, tensor)) => Err(anyhow!(
                "{}: the tensor `{name}` ({tensor}) is not one of {owner}",
                self.path.display()
            )),
        }
    }
}

fn decode(view: &TensorView<'_>) -> Result<Stored> {
    let bytes = view.data();
    let values = match view.dtype() {
        Dtype::F32 => HostValues::F32(read(bytes, f32::from_le_bytes)),
        Dtype::F64 => {
            let narrowed = read(bytes, |b| f64::from_le_bytes(b) as f32);
            if let Some(at) = beyond_f32(bytes, &narrowed) {
                bail!("element {at}: expected a number that f32 can hold");
            }
            HostValues::F32(narrowed)
        }
        Dtype::F16 => HostValues::F32(read(bytes, |b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => HostValues::F32(read(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        Dtype::BOOL | Dtype::U8 => whole(bytes.to_vec())?,
        Dtype::I8 => whole(read(bytes, i8::from_le_bytes))?,
        Dtype::I16 => whole(read(bytes, i16::from_le_bytes))?,
        Dtype::U16 => whole(read(bytes, u16::from_le_bytes))?,
        Dtype::I32 => HostValues::I32(read(bytes, i32::from_le_bytes)),
        Dtype::U32 => whole(read(bytes, u32::from_le_bytes))?,
        Dtype::I64 => whole(read(bytes, i64::from_le_bytes))?,
        Dtype::U64 => whole(read(bytes, u64::from_le_bytes))?,
        other => bail!("expected floating-point or whole numbers of usual types, got {other:?}"),
    };
    let tensor = HostTensor::new(Shape::new(view.shape())?, values)?;
    Ok(Stored { tensor, dtype: format!("{:?}", view.dtype()).to_ascii_lowercase() })
}

fn read<const N: usize, T>(bytes: &[u8], element: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| element(chunk)).collect()
}

/// Whole numbers of any type as i32, where they fit.
fn whole<T: Copy + std::fmt::Display + TryInto<i32>>(values: Vec<T>) -> Result<HostValues> {
    let one = |(index, value): (usize, T)| {
        value.try_into().map_err(|_| anyhow!("element {index}: {value} does not fit in i32"))
    };
    Ok(HostValues::I32(values.into_iter().enumerate().map(one).collect::<Result<_>>()?))
}

/// Writes tensors to a file, which is there as a whole or not at all.
pub(crate) fn write_tensors(path: &Path, tensors: &BTreeMap<String, HostTensor>) -> Result<()> {
    let encoded: BTreeMap<&str, Vec<u8>> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), encode(tensor.values()))).collect();
    let mut views = BTreeMap::new();
    for (name, tensor) in tensors {
        let dtype = match tensor.values() {
            HostValues::F32(_) => Dtype::F32,
            HostValues::I32(_) => Dtype::I32,
            HostValues::U8(_) => Dtype::U8,
        };
        let view = TensorView::new(dtype, tensor.shape().to_vec(), &encoded[name.as_str()])
            .with_context(|| format!("tensor `{name}` ({tensor})"))?;
        views.insert(name.as_str(), view);
    }
    let bytes = safetensors::serialize(views, None).context("the tensors cannot be written")?;
    Ok(write_atomically(path, |file: &mut dyn Write| file.write_all(&bytes))?)
}

fn encode(values: &HostValues) -> Vec<u8> {
    match values {
        HostValues::F32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        HostValues::I32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        HostValues::U8(data) => data.clone(),
    }
}
