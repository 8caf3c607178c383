//! Samples to predict from files.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use onestep::data::{DataRecord, read_picture, read_sound};
use onestep::layers::{Model, Port};
use onestep::memory::{DType, HostData, HostTensor, HostValues, Shape};

use super::tensors::{Stored, TensorFile};

/// What a file of tensors calls the only input, whatever the model calls it.
const INPUT: &str = "input";

/// `--input NAME=FILE`: a file with samples of one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedFile {
    name: String,
    path: PathBuf,
}

impl std::str::FromStr for NamedFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => {
                Ok(NamedFile { name: name.to_owned(), path: path.into() })
            }
            _ => Err(format!("expected NAME=FILE, got `{text}`")),
        }
    }
}

/// Samples, all fields of the first and so on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Samples {
    /// The file of each, with its number where a file holds several.
    pub(crate) names: Vec<String>,
    /// Each input of the model, with its elements in all samples.
    fields: Vec<(String, HostValues)>,
}

impl Samples {
    pub(crate) fn fields(&self) -> Vec<(&str, HostData<'_>)> {
        self.fields.iter().map(|(name, values)| (name.as_str(), values.as_data())).collect()
    }
}

/// The samples of files, each read as the data was that the model learnt `record` from: files that
/// have all inputs of a sample, or those of one input each.
pub(crate) fn read(
    files: &[PathBuf],
    named: &[NamedFile],
    model: &Model,
    record: &DataRecord,
) -> Result<Samples> {
    let ports = model.inputs();
    let known: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
    if let Some(unknown) = named.iter().find(|file| !known.contains(&file.name.as_str())) {
        let (name, known) = (&unknown.name, known.join(", "));
        bail!("--input {name}: expected an input of the model ({known}), got `{name}`");
    }
    let mut columns: Vec<Column> = ports.iter().map(|_| Column::default()).collect();
    for file in files {
        whole(file, ports, record, &mut columns)?;
    }
    for (port, column) in ports.iter().zip(&mut columns) {
        for file in named.iter().filter(|file| file.name == port.name) {
            column.add(file_of(&file.path, port, Naming::Told, record)?)?;
        }
    }
    together(ports, columns)
}

/// The samples of a file that has all inputs.
fn whole(path: &Path, ports: &[Port], record: &DataRecord, columns: &mut [Column]) -> Result<()> {
    if let ([port], [column]) = (ports, &mut *columns) {
        return column.add(file_of(path, port, Naming::Untold, record)?);
    }
    if extension(path).as_deref() != Some("safetensors") {
        let names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
        let flags: Vec<String> = names.iter().map(|name| format!("--input {name}=FILE")).collect();
        bail!(
            "{}: the model takes {}; give {}, or a .safetensors file with a tensor for each",
            path.display(),
            names.join(" and "),
            flags.join(" ")
        );
    }
    let mut file = TensorFile::read(path)?;
    for (port, column) in ports.iter().zip(columns) {
        let stored = file.take(&port.name, &format!("samples of {}", port.shape))?;
        column.add(samples_of(path, &port.name, stored, port)?)?;
    }
    file.finish("the inputs of the model")
}

/// An input of all samples so far.
#[derive(Default)]
struct Column {
    names: Vec<String>,
    values: Option<HostValues>,
}

impl Column {
    fn add(&mut self, (names, values): (Vec<String>, HostValues)) -> Result<()> {
        self.names.extend(names);
        match (&mut self.values, values) {
            (Some(HostValues::F32(own)), HostValues::F32(more)) => own.extend(more),
            (Some(HostValues::I32(own)), HostValues::I32(more)) => own.extend(more),
            (Some(HostValues::U8(own)), HostValues::U8(more)) => own.extend(more),
            (own @ None, more) => *own = Some(more),
            (Some(own), more) => bail!("expected {} as before, got {}", own.dtype(), more.dtype()),
        }
        Ok(())
    }
}

fn together(ports: &[Port], columns: Vec<Column>) -> Result<Samples> {
    let count = columns.first().map_or(0, |column| column.names.len());
    let mut names = vec![Vec::new(); count];
    let mut fields = Vec::new();
    for (port, column) in ports.iter().zip(columns) {
        let name = &port.name;
        let Some(values) = column.values else {
            bail!("--input: the model's input `{name}` is missing; add --input {name}=FILE");
        };
        ensure!(
            column.names.len() == count,
            "--input {name}: expected {count} samples, as many as `{}` has, got {}",
            ports[0].name,
            column.names.len()
        );
        names.iter_mut().zip(column.names).for_each(|(all, name)| {
            if !all.contains(&name) {
                all.push(name);
            }
        });
        fields.push((name.clone(), values));
    }
    Ok(Samples { names: names.into_iter().map(|all| all.join(", ")).collect(), fields })
}

