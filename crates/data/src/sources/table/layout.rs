//! Which column of a table goes where.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use csv::StringRecord;

use super::options::{Column, CsvOptions};
use crate::shown::listed;
use crate::{Columns, DataError, WeightColumn, shown};

/// The columns that are read, in the order of a model's inputs.
#[derive(Debug)]
pub(super) struct Layout {
    /// Where each feature stands.
    pub(super) features: Vec<usize>,
    /// Where the target stands; `None` where a table for predictions has none.
    pub(super) target: Option<usize>,
    /// Where the weight stands, where there is one.
    pub(super) weight: Option<usize>,
    /// The same by names.
    pub(super) columns: Columns,
}

impl Layout {
    /// Of a table that no model knows yet: one column is the target, all others are features.
    pub(super) fn of(
        path: &Path,
        first: &StringRecord,
        header: bool,
        options: &CsvOptions,
    ) -> Result<Self, DataError> {
        let count = first.len();
        if count < 2 {
            let wanted = "at least 2 (a feature and the target) with `,`, `;`, `|` or a tab between; \
                          another character needs `delimiter=`";
            return Err(DataError::format(path, "number of columns", wanted, count.to_string()));
        }
        let names = names(path, first, header)?;
        let find = |what: &str, column: &Column, last: usize| {
            let (found, got) = match column {
                Column::Last => (Some(last), String::new()),
                Column::Index(index) => (
                    Some(*index).filter(|&index| index < count),
                    format!("number {index}, counted from 0"),
                ),
                Column::Name(name) => (
                    names.iter().position(|column| header && column == name),
                    format!("`{}`", shown(name)),
                ),
            };
            found.ok_or_else(|| {
                let there = match header {
                    true => listed(&names),
                    false => format!("{count} columns without names"),
                };
                DataError::format(path, what, format!("a column of the file ({there})"), got)
            })
        };
        let weight = match &options.weight {
            Some(column) => Some(find("weight column", column, count - 1)?),
            None => None,
        };
        let last = if weight == Some(count - 1) { count - 2 } else { count - 1 };
        let target = find("target column", &options.target, last)?;
        if weight == Some(target) {
            let wanted = "another column than the target's";
            return Err(DataError::format(path, "weight column", wanted, shown(&names[target])));
        }
        let features: Vec<usize> =
            (0..count).filter(|&column| column != target && Some(column) != weight).collect();
        if features.is_empty() {
            let wanted = "a feature beside the target and the weight";
            return Err(DataError::format(path, "columns", wanted, listed(&names)));
        }
        let columns = Columns {
            features: features.iter().map(|&column| names[column].clone()).collect(),
            target: names[target].clone(),
            target_index: target,
            weight: weight.map(|index| WeightColumn { name: names[index].clone(), index }),
            header,
        };
        Ok(Self { features, target: Some(target), weight, columns })
    }

    /// Of a table of samples alone, for a model that knows no columns.
    pub(super) fn all(count: usize) -> Self {
        let features: Vec<usize> = (0..count).collect();
        let names = features.iter().map(|column| (column + 1).to_string()).collect();
        let columns = Columns {
            features: names,
            target: String::new(),
            target_index: count,
            weight: None,
            header: false,
        };
        Self { features, target: None, weight: None, columns }
    }

    /// Of a table for a model that knows its columns: by their names where both have names, else by
    /// their places.
    pub(super) fn known(
        path: &Path,
        first: &StringRecord,
        header: bool,
        columns: &Columns,
    ) -> Result<Self, DataError> {
        let (features, target, weight) = if header && columns.header {
            let names = names(path, first, true)?;
            let places: HashMap<&str, usize> =
                names.iter().enumerate().map(|(place, name)| (&name[..], place)).collect();
            let place = |name: &String| places.get(&name[..]).copied();
            let feature = |name: &String| place(name).ok_or_else(|| missing(path, name, &names));
            let features = columns.features.iter().map(feature).collect::<Result<_, _>>()?;
            let weight = columns.weight.as_ref().and_then(|weight| place(&weight.name));
            (features, place(&columns.target), weight)
        } else {
            by_place(path, first.len(), columns)?
        };
        Ok(Self { features, target, weight, columns: columns.clone() })
    }

    /// The name of a column in the file, for messages.
    pub(super) fn name(&self, column: usize) -> String {
        let feature = self.features.iter().position(|&place| place == column);
        let name = match feature {
            Some(feature) => self.columns.features.get(feature),
            None if self.weight == Some(column) => self.columns.weight.as_ref().map(|w| &w.name),
            None => Some(&self.columns.target),
        };
        match name.filter(|_| self.columns.header) {
            Some(name) => format!("`{}`", shown(name)),
            None => (column + 1).to_string(),
        }
    }
}

/// The places of the features, of the target and of the weight.
type Places = (Vec<usize>, Option<usize>, Option<usize>);

fn by_place(path: &Path, count: usize, columns: &Columns) -> Result<Places, DataError> {
    let features = columns.features.len();
    if count == features {
        return Ok(((0..count).collect(), None, None));
    }
    let (target, weight) = (columns.target_index, columns.weight.as_ref().map(|w| w.index));
    let whole = features + 1 + usize::from(weight.is_some());
    let is_inside = |place: usize| place < count;
    if count == whole && is_inside(target) && weight.is_none_or(is_inside) {
        let others = (0..count).filter(|&column| column != target && Some(column) != weight);
        return Ok((others.collect(), Some(target), weight));
    }
    let all = if weight.is_some() { "the target and the weight" } else { "the target" };
    let wanted = format!("{features} (the model's features), or {whole} with {all}");
    Err(DataError::format(path, "number of columns", wanted, count.to_string()))
}

pub(super) fn missing(path: &Path, name: &str, names: &[String]) -> DataError {
    let wanted = format!("a column `{}`, as the model was trained on", shown(name));
    DataError::format(path, "columns", wanted, listed(names))
}

/// The header's names, or numbers counted from 1.
fn names(path: &Path, first: &StringRecord, header: bool) -> Result<Vec<String>, DataError> {
    if !header {
        return Ok((1..=first.len()).map(|number| number.to_string()).collect());
    }
    let mut seen = HashSet::new();
    if let Some(twice) = first.iter().find(|name| !seen.insert(*name)) {
        let got = format!("`{}` twice", shown(twice));
        return Err(DataError::format(path, "header", "a name of its own for each column", got));
    }
    Ok(first.iter().map(str::to_owned).collect())
}
