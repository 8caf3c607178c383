//! A batch as places for its samples.

use std::ops::Range;

use onestep_memory::{SliceMut, StagingSlot};
use smallvec::SmallVec;

use super::place::Places;
use crate::{DataError, Fields, IGNORED};

/// Batches of up to so many fields are made without heap memory.
pub(crate) const INLINE_FIELDS: usize = 8;

/// A slot of the staging ring as places for one sample after the other.
pub(crate) struct Rows<'a> {
    columns: SmallVec<[Column<'a>; INLINE_FIELDS]>,
    row: usize,
}

/// All elements of a field in a batch.
struct Column<'a> {
    elements: SliceMut<'a>,
    /// The elements of a row.
    each: usize,
    /// Those of them that the sample at hand has; the rest is padded.
    used: usize,
    /// The elements of a position, of a field that varies in length.
    position: Option<usize>,
}

impl<'a> Rows<'a> {
    /// A slot for samples that are padded to `length` positions, where they vary in length.
    pub(crate) fn of(
        slot: &'a mut StagingSlot,
        fields: &Fields,
        length: Option<usize>,
    ) -> Result<Self, DataError> {
        let columns = slot.slices_mut().zip(fields.iter()).map(|(elements, field)| {
            let each = field.shape_at(length)?.elements();
            let position = length.filter(|_| field.varies).map(|length| each / length.max(1));
            Ok(Column { elements: elements?, each, used: each, position })
        });
        Ok(Self { columns: columns.collect::<Result<_, DataError>>()?, row: 0 })
    }

    /// Puts the labels of the batch in place of a field, whose own elements it gives.
    pub(crate) fn replace(&mut self, field: usize, labels: &'a mut [i32]) -> Option<SliceMut<'a>> {
        let elements = SliceMut::I32(labels);
        let column = Column { elements, each: 1, used: 1, position: None };
        let old = std::mem::replace(self.columns.get_mut(field)?, column);
        Some(old.elements)
    }

    /// All elements of an f32 field in the batch.
    pub(crate) fn all(&mut self, field: usize) -> Option<&mut [f32]> {
        match &mut self.columns.get_mut(field)?.elements {
            SliceMut::F32(all) => Some(all),
            _ => None,
        }
    }

    /// All labels of the batch, of a field that they were put in place of.
    pub(crate) fn labels(&self, field: usize) -> Option<&[i32]> {
        match &self.columns.get(field)?.elements {
            SliceMut::I32(all) => Some(all),
            _ => None,
        }
    }

    /// Goes to a sample of the batch, which has `length` positions.
    pub(crate) fn at(&mut self, row: usize, length: usize) {
        self.row = row;
        for column in &mut self.columns {
            column.used = column.position.map_or(column.each, |each| each * length);
        }
    }

    /// Writes what stands in place of the positions that the sample does not have.
    pub(crate) fn pad(&mut self, fields: &Fields) {
        for (column, field) in self.columns.iter_mut().zip(fields.iter()) {
            let range = self.row * column.each + column.used..(self.row + 1) * column.each;
            match column.slice(range) {
                Some(SliceMut::F32(rest)) => rest.fill(0.0),
                Some(SliceMut::I32(rest)) if field.ignores() => rest.fill(IGNORED),
                Some(SliceMut::I32(rest)) => rest.fill(0),
                Some(SliceMut::U8(rest)) => rest.fill(0),
                _ => {}
            }
        }
    }
}

impl Column<'_> {
    fn row(&mut self, row: usize) -> Option<SliceMut<'_>> {
        let start = row * self.each;
        self.slice(start..start + self.used)
    }

    fn slice(&mut self, range: Range<usize>) -> Option<SliceMut<'_>> {
        Some(match &mut self.elements {
            SliceMut::F32(all) => SliceMut::F32(all.get_mut(range)?),
            SliceMut::F16(all) => SliceMut::F16(all.get_mut(range)?),
            SliceMut::BF16(all) => SliceMut::BF16(all.get_mut(range)?),
            SliceMut::I32(all) => SliceMut::I32(all.get_mut(range)?),
            SliceMut::U8(all) => SliceMut::U8(all.get_mut(range)?),
        })
    }
}

impl Places for Rows<'_> {
    fn place(&mut self, field: usize) -> Option<SliceMut<'_>> {
        self.columns.get_mut(field)?.row(self.row)
    }

    fn two(&mut self, fields: [usize; 2]) -> Option<[SliceMut<'_>; 2]> {
        let [one, other] = self.columns.get_disjoint_mut(fields).ok()?;
        Some([one.row(self.row)?, other.row(self.row)?])
    }
}