fn extension(path: &Path) -> Option<String> {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase())
}

/// Whether it was said which input a file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Naming {
    Told,
    Untold,
}

/// The samples of one input: of tensors, of a table of numbers, or of a picture.
fn file_of(
    path: &Path,
    port: &Port,
    naming: Naming,
    record: &DataRecord,
) -> Result<(Vec<String>, HostValues)> {
    let place = path.display();
    match extension(path).as_deref() {
        Some("safetensors") => {
            let (name, stored) = tensor_of(path, port, naming)?;
            samples_of(path, &name, stored, port)
        }
        _ if record.texts.is_some() => texts_of(record.read_labelled_texts(path)?, record),
        Some("csv" | "tsv") => table(path, port, record),
        Some("wav" | "wave") if port.dtype == DType::F32 => {
            let Some(form) = record.sounds.filter(|form| port.shape.dims() == [1, form.length])
            else {
                bail!("{place}: the model did not learn from recordings of {}", port.shape);
            };
            Ok((vec![place.to_string()], read_sound(path, form)?.into()))
        }
        _ if port.shape.rank() != 3 || port.dtype != DType::F32 => bail!(
            "{place}: the model takes {} {}, no pictures; give a .csv or .safetensors file",
            port.dtype,
            port.shape
        ),
        _ => Ok((vec![place.to_string()], read_picture(path, &port.shape)?.into())),
    }
}

/// The tensor of an input in a file: by its name, or where that was said the only one.
fn tensor_of(path: &Path, port: &Port, naming: Naming) -> Result<(String, Stored)> {
    let mut file = TensorFile::read(path)?;
    let names = match naming {
        Naming::Told => [port.name.as_str(), INPUT],
        Naming::Untold => [INPUT, port.name.as_str()],
    };
    if let Some(found) = names.iter().find_map(|&name| Some((name, file.take_any(name)?))) {
        return Ok((found.0.to_owned(), found.1));
    }
    if naming == Naming::Told
        && let Some(only) = file.take_only()
    {
        return Ok(only);
    }
    let stored = file.take(names[0], &format!("samples of {}", port.shape))?;
    Ok((names[0].to_owned(), stored))
}

/// One or more samples in a tensor.
fn samples_of(
    path: &Path,
    name: &str,
    stored: Stored,
    port: &Port,
) -> Result<(Vec<String>, HostValues)> {
    let place = format!("{}: tensor `{name}`", path.display());
    let shape = &port.shape;
    let got = stored.to_string();
    let tensor: HostTensor = stored.tensor.converted(port.dtype);
    let single = tensor.shape() == shape;
    if !single && tensor.shape().get(1..) != Some(shape.dims()) {
        bail!("{place}: expected one or more samples of {shape}, got {got}");
    }
    ensure!(tensor.dtype() == port.dtype, "{place}: expected {}, got {got}", port.dtype);
    if let HostValues::F32(values) = tensor.values()
        && let Some(at) = values.iter().position(|value| !value.is_finite())
    {
        let (sample, value) = (at / shape.elements(), values[at]);
        bail!("{place}: sample {sample}: expected finite numbers, got {value}");
    }
    let values = tensor.into_values();
    Ok((numbered(path, values.len() / shape.elements().max(1)), values))
}

/// Texts with their names, as the tokens of one input.
fn texts_of(
    texts: Vec<(String, String)>,
    record: &DataRecord,
) -> Result<(Vec<String>, HostValues)> {
    let mut tokens = Vec::new();
    for (name, text) in &texts {
        tokens.extend(record.encode_labelled_text(name, text)?);
    }
    Ok((texts.into_iter().map(|(name, _)| name).collect(), tokens.into()))
}

/// Texts that were given as they are, for a model that was trained on texts with a class each.
pub(crate) fn said(texts: &[String], model: &Model, record: &DataRecord) -> Result<Samples> {
    let [port] = model.inputs() else {
        let names: Vec<&str> = model.inputs().iter().map(|port| port.name.as_str()).collect();
        bail!("--text: the model takes {}; give --input NAME=FILE for each", names.join(" and "));
    };
    let named = texts.iter().map(|text| (format!("{text:?}"), text.clone())).collect();
    let (names, values) = texts_of(named, record)?;
    Ok(Samples { names, fields: vec![(port.name.clone(), values)] })
}

