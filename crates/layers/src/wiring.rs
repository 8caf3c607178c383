//! Which values and parameters the names in a model stand for.

use std::collections::HashMap;

use onestep_engine::Value;

/// The names that may be taken where the construction stands, and whose parameters layers use.
#[derive(Debug, Default)]
pub(crate) struct Wiring {
    /// The lists around the layer under construction, the innermost last. The first has the inputs of
    /// the model.
    scopes: Vec<Scope>,
    /// Paths of layers, and of those whose parameters they use.
    owners: Vec<(String, String)>,
}

/// What is known of one list.
#[derive(Debug, Default)]
struct Scope {
    known: HashMap<String, Known>,
    /// Every name of the list, those to come included.
    names: Vec<String>,
}

/// A layer that has been built, or an input.
#[derive(Clone, Debug)]
struct Known {
    values: Vec<Value>,
    /// The layer's path; none for an input.
    path: Option<String>,
}

impl Wiring {
    /// Enters a list whose layers have these names.
    pub(crate) fn enter(&mut self, names: &[String]) {
        self.scopes.push(Scope { known: HashMap::new(), names: names.to_vec() });
    }

    /// Leaves the innermost list.
    pub(crate) fn leave(&mut self) {
        self.scopes.pop();
    }

    /// Makes a name of the innermost list known.
    pub(crate) fn learn(&mut self, name: &str, values: Vec<Value>, path: Option<String>) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.known.insert(name.to_owned(), Known { values, path });
        }
    }

    fn find(&self, name: &str) -> Option<&Known> {
        self.scopes.iter().rev().find_map(|scope| scope.known.get(name))
    }

    /// The values that `reference`, a name or `name.number`, stands for; otherwise what is wanted and
    /// what was got.
    pub(crate) fn values(&self, reference: &str) -> Result<Vec<Value>, (String, String)> {
        let (name, number) = match reference.split_once('.') {
            Some((name, number)) => (name, Some(number)),
            None => (reference, None),
        };
        let known = self.find(name).ok_or_else(|| self.unknown(name, "layer or input"))?;
        let Some(number) = number else { return Ok(known.values.clone()) };
        let value = number.parse::<usize>().ok().and_then(|number| known.values.get(number));
        value.map(|&value| vec![value]).ok_or_else(|| {
            let last = known.values.len().saturating_sub(1);
            (format!("one of the outputs `{name}.0` to `{name}.{last}`"), format!("`{reference}`"))
        })
    }

    /// As [`Self::values`] where one value is wanted.
    pub(crate) fn value(&self, reference: &str) -> Result<Value, (String, String)> {
        match self.values(reference)?[..] {
            [value] => Ok(value),
            ref several => {
                let wanted = format!("one of its values, such as `{reference}.0`");
                Err((wanted, format!("`{reference}`, which gives {}", several.len())))
            }
        }
    }

    fn unknown(&self, name: &str, what: &str) -> (String, String) {
        let to_come = self.scopes.iter().any(|scope| scope.names.iter().any(|n| n == name));
        let got = match to_come {
            true => format!("`{name}`, which does not come before it"),
            false => format!("`{name}`"),
        };
        let mut known: Vec<&str> =
            self.scopes.iter().flat_map(|scope| scope.known.keys().map(String::as_str)).collect();
        known.sort_unstable();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        (format!("the name of a {what} before it (there are: {known})"), got)
    }

    /// Lets the layer at `path` use the parameters of the one called `name`; otherwise what is wanted
    /// and what was got.
    pub(crate) fn share(&mut self, path: &str, name: &str) -> Result<(), (String, String)> {
        let owner = self.find(name).and_then(|known| known.path.clone());
        let owner = owner.ok_or_else(|| self.unknown(name, "layer"))?;
        self.owners.push((path.to_owned(), owner));
        Ok(())
    }

    /// The path of the layer whose parameters the one at `path` uses, where it does not use its own.
    pub(crate) fn owner(&self, path: &[String]) -> Option<String> {
        if self.owners.is_empty() {
            return None;
        }
        let own = path.join(".");
        let mut current = own.clone();
        // Each owner was built before its user, so this ends.
        while let Some(next) = self.step(&current) {
            current = next;
        }
        (current != own).then_some(current)
    }

    /// `path` with its longest part that uses another's parameters replaced by the other.
    fn step(&self, path: &str) -> Option<String> {
        let rest = |user: &str| {
            path.strip_prefix(user).filter(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let fitting = self.owners.iter().filter_map(|(user, owner)| Some((rest(user)?, owner)));
        let (rest, owner) = fitting.min_by_key(|(rest, _)| rest.len())?;
        Some(format!("{owner}{rest}"))
    }
}
