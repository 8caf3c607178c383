//! What a batch is made of: the names and types of its fields.

use std::fmt;
use std::sync::Arc;

use onestep_memory::Tensor;

use crate::error::EngineError;
use crate::graph::Type;

/// The named types of all fields of a batch, in order, the batch axis first. Programs are compiled
/// for a mode and a signature. Cloning shares it.
///
/// ```
/// use onestep_engine::{DType, EngineError, Shape, Signature, Type};
///
/// let fields = [
///     ("image", Type::f32(Shape::from([8, 3, 32, 32]))),
///     ("label", Type { shape: Shape::from([8]), dtype: DType::I32 }),
/// ];
/// let signature = Signature::new(fields)?;
/// assert_eq!(signature.batch(), 8);
/// assert_eq!(signature.to_string(), "image f32[8, 3, 32, 32], label i32[8]");
/// assert_eq!(signature.with_batch(2)?.shape("label")?, &Shape::from([2]));
/// assert_eq!(signature.only(&["image"])?.fields().len(), 1);
/// # Ok::<(), EngineError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Signature {
    fields: Arc<[(String, Type)]>,
}

impl Signature {
    /// The signature of a batch with these fields.
    ///
    /// # Errors
    /// [`EngineError::Feed`] without any field, for two fields of one name, and for a field whose
    /// first axis is missing, empty or not as long as the others'.
    pub fn new<N: Into<String>>(
        fields: impl IntoIterator<Item = (N, Type)>,
    ) -> Result<Signature, EngineError> {
        let fields: Arc<[(String, Type)]> =
            fields.into_iter().map(|(name, ty)| (name.into(), ty)).collect();
        let Some((first, ty)) = fields.first() else {
            return Err(feed("batch", "at least one field", "none"));
        };
        let batch = ty.shape.first().copied();
        for (i, (name, ty)) in fields.iter().enumerate() {
            match ty.shape.first().copied() {
                None => return Err(feed(name, "the batch as its first axis", ty)),
                Some(0) => return Err(feed(name, "at least one sample", "none")),
                own if own != batch => {
                    let wanted = format!("{} samples, as `{first}` has", batch.unwrap_or(0));
                    return Err(feed(name, &wanted, ty));
                }
                _ if fields[..i].iter().any(|(earlier, _)| earlier == name) => {
                    return Err(feed(name, "one field of this name", "two"));
                }
                _ => {}
            }
        }
        Ok(Signature { fields })
    }

    /// The signature of tensors with these names.
    ///
    /// # Errors
    /// As for [`Signature::new`], and not as many names as tensors.
    pub fn of(names: &[String], tensors: &[Tensor]) -> Result<Signature, EngineError> {
        if names.len() != tensors.len() {
            let wanted = format!("{} tensors: {}", names.len(), names.join(", "));
            return Err(feed("batch", &wanted, tensors.len()));
        }
        let types = tensors.iter().map(|t| Type { shape: t.shape().clone(), dtype: t.dtype() });
        Signature::new(names.iter().cloned().zip(types))
    }

    /// The fields in order.
    pub fn fields(&self) -> &[(String, Type)] {
        &self.fields
    }

