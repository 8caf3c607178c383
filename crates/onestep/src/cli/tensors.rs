//! Tensors in safetensors files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use onestep::memory::{DType, MemoryManager, Shape, Tensor, bf16, f16};
use onestep::trainer::write_atomically;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// The elements of a tensor on the host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

/// A tensor on the host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) elements: Elements,
}

impl HostTensor {
    pub(crate) fn f32(shape: &[usize], data: Vec<f32>) -> Self {
        HostTensor { shape: shape.to_vec(), elements: Elements::F32(data) }
    }

    fn dtype(&self) -> DType {
        match self.elements {
            Elements::F32(_) => DType::F32,
            Elements::I32(_) => DType::I32,
        }
    }

    /// The tensor on a device.
    pub(crate) fn upload(&self, memory: &MemoryManager) -> Result<Tensor> {
        let shape = Shape::new(&self.shape)?;
        Ok(match &self.elements {
            Elements::F32(data) => memory.from_slice(shape, data)?,
            Elements::I32(data) => memory.from_slice(shape, data)?,
        })
    }

    /// The numbers, which must be f32.
    pub(crate) fn into_f32(self) -> Option<Vec<f32>> {
        match self.elements {
            Elements::F32(data) => Some(data),
            Elements::I32(_) => None,
        }
    }
}

impl std::fmt::Display for HostTensor {
    /// Type and shape: `f32[2, 3]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.dtype(), self.shape)
    }
}

/// The tensors of a file by name. Floating-point types of any width become f32, integers i32.
#[derive(Debug)]
pub(crate) struct TensorFile {
    path: PathBuf,
    tensors: BTreeMap<String, HostTensor>,
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
    pub(crate) fn take(&mut self, name: &str, wanted: &str) -> Result<HostTensor> {
        self.take_optional(name).ok_or_else(|| {
            let known: Vec<&str> = self.tensors.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            anyhow!(
                "{}: the tensor `{name}` is missing: expected {wanted}, got {known}",
                self.path.display()
            )
        })
    }

    /// Takes a tensor out of the file, where it is there.
    pub(crate) fn take_optional(&mut self, name: &str) -> Option<HostTensor> {
        self.tensors.remove(name)
    }

    /// Checks a tensor's shape and that it is f32.
    pub(crate) fn expect(&self, name: &str, shape: &[usize], got: HostTensor) -> Result<Vec<f32>> {
        let described = got.to_string();
        match got.into_f32() {
            Some(data) if described == format!("{}{shape:?}", DType::F32) => Ok(data),
            _ => Err(anyhow!(
                "{}: tensor `{name}`: expected f32{shape:?}, got {described}",
                self.path.display()
            )),
        }
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

fn decode(view: &TensorView<'_>) -> Result<HostTensor> {
    let bytes = view.data();
    let floats = |data: Vec<f32>| Elements::F32(data);
    let elements = match view.dtype() {
        Dtype::F32 => floats(read(bytes, f32::from_le_bytes)),
        Dtype::F64 => floats(read(bytes, |b| f64::from_le_bytes(b) as f32)),
        Dtype::F16 => floats(read(bytes, |b| f16::from_le_bytes(b).to_f32())),
        Dtype::BF16 => floats(read(bytes, |b| bf16::from_le_bytes(b).to_f32())),
        Dtype::I32 => Elements::I32(read(bytes, i32::from_le_bytes)),
        Dtype::U8 => Elements::I32(bytes.iter().map(|&b| i32::from(b)).collect()),
        Dtype::I64 => Elements::I32(narrow(read(bytes, i64::from_le_bytes))?),
        other => bail!("expected f32, f64, f16, bf16, i32, i64 or u8, got {other:?}"),
    };
    Ok(HostTensor { shape: view.shape().to_vec(), elements })
}

fn read<const N: usize, T>(bytes: &[u8], element: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| element(chunk)).collect()
}

fn narrow(values: Vec<i64>) -> Result<Vec<i32>> {
    let one = |value| i32::try_from(value).with_context(|| format!("{value} does not fit in i32"));
    values.into_iter().map(one).collect()
}

/// Writes tensors to a file, which is there as a whole or not at all.
pub(crate) fn write_tensors(path: &Path, tensors: &BTreeMap<String, HostTensor>) -> Result<()> {
    let encoded: BTreeMap<&str, Vec<u8>> =
        tensors.iter().map(|(name, tensor)| (name.as_str(), encode(&tensor.elements))).collect();
    let mut views = BTreeMap::new();
    for (name, tensor) in tensors {
        let dtype = match tensor.elements {
            Elements::F32(_) => Dtype::F32,
            Elements::I32(_) => Dtype::I32,
        };
        let view = TensorView::new(dtype, tensor.shape.clone(), &encoded[name.as_str()])
            .with_context(|| format!("tensor `{name}` ({tensor})"))?;
        views.insert(name.as_str(), view);
    }
    let bytes = safetensors::serialize(views, None).context("the tensors cannot be written")?;
    Ok(write_atomically(path, |file: &mut dyn Write| file.write_all(&bytes))?)
}

fn encode(elements: &Elements) -> Vec<u8> {
    match elements {
        Elements::F32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Elements::I32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}