fn table(path: &Path, port: &Port, record: &DataRecord) -> Result<(Vec<String>, HostValues)> {
    let rows = record.read_table(path)?;
    let (place, shape) = (path.display(), &port.shape);
    if rows.width != shape.elements() {
        let (wanted, got) = (shape.elements(), rows.width);
        bail!("{place}: expected {wanted} numbers a line, the model's input {shape}, got {got}");
    }
    let names = numbered(path, rows.values.len() / rows.width.max(1));
    if port.dtype == DType::F32 {
        return Ok((names, rows.values.into()));
    }
    if let Some(at) = rows.values.iter().position(|value| value.fract() != 0.0) {
        let (line, got) = (at / rows.width, rows.values[at]);
        bail!("{place}: sample {line}: expected whole numbers, as the model takes, got {got}");
    }
    let whole: Vec<i32> = rows.values.iter().map(|&value| value as i32).collect();
    let tensor = HostTensor::new(Shape::from([whole.len()]), whole)?.converted(port.dtype);
    ensure!(tensor.dtype() == port.dtype, "{place}: expected numbers from 0 to 255");
    Ok((names, tensor.into_values()))
}

/// The samples of a file, named after it.
fn numbered(path: &Path, count: usize) -> Vec<String> {
    let file = path.display().to_string();
    match count {
        1 => vec![file],
        _ => (0..count).map(|index| format!("{file}[{index}]")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use onestep::layers::{InputSpec, ModelBuilder};

    use super::*;

    #[test]
    fn tables_are_read_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        let model = ModelBuilder::new([2]).dense(1, true, "fc").build().unwrap();
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(std::slice::from_ref(&path), &[], &model, &DataRecord::default())
        };
        let samples = read("1, 2\n\n3,4.5\n").unwrap();
        assert_eq!(samples.names.len(), 2);
        assert_eq!(samples.fields()[0].1, HostData::F32(&[1.0, 2.0, 3.0, 4.5]));
        assert!(samples.names[1].ends_with("x.csv[1]"));
        let error = format!("{:#}", read("1,2\n3,x\n").unwrap_err());
        assert!(error.contains("line 2") && error.contains("`x`"), "{error}");
        let error = format!("{:#}", read("1,2,3\n").unwrap_err());
        assert!(error.contains("expected 2 numbers"), "{error}");
        let error = format!("{:#}", read("1,2\nnan,1e39\n").unwrap_err());
        assert!(error.contains("finite"), "{error}");
    }

    #[test]
    fn each_input_has_files_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = [("a", InputSpec::new([1])), ("words", InputSpec::indices([1]))];
        let model = ModelBuilder::with_inputs(inputs)
            .embedding(4, 1, "embed")
            .taking(["words"])
            .flatten("flat")
            .sum(["a", "flat"], "sum")
            .build()
            .unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let read = |files: &[String]| {
            let named: Vec<NamedFile> = files.iter().map(|file| file.parse().unwrap()).collect();
            read(&[], &named, &model, &DataRecord::default()).map_err(|error| error.to_string())
        };
        let a = format!("a={}", write("a.csv", "0.5\n1.5\n"));
        let words = format!("words={}", write("w.csv", "3\n1\n"));
        let samples = read(&[words.clone(), a.clone()]).unwrap();
        assert_eq!(samples.fields()[0], ("a", HostData::F32(&[0.5, 1.5])));
        assert_eq!(samples.fields()[1], ("words", HostData::I32(&[3, 1])));
        assert!(samples.names[1].contains("a.csv[1], ") && samples.names[1].contains("w.csv[1]"));
        let refused = |files: &[String], wanted: &str| {
            let error = read(files).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        };
        refused(std::slice::from_ref(&a), "`words` is missing; add --input words=FILE");
        refused(&[a.clone(), words, "more=x.csv".into()], "an input of the model (a, words)");
        let half = format!("words={}", write("half.csv", "0.5\n1\n"));
        refused(&[a.clone(), half], "expected whole numbers");
        let short = format!("words={}", write("short.csv", "1\n"));
        refused(&[a, short], "expected 2 samples, as many as `a` has, got 1");
        assert!("a.csv".parse::<NamedFile>().unwrap_err().contains("NAME=FILE"));
    }
}
