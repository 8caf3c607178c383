//! One step of a pipeline, and how it is read.

use std::sync::Arc;

use onestep_base::Constructors;
use onestep_memory::DType;

use crate::{DataError, Field, Fields, Role, Transform, TransformSpec};

/// When a step of a [`Pipeline`](crate::Pipeline) is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    Training,
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) transform: Arc<dyn Transform>,
    pub(crate) when: When,
    /// The one field that it changes; without it all f32 inputs.
    pub(crate) field: Option<String>,
    /// Whether it was made by a name that settings use.
    pub(crate) is_named: bool,
}

impl Step {
    pub(crate) fn counts(&self, training: bool) -> bool {
        training || self.when == When::Always
    }

    pub(crate) fn changes(&self, field: &Field) -> bool {
        match &self.field {
            Some(name) => *name == field.name,
            None => field.role == Role::Input && field.dtype == DType::F32,
        }
    }

    /// Whether the step moves what `field` says of each place of an input that it changes.
    pub(crate) fn moves_with(&self, field: &Field, fields: &Fields) -> bool {
        let of_a_place = field.role == Role::Target && field.dtype == DType::F32 && !field.varies;
        let same = |input: &&Field| match (input.shape.dims(), field.shape.dims()) {
            ([.., a, b], [.., c, d]) => [a, b] == [c, d],
            _ => false,
        };
        self.field.is_none()
            && self.transform.moves()
            && of_a_place
            && fields.iter().filter(|input| self.changes(input)).any(|input| same(&input))
    }
}

/// The texts of the steps: parts between commas that stand in no JSON.
pub(crate) fn steps(text: &str) -> Vec<&str> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    let parts = text.split(move |character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' if depth > 0 => in_string = !in_string,
            '{' | '[' if !in_string => depth += 1,
            '}' | ']' if !in_string => depth = depth.saturating_sub(1),
            ',' => return depth == 0,
            _ => {}
        }
        false
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

pub(crate) fn parse_step(text: &str, own: &Constructors) -> Result<Step, DataError> {
    let (when, rest) = match text.strip_prefix('+') {
        Some(rest) => (When::Always, rest.trim_start()),
        None => (When::Training, text),
    };
    let end = rest.find(['=', '{']).unwrap_or(rest.len());
    let (name, value) = rest.split_at(end);
    let (name, field) = match name.split_once('@') {
        Some((name, field)) => (name, Some(field.to_owned())),
        None => (name, None),
    };
    let transform = format!("{name}{value}").parse::<TransformSpec>()?.resolve(own)?;
    let when = if transform.always() { When::Always } else { when };
    Ok(Step { transform: Arc::new(transform), when, field, is_named: true })
}
