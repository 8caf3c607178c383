//! The golden numbers: what PyTorch says. `goldens/make_goldens.py` writes them and
//! `goldens/generator/writer.py` describes the files, which are embedded in this crate.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use onestep_engine::reference::Array;
use onestep_engine::{DType, GraphError, Shape};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::error::ConformanceError;

/// A family of cases: one pair of golden files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Primitive ops.
    Ops,
    /// Layers.
    Layers,
    /// Losses.
    Losses,
    /// Optimizers, ten steps each.
    Optimizers,
    /// Learning-rate schedules.
    Schedules,
    /// Whole networks, twenty steps each.
    Networks,
}

impl Family {
    /// All families.
    pub const ALL: [Family; 6] = [
        Family::Ops,
        Family::Layers,
        Family::Losses,
        Family::Optimizers,
        Family::Schedules,
        Family::Networks,
    ];

    /// The name of its files.
    pub fn name(self) -> &'static str {
        match self {
            Family::Ops => "ops",
            Family::Layers => "layers",
            Family::Losses => "losses",
            Family::Optimizers => "optimizers",
            Family::Schedules => "schedules",
            Family::Networks => "networks",
        }
    }

    fn files(self) -> (&'static str, &'static [u8]) {
        macro_rules! files {
            ($name:literal) => {
                (
                    include_str!(concat!("../goldens/data/", $name, ".json")),
                    include_bytes!(concat!("../goldens/data/", $name, ".safetensors")),
                )
            };
        }
        match self {
            Family::Ops => files!("ops"),
            Family::Layers => files!("layers"),
            Family::Losses => files!("losses"),
            Family::Optimizers => files!("optimizers"),
            Family::Schedules => files!("schedules"),
            Family::Networks => files!("networks"),
        }
    }

    /// The family's golden cases, in the order of the file. They are parsed once.
    ///
    /// # Errors
    /// The files are not what the generator writes.
    pub fn goldens(self) -> Result<&'static [Golden], ConformanceError> {
        static PARSED: [OnceLock<Result<Vec<Golden>, String>>; 6] = [const { OnceLock::new() }; 6];
        let parsed = PARSED[self as usize].get_or_init(|| parse(self).map_err(|e| e.to_string()));
        match parsed {
            Ok(cases) => Ok(cases),
            Err(reason) => {
                Err(ConformanceError::Golden { family: self.name(), reason: reason.clone() })
            }
        }
    }

    /// The golden case called `name`.
    ///
    /// # Errors
    /// There is none, or the files are not what the generator writes.
    pub fn golden(self, name: &str) -> Result<&'static Golden, ConformanceError> {
        self.goldens()?.iter().find(|g| g.name == name).ok_or_else(|| ConformanceError::Missing {
            case: name.to_owned(),
            missing: format!("entry in {}.json", self.name()),
        })
    }
}

/// A tensor of a golden file. Its numbers are held in f64, which is exact for each dtype stored.
#[derive(Clone, Debug)]
pub struct GoldenTensor {
    /// Shape and numbers.
    pub array: Array,
    /// How an executor holds it. The learning rates and losses that are stored in float64 have
    /// no dtype here.
    pub dtype: Option<DType>,
}

/// One golden case.
#[derive(Clone, Debug)]
pub struct Golden {
    /// The case's name, unique in its family.
    pub name: String,
    /// What is needed to build the case, such as `spec`.
    pub fields: Map<String, Json>,
    /// Its tensors by name.
    pub tensors: BTreeMap<String, GoldenTensor>,
    /// PyTorch's own float32 error by tensor: the largest absolute difference between its float32
    /// and its float64 result.
    pub f32_error: BTreeMap<String, f64>,
}

impl Golden {
    /// A tensor by name.
    ///
    /// # Errors
    /// There is none.
    pub fn tensor(&self, name: &str) -> Result<&GoldenTensor, ConformanceError> {
        self.tensors.get(name).ok_or_else(|| self.missing(&format!("tensor `{name}`")))
    }

