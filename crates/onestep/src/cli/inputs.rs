//! Samples to predict from files.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use onestep::data::read_picture;
use onestep::memory::Shape;

use super::files::read_text;
use super::tensors::{Elements, TensorFile};

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Input {
    /// The file, with the sample's number where it holds several.
    pub(crate) name: String,
    pub(crate) values: Vec<f32>,
}

/// The samples of a file: tensors, a table of numbers, or a picture.
pub(crate) fn read(path: &Path, shape: &Shape) -> Result<Vec<Input>> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("safetensors") => tensors(path, shape),
        Some("csv") => table(path, shape),
        _ => {
            Ok(vec![Input { name: path.display().to_string(), values: read_picture(path, shape)? }])
        }
    }
}

fn tensors(path: &Path, shape: &Shape) -> Result<Vec<Input>> {
    let mut file = TensorFile::read(path)?;
    let tensor = file.take("input", &format!("samples of {shape}"))?;
    let single = tensor.shape == shape.dims();
    if !single && tensor.shape.get(1..) != Some(shape.dims()) {
        let path = path.display();
        bail!("{path}: tensor `input`: expected one or more samples of {shape}, got {tensor}");
    }
    let values: Vec<f32> = match tensor.elements {
        Elements::F32(values) => values,
        Elements::I32(values) => values.into_iter().map(|x| x as f32).collect(),
    };
    Ok(split(path, values.chunks_exact(shape.elements()).map(<[f32]>::to_vec).collect()))
}

fn table(path: &Path, shape: &Shape) -> Result<Vec<Input>> {
    let text = read_text(path)?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(number, line)| {
        row(line, shape).with_context(|| format!("{}: line {}", path.display(), number + 1))
    });
    Ok(split(path, rows.collect::<Result<_>>()?))
}

fn row(line: &str, shape: &Shape) -> Result<Vec<f32>> {
    let number = |cell: &str| {
        let cell = cell.trim();
        cell.parse().map_err(|_| anyhow!("expected a number, got `{cell}`"))
    };
    let values: Vec<f32> = line.split(',').map(number).collect::<Result<_>>()?;
    if values.len() != shape.elements() {
        let wanted = shape.elements();
        bail!("expected {wanted} numbers, the model's input {shape}, got {}", values.len());
    }
    Ok(values)
}

/// Names samples after their file.
fn split(path: &Path, samples: Vec<Vec<f32>>) -> Vec<Input> {
    let file = path.display().to_string();
    let single = samples.len() == 1;
    let name = |index: usize| if single { file.clone() } else { format!("{file}[{index}]") };
    let numbered = samples.into_iter().enumerate();
    numbered.map(|(index, values)| Input { name: name(index), values }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, "1, 2\n\n3,4.5\n").unwrap();
        let samples = read(&path, &Shape::from([2])).unwrap();
        assert_eq!(samples.len(), 2);
        assert_eq!(samples[1].values, [3.0, 4.5]);
        assert!(samples[1].name.ends_with("x.csv[1]"));

        std::fs::write(&path, "1,2\n3,x\n").unwrap();
        let error = format!("{:#}", read(&path, &Shape::from([2])).unwrap_err());
        assert!(error.contains("line 2") && error.contains("`x`"), "{error}");
        std::fs::write(&path, "1,2,3\n").unwrap();
        let error = format!("{:#}", read(&path, &Shape::from([2])).unwrap_err());
        assert!(error.contains("expected 2 numbers"), "{error}");
    }
}
