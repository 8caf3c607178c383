//! Pairs of samples, and whether they are of one class.

use std::sync::Arc;

use onestep_memory::SliceMut;

use crate::random::{KeyHasher, Purpose, SampleRng};
use crate::sample::Places;
use crate::{DataError, Dataset, Field, Fields, Meaning, SampleMut};

/// For each sample of a classified data set a second one: the inputs `a` and `b`, and as the target
/// whether both are of one class (`different` is 0, `same` is 1). For networks that compare.
///
/// Every other sample of each class gets a partner of its own class, the others one of another class. The
/// partners are drawn by the seed and the same in each epoch, on every platform.
///
/// ```
/// use std::sync::Arc;
/// use onestep_data::{DataError, Dataset, Pairs, Sample, digits};
///
/// let pairs = Pairs::new(Arc::new(digits()?), 7)?;
/// assert_eq!((pairs.len(), pairs.fields().names()), (1797, "a, b, target".to_owned()));
/// let sample = Sample::read(&pairs, 0)?;
/// assert_eq!(sample.f32("a")?.len(), sample.f32("b")?.len());
/// # Ok::<(), DataError>(())
/// ```
pub struct Pairs {
    dataset: Arc<dyn Dataset>,
    /// The fields of a single sample.
    single: Fields,
    /// Where its input stands among them; the label is the other.
    input: usize,
    fields: Fields,
    partners: Vec<Partner>,
}

#[derive(Clone, Copy)]
struct Partner {
    index: usize,
    same: bool,
}

impl Pairs {
    /// Pairs of the samples of `dataset`, drawn by `seed`.
    ///
    /// # Errors
    /// [`DataError::Setting`] where samples are something else than one input and one label, or where a
    /// class is not known without reading the sample; [`DataError::Split`] where all are of one class or
    /// no class has two samples.
    pub fn new(dataset: Arc<dyn Dataset>, seed: u64) -> Result<Self, DataError> {
        let single = dataset.fields();
        let (input, count) = match &single[..] {
            [input, label] | [label, input] if is_label(label) && !is_label(input) => {
                (input, label.meaning.limit().unwrap_or(0))
            }
            _ => {
                let fields: Vec<String> = single.iter().map(Field::to_string).collect();
                let wanted = "one input and one class label, to make pairs of";
                return Err(DataError::setting("fields", wanted, fields.join(", ")));
            }
        };
        let half = |name: &str| Field { name: name.to_owned(), ..input.clone() };
        let target = Field::labels("target", [], ["different", "same"]);
        let fields = [half("a"), half("b"), target].into();
        let partners = partners(dataset.as_ref(), count, seed)?;
        let input = usize::from(is_label(&single[0]));
        Ok(Self { dataset, single, input, fields, partners })
    }

    /// Reads a single sample into the place of one of the two inputs.
    fn read_half(
        &self,
        index: usize,
        place: usize,
        sample: &mut SampleMut<'_>,
    ) -> Result<(), DataError> {
        let mut half = Half { sample, place, input: self.input, label: [0] };
        self.dataset.read(index, &mut SampleMut::new(&self.single, &mut half))
    }
}

fn is_label(field: &Field) -> bool {
    matches!(field.meaning, Meaning::Classes { .. }) && field.is_scalar()
}