    /// The field of a name, if there is one.
    pub fn field(&self, name: &str) -> Option<&Type> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, ty)| ty)
    }

    /// The shape of a field, the batch axis included.
    ///
    /// # Errors
    /// There is no such field.
    pub fn shape(&self, name: &str) -> Result<&onestep_memory::Shape, EngineError> {
        let missing = || feed(name, "a field of this name", format!("a batch of {self}"));
        self.field(name).map(|ty| &ty.shape).ok_or_else(missing)
    }

    /// Samples in the batch: the length of the first axis of all fields.
    pub fn batch(&self) -> usize {
        self.fields.first().and_then(|(_, ty)| ty.shape.first().copied()).unwrap_or(0)
    }

    /// The same fields with another number of samples.
    ///
    /// # Errors
    /// No samples, or more than a shape can hold.
    pub fn with_batch(&self, batch: usize) -> Result<Signature, EngineError> {
        let field = |(name, ty): &(String, Type)| {
            let mut dims = ty.shape.dims().to_vec();
            dims[0] = batch;
            let shape = onestep_memory::Shape::new(&dims)?;
            Ok((name.clone(), Type { shape, dtype: ty.dtype }))
        };
        Signature::new(self.fields.iter().map(field).collect::<Result<Vec<_>, EngineError>>()?)
    }

    /// Some of the fields, in the order given.
    ///
    /// # Errors
    /// A name that no field has.
    pub fn only<N: AsRef<str>>(&self, names: &[N]) -> Result<Signature, EngineError> {
        let field = |name: &N| {
            let name = name.as_ref();
            let missing = || feed(name, "a field of this name", format!("a batch of {self}"));
            Ok((name.to_owned(), self.field(name).cloned().ok_or_else(missing)?))
        };
        Signature::new(names.iter().map(field).collect::<Result<Vec<_>, EngineError>>()?)
    }

    /// Whether these tensors, with these names where any are given, are such a batch.
    pub(crate) fn suits(&self, names: &[String], tensors: &[Tensor]) -> bool {
        self.fields.len() == tensors.len()
            && self
                .fields
                .iter()
                .zip(tensors)
                .all(|((_, ty), tensor)| &ty.shape == tensor.shape() && ty.dtype == tensor.dtype())
            && (names.is_empty() || self.fields.iter().map(|(name, _)| name).eq(names))
    }
}

fn feed(name: &str, wanted: &str, got: impl fmt::Display) -> EngineError {
    EngineError::Feed { name: name.into(), wanted: wanted.into(), got: got.to_string() }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, ty)) in self.fields.iter().enumerate() {
            let separator = if i > 0 { ", " } else { "" };
            write!(f, "{separator}{name} {ty}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

#[cfg(test)]
mod tests {
    use onestep_memory::{DType, Shape};

    use super::*;

    fn refused(fields: &[(&str, Type)]) -> String {
        Signature::new(fields.iter().cloned()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_batch_is_refused_by_name() {
        let f32 = |dims: &[usize]| Type::f32(Shape::new(dims).unwrap());
        let error = refused(&[]);
        assert_eq!(error, "feed `batch`: expected at least one field, got none");
        let error = refused(&[("x", f32(&[2])), ("w", f32(&[]))]);
        assert_eq!(error, "feed `w`: expected the batch as its first axis, got f32[]");
        let error = refused(&[("x", f32(&[0, 2]))]);
        assert_eq!(error, "feed `x`: expected at least one sample, got none");
        let error = refused(&[("x", f32(&[2, 3])), ("y", f32(&[3]))]);
        assert_eq!(error, "feed `y`: expected 2 samples, as `x` has, got f32[3]");
        let error = refused(&[("x", f32(&[2, 3])), ("x", f32(&[2]))]);
        assert_eq!(error, "feed `x`: expected one field of this name, got two");
    }

    #[test]
    fn equal_fields_are_equal_signatures_and_suit_their_tensors() {
        let x = || ("x", Type { shape: Shape::from([2, 3]), dtype: DType::I32 });
        let (a, b) = (Signature::new([x()]).unwrap(), Signature::new([x()]).unwrap());
        assert_eq!(a, b);
        assert_ne!(a, a.with_batch(3).unwrap());
        let memory = onestep_memory::MemoryManager::host();
        let tensors = [memory.zeros([2, 3], DType::I32).unwrap()];
        assert!(a.suits(&["x".into()], &tensors) && a.suits(&[], &tensors));
        assert!(!a.suits(&["y".into()], &tensors) && !a.suits(&[], &[]));
        assert_eq!(Signature::of(&["x".into()], &tensors).unwrap(), a);
        assert!(a.only(&["z"]).unwrap_err().to_string().contains("x i32[2, 3]"));
    }
}