    /// The numbers of a tensor.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn array(&self, name: &str) -> Result<&Array, ConformanceError> {
        Ok(&self.tensor(name)?.array)
    }

    /// A field, read as `T`.
    ///
    /// # Errors
    /// There is none, or it is not a `T`.
    pub fn field<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<T, ConformanceError> {
        let value =
            self.fields.get(name).ok_or_else(|| self.missing(&format!("field `{name}`")))?;
        T::deserialize(value).map_err(|e| {
            ConformanceError::subject(
                "reading a golden's field",
                format!("{}: {name}: {e}", self.name),
            )
        })
    }

    /// The tensors whose name begins with `prefix`, by the rest of their name.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a GoldenTensor)> {
        self.tensors.iter().filter_map(move |(name, t)| Some((name.strip_prefix(prefix)?, t)))
    }

    /// PyTorch's own float32 error of a tensor, 0 where none is known.
    pub fn error_of(&self, name: &str) -> f64 {
        self.f32_error.get(name).copied().unwrap_or(0.0)
    }

    fn missing(&self, what: &str) -> ConformanceError {
        ConformanceError::Missing { case: self.name.clone(), missing: what.to_owned() }
    }
}

#[derive(Deserialize)]
struct Index {
    cases: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    f32_error: BTreeMap<String, f64>,
    #[serde(flatten)]
    fields: Map<String, Json>,
}

fn parse(family: Family) -> Result<Vec<Golden>, ConformanceError> {
    let wrong = |reason: String| ConformanceError::Golden { family: family.name(), reason };
    let (json, bytes) = family.files();
    let index: Index = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| wrong(e.to_string()))?;
    let mut tensors: BTreeMap<String, BTreeMap<String, GoldenTensor>> = BTreeMap::new();
    for (key, view) in file.tensors() {
        let (case, name) =
            key.split_once('/').ok_or_else(|| wrong(format!("the tensor {key} has no case")))?;
        let tensor = decode(view.dtype(), view.shape(), view.data())
            .ok_or_else(|| wrong(format!("{key} has dtype {:?}", view.dtype())))??;
        tensors.entry(case.to_owned()).or_default().insert(name.to_owned(), tensor);
    }
    let cases = index.cases.into_iter().map(|entry| Golden {
        tensors: tensors.remove(&entry.name).unwrap_or_default(),
        name: entry.name,
        fields: entry.fields,
        f32_error: entry.f32_error,
    });
    Ok(cases.collect())
}

/// The numbers of a stored tensor; `None` for a dtype that the generator does not write.
fn decode(
    dtype: Dtype,
    dims: &[usize],
    data: &[u8],
) -> Option<Result<GoldenTensor, ConformanceError>> {
    let (numbers, dtype): (Vec<f64>, _) = match dtype {
        Dtype::F32 => (numbers(data, |b| f64::from(f32::from_le_bytes(b))), Some(DType::F32)),
        Dtype::I32 => (numbers(data, |b| f64::from(i32::from_le_bytes(b))), Some(DType::I32)),
        Dtype::F64 => (numbers(data, f64::from_le_bytes), None),
        _ => return None,
    };
    let array = Shape::new(dims).map_err(GraphError::from).and_then(|s| Array::new(s, numbers));
    Some(array.map(|array| GoldenTensor { array, dtype }).map_err(ConformanceError::from))
}

fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    data.as_chunks::<N>().0.iter().map(|&bytes| read(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_loads_and_has_tensors() -> Result<(), ConformanceError> {
        for family in Family::ALL {
            let cases = family.goldens()?;
            assert!(!cases.is_empty(), "{family:?}");
            for case in cases {
                assert!(!case.tensors.is_empty(), "{family:?} {}", case.name);
            }
        }
        Ok(())
    }

    #[test]
    fn a_missing_case_is_named() {
        let error = Family::Ops.golden("no such op").unwrap_err().to_string();
        assert!(error.contains("no such op") && error.contains("ops.json"), "{error}");
    }
}