/// Partners of each sample.
fn partners(dataset: &dyn Dataset, count: usize, seed: u64) -> Result<Vec<Partner>, DataError> {
    let mut members = vec![Vec::new(); count];
    let mut places = Vec::with_capacity(dataset.len());
    for index in 0..dataset.len() {
        let Some(group) = dataset.class(index).and_then(|class| members.get_mut(class)) else {
            let wanted = "classes that are known without reading the samples, to make pairs of";
            let got = format!("sample {index} of {} without", dataset.name());
            return Err(DataError::setting("data", wanted, got));
        };
        places.push(group.len());
        group.push(index);
    }
    let refuse = |wanted: &str, got: String| {
        let (dataset, wanted) = (dataset.name().to_owned(), wanted.to_owned());
        Err(DataError::Split { dataset, wanted, got })
    };
    let classes = members.iter().filter(|group| !group.is_empty()).count();
    if classes < 2 {
        return refuse("samples of two classes, to make pairs of", format!("{classes}"));
    }
    if members.iter().all(|group| group.len() < 2) {
        return refuse("two samples of one class, to make pairs of", "one of each".to_owned());
    }
    let class = |index: usize| dataset.class(index).unwrap_or(0);
    let partner = |(index, &place): (usize, &usize)| {
        let mut rng = SampleRng::keyed(Purpose::Pair, seed, 0, index as u64);
        let own = &members[class(index)];
        let same = place % 2 == 0 && own.len() > 1;
        if same {
            // One of the others of its class.
            let other = rng.below(own.len() - 1);
            let index = own[other + usize::from(other >= place)];
            return Partner { index, same };
        }
        let mut other = rng.below(dataset.len() - own.len());
        for group in members.iter().enumerate().filter(|(at, _)| *at != class(index)) {
            match group.1.get(other) {
                Some(&index) => return Partner { index, same },
                None => other -= group.1.len(),
            }
        }
        // There is another class, and `other` counts its samples.
        Partner { index, same: true }
    };
    Ok(places.iter().enumerate().map(partner).collect())
}

impl Dataset for Pairs {
    fn name(&self) -> &str {
        self.dataset.name()
    }

    fn len(&self) -> usize {
        self.dataset.len()
    }

    fn fields(&self) -> Fields {
        self.fields.clone()
    }

    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let Some(partner) = self.partners.get(index).copied() else {
            let (dataset, len) = (self.name().to_owned(), self.len());
            return Err(DataError::Index { dataset, index, len });
        };
        let place = |name| {
            let place = sample.fields().position(name);
            place.ok_or_else(|| DataError::field(name, "one of the fields", "none"))
        };
        let (a, b) = (place("a")?, place("b")?);
        self.read_half(index, a, sample)?;
        self.read_half(partner.index, b, sample)?;
        sample.put_at((2, "target"), &[i32::from(partner.same)])
    }

    fn key(&self, index: usize) -> Option<u64> {
        let partner = self.partners.get(index)?.index;
        let mut hasher = KeyHasher::new();
        for single in [index, partner] {
            hasher.add(&self.dataset.key(single)?.to_le_bytes());
        }
        Some(hasher.finish())
    }

    fn class(&self, index: usize) -> Option<usize> {
        self.partners.get(index).map(|partner| usize::from(partner.same))
    }

    fn location(&self, index: usize) -> Option<String> {
        let partner = self.partners.get(index)?.index;
        let place = |index| {
            self.dataset.location(index).unwrap_or_else(|| format!("sample {index} of the singles"))
        };
        Some(format!("{} and {}", place(index), place(partner)))
    }
}

/// The place of a single sample: one of a pair's inputs, and a label that is not kept.
struct Half<'a, 'b> {
    sample: &'a mut SampleMut<'b>,
    place: usize,
    /// Where the input stands in a single sample.
    input: usize,
    label: [i32; 1],
}

impl Places for Half<'_, '_> {
    fn place(&mut self, field: usize) -> Option<SliceMut<'_>> {
        if field == self.input {
            return self.sample.slice(self.place);
        }
        Some(SliceMut::I32(&mut self.label))
    }

    fn two(&mut self, fields: [usize; 2]) -> Option<[SliceMut<'_>; 2]> {
        let (input, label) = (self.sample.slice(self.place)?, SliceMut::I32(&mut self.label));
        match fields.map(|field| field == self.input) {
            [true, false] => Some([input, label]),
            [false, true] => Some([label, input]),
            _ => None,
        }
    }
}
