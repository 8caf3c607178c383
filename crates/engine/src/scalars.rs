//! Numbers that a step takes from the host: by name once, by position from then on.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::EngineError;

/// What a step takes from the host besides its feeds.
///
/// ```
/// use onestep_engine::Scalars;
///
/// let mut scalars = Scalars::new(7);
/// let lr = scalars.set("lr", 0.1);
/// scalars.put(lr, 0.05);
/// assert_eq!(scalars.get("lr"), Some(0.05));
/// scalars.step = 3;
/// assert_eq!(scalars.get("step"), Some(3.0));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scalars {
    /// The seed of the run: half of the key of its random numbers.
    pub seed: u64,
    /// The number of the step, from 1: the other half.
    pub step: u64,
    /// `step` need not be among them.
    names: Vec<String>,
    values: Vec<f32>,
    /// Which names there are, in which order: a new one for each change. Equal tables are equal
    /// names, so that steps look for a name once.
    table: u64,
}

/// The place of a scalar among the [`Scalars`] that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalarSlot(usize);

static TABLES: AtomicU64 = AtomicU64::new(1);

impl Scalars {
    /// Scalars of step 1 of a run with a seed.
    pub fn new(seed: u64) -> Self {
        Scalars { seed, step: 1, ..Scalars::default() }
    }

    /// Sets a named scalar and tells its place; allocates only when the name is new.
    pub fn set(&mut self, name: &str, value: f32) -> ScalarSlot {
        let place = self.place(name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.values.push(value);
            self.table = TABLES.fetch_add(1, Ordering::Relaxed);
            self.names.len() - 1
        });
        self.values[place] = value;
        ScalarSlot(place)
    }

    /// Sets the scalar at a place that [`Scalars::set`] told, of these scalars or of those that
    /// they were cloned from. A place of others is ignored.
    pub fn put(&mut self, slot: ScalarSlot, value: f32) {
        if let Some(number) = self.values.get_mut(slot.0) {
            *number = value;
        }
    }

    /// The named scalar; `step` is always there.
    pub fn get(&self, name: &str) -> Option<f32> {
        let named = self.place(name).map(|place| self.values[place]);
        named.or_else(|| (name == "step").then_some(self.step as f32))
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| own == name)
    }
}

impl PartialEq for Scalars {
    fn eq(&self, other: &Self) -> bool {
        let parts = |s: &Scalars| (s.seed, s.step);
        parts(self) == parts(other) && self.names == other.names && self.values == other.values
    }
}

/// The scalars that a compiled program uses, in its order, for executors: each is looked for by name
/// when a table of names is first seen, and taken from its place after that.
#[derive(Debug)]
pub struct ScalarSlots {
    names: Box<[String]>,
    /// Where each is among the scalars of `table`; nothing stands for the step's number.
    places: Vec<Option<usize>>,
    table: Option<u64>,
}

impl ScalarSlots {
    /// The slots of a program's scalars.
    pub fn new(names: &[String]) -> Self {
        ScalarSlots { names: names.into(), places: Vec::with_capacity(names.len()), table: None }
    }

    /// The values in the program's order, one for each name. Does not allocate.
    ///
    /// # Errors
    /// [`EngineError::MissingScalar`] for one that is not set.
    pub fn fill(&mut self, scalars: &Scalars, values: &mut [f32]) -> Result<(), EngineError> {
        if self.table != Some(scalars.table) {
            self.resolve(scalars)?;
        }
        for (value, place) in values.iter_mut().zip(&self.places) {
            *value = match place {
                Some(place) => scalars.values.get(*place).copied().unwrap_or(f32::NAN),
                None => scalars.step as f32,
            };
        }
        Ok(())
    }

    fn resolve(&mut self, scalars: &Scalars) -> Result<(), EngineError> {
        self.table = None;
        self.places.clear();
        for name in &self.names {
            let place = scalars.place(name);
            if place.is_none() && name != "step" {
                return Err(EngineError::MissingScalar { name: name.clone() });
            }
            self.places.push(place);
        }
        self.table = Some(scalars.table);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_follow_the_names_of_each_table() {
        let mut slots = ScalarSlots::new(&["lr".to_owned(), "step".to_owned()]);
        let mut values = [0.0; 2];
        let mut scalars = Scalars::new(0);
        let error = slots.fill(&scalars, &mut values).unwrap_err().to_string();
        assert_eq!(error, "the program uses the scalar `lr`, which was not set");
        scalars.set("decay", 0.5);
        let lr = scalars.set("lr", 0.1);
        slots.fill(&scalars, &mut values).unwrap();
        assert_eq!(values, [0.1, 1.0]);
        let mut others = scalars.clone();
        others.put(lr, 0.2);
        others.step = 9;
        slots.fill(&others, &mut values).unwrap();
        assert_eq!(values, [0.2, 9.0]);
        // The name `step` may be set, and then it is not the number that random numbers go by.
        others.set("step", 3.0);
        slots.fill(&others, &mut values).unwrap();
        assert_eq!(values, [0.2, 3.0]);
        let mut reversed = Scalars::new(0);
        reversed.set("lr", 0.3);
        slots.fill(&reversed, &mut values).unwrap();
        assert_eq!(values, [0.3, 1.0]);
        slots.fill(&scalars, &mut values).unwrap();
        assert_eq!(values, [0.1, 1.0]);
    }

    #[test]
    fn equal_scalars_are_equal_whatever_their_history() {
        let (mut a, mut b) = (Scalars::new(1), Scalars::new(1));
        a.set("lr", 0.1);
        assert_ne!(a, b);
        b.set("lr", 0.2);
        b.set("lr", 0.1);
        assert_eq!(a, b);
    }
}
