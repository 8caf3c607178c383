//! Samples to predict from files.

use std::path::Path;

use anyhow::{Result, bail};
use onestep::data::{DataRecord, read_picture};
use onestep::memory::Shape;

use super::tensors::{Elements, TensorFile};

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    /// The file, with the sample's number where it holds several.
    pub(crate) name: String,
    pub(crate) values: Vec<f32>,
}

/// The samples of a file (tensors, a table of numbers, or a picture), read as the data was that the
/// model learnt `record` from.
pub(crate) fn read(path: &Path, shape: &Shape, record: &DataRecord) -> Result<Vec<Input>> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("safetensors") => tensors(path, shape),
        Some("csv" | "tsv") => table(path, shape, record),
        _ if shape.rank() != 3 => {
            let path = path.display();
            bail!("{path}: the model takes {shape}, no pictures; give a .csv or .safetensors file")
        }
        _ => {
            Ok(vec![Input { name: path.display().to_string(), values: read_picture(path, shape)? }])
        }
    }
}

fn tensors(path: &Path, shape: &Shape) -> Result<Vec<Input>> {
    let mut file = TensorFile::read(path)?;
    let tensor = file.take("input", &format!("samples of {shape}"))?;
    let place = format!("{}: tensor `input`", path.display());
    let single = tensor.shape == shape.dims();
    if !single && tensor.shape.get(1..) != Some(shape.dims()) {
        bail!("{place}: expected one or more samples of {shape}, got {tensor}");
    }
    let values: Vec<f32> = match tensor.elements {
        Elements::F32(values) => values,
        Elements::I32(values) => values.into_iter().map(|x| x as f32).collect(),
    };
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        bail!(
            "{place}: sample {}: expected finite numbers, got {}",
            at / shape.elements(),
            values[at]
        );
    }
    Ok(split(path, &values, shape))
}

fn table(path: &Path, shape: &Shape, record: &DataRecord) -> Result<Vec<Input>> {
    let rows = record.read_table(path)?;
    if rows.width != shape.elements() {
        let (path, wanted, got) = (path.display(), shape.elements(), rows.width);
        bail!("{path}: expected {wanted} numbers a line, the model's input {shape}, got {got}");
    }
    Ok(split(path, &rows.values, shape))
}

/// The samples of a file, named after it.
fn split(path: &Path, values: &[f32], shape: &Shape) -> Vec<Input> {
    let file = path.display().to_string();
    let samples = values.chunks_exact(shape.elements());
    let single = samples.len() == 1;
    let name = |index: usize| if single { file.clone() } else { format!("{file}[{index}]") };
    let numbered = samples.enumerate();
    numbered.map(|(index, values)| Input { name: name(index), values: values.to_vec() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path, &Shape::from([2]), &DataRecord::default())
        };
        let samples = read("1, 2\n\n3,4.5\n").unwrap();
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[1].values, [3.0, 4.5]);
        assert!(samples[1].name.ends_with("x.csv[1]"));
        let error = format!("{:#}", read("1,2\n3,x\n").unwrap_err());
        assert!(error.contains("line 2") && error.contains("`x`"), "{error}");
        let error = format!("{:#}", read("1,2,3\n").unwrap_err());
        assert!(error.contains("expected 2 numbers"), "{error}");
        let error = format!("{:#}", read("1,2\nnan,1e39\n").unwrap_err());
        assert!(error.contains("finite"), "{error}");
    }
}
