//! Layer norm and RMS norm of rows, with their gradients.

use onestep_engine::ops::{Binary, ReduceKind};
use onestep_engine::plan::{Fused, FusedOutput, Instruction, Place};
use onestep_engine::{DType, Shape};

use super::Rows;
use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::fused;
use crate::kernel::Launches;
use crate::places::{Arguments, Pointer, literal};

/// `y = (x - mean) factor scale + shift` for each row, with the row's mean and `factor = 1 / sqrt(variance + e)`
/// (Ba et al., "Layer Normalization", 2016); without `centred` the mean is 0 and the variance the mean of the
/// squares (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019).
#[derive(Clone, Debug, PartialEq)]
pub struct NormRows {
    /// The rows `[n, w]`, contiguous.
    pub x: Place,
    /// Whether the mean is subtracted.
    pub centred: bool,
    /// `e` above.
    pub epsilon: f32,
    /// What each column is multiplied with: `[w]`, or nothing.
    pub scale: Option<Place>,
    /// What is added to each column: `[w]`, or nothing.
    pub shift: Option<Place>,
    /// Where the result goes: `[n, w]`.
    pub output: Place,
    /// Where the mean of each row goes for the gradient: `[n]`. Nothing is written for norms that are not
    /// centred.
    pub mean: Option<Place>,
    /// Where the factor of each row goes for the gradient: `[n]`.
    pub factor: Option<Place>,
}

/// The gradients of [`NormRows`], from what it kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NormGradient {
    /// The rows `[n, w]`.
    pub x: Place,
    /// The gradient of the result `[n, w]`.
    pub dy: Place,
    /// The mean of each row `[n]`, where the norm is centred.
    pub mean: Option<Place>,
    /// The factor of each row `[n]`.
    pub factor: Place,
    /// The norm's scale `[w]`.
    pub scale: Option<Place>,
    /// Where the gradient in the rows goes: `[n, w]`.
    pub dx: Place,
    /// Where the gradient in the scale goes: `[w]`.
    pub dscale: Option<Place>,
    /// Where the gradient in the shift goes: `[w]`.
    pub dshift: Option<Place>,
}

fn rows(x: &Place) -> Result<Rows, SourceError> {
    match *x.shape.dims() {
        [rows, width] if x.is_contiguous() => Ok(Rows::new(rows, width)),
        _ => Err(SourceError::broken(format!("a norm of {}: rows must be contiguous", x.shape))),
    }
}

/// The factor that a place gives each column, or nothing.
fn times(scale: Option<&Pointer>) -> String {
    scale.map_or_else(String::new, |scale| format!(" * {}", scale.load("c")))
}

impl NormRows {
    /// The kernels.
    ///
    /// # Errors
    /// The rows are not contiguous, or the platform does not allow the kernel.
    pub fn print(&self, dialect: Dialect) -> Result<Launches, SourceError> {
        let rows = rows(&self.x)?;
        if rows.rows == 0 || rows.width == 0 {
            return Ok(Launches::default());
        }
        let more = [&self.scale, &self.shift, &self.mean, &self.factor];
        let places = [&self.x, &self.output].into_iter().chain(more.into_iter().flatten());
        let mut arguments = Arguments::new(places, 0, dialect.limits())?;
        let x = arguments.place(&self.x, Access::Read).load("from + c");
        let width = rows.width;
        let mut body = rows.begin() + "  float mean = 0.0f, squares = 0.0f;\n";
        if self.centred {
            body += &rows.columns(&format!("mean += {x};"));
            body += &rows.together("mean", ReduceKind::Sum);
            body += &format!("  mean = mean / {width}.0f;\n");
        }
        let square = format!("const float d = {x} - mean; squares += d * d;");
        body += &rows.columns(&square);
        body += &rows.together("squares", ReduceKind::Sum);
        let epsilon = literal(self.epsilon);
        body += &format!("  const float factor = 1.0f / SQRT(squares / {width}.0f + {epsilon});\n");
        let scale = self.scale.as_ref().map(|place| arguments.place(place, Access::Read));
        let mut value = format!("({x} - mean) * factor{}", times(scale.as_ref()));
        if let Some(place) = &self.shift {
            value += &format!(" + {}", arguments.place(place, Access::Read).load("c"));
        }
        let y = arguments.place(&self.output, Access::Write);
        body += &rows.columns(&y.store("from + c", &value));
        let mean = self.mean.as_ref().filter(|_| self.centred).map(|place| (place, "mean"));
        for (place, name) in mean.into_iter().chain(self.factor.iter().map(|p| (p, "factor"))) {
            let kept = arguments.place(place, Access::Write);
            body += &format!("  if (lane == 0u && inside) {}\n", kept.store("row", name));
        }
        rows.finish("norm", arguments, body, dialect).map(Launches::one)
    }
}

impl NormGradient {
    /// The kernels: that of the rows, and sums over them for scale and shift.
    ///
    /// # Errors
    /// As for [`NormRows::print`].
    pub fn print(&self, dialect: Dialect) -> Result<Launches, SourceError> {
        let rows = rows(&self.x)?;
        if rows.rows == 0 || rows.width == 0 {
            return Ok(Launches::default());
        }
        let mut all = Launches::one(self.of_rows(&rows, dialect)?);
        let sums = self.sums()?;
        if !sums.outputs.is_empty() {
            all.extend(fused::print(&sums, dialect)?);
        }
        Ok(all)
    }

    /// `dx = factor (g - mean(g) - z mean(g z))` with `g = dy scale` and `z = (x - mean) factor`; without a mean
    /// the first of both sums is left out.
    fn of_rows(
        &self,
        rows: &Rows,
        dialect: Dialect,
    ) -> Result<crate::kernel::KernelSource, SourceError> {
        let more = [&self.mean, &self.scale].into_iter().flatten();
        let places = [&self.x, &self.dy, &self.factor, &self.dx].into_iter().chain(more);
        let mut arguments = Arguments::new(places, 0, dialect.limits())?;
        let mut read = |place: &Place| arguments.place(place, Access::Read);
        let (x, dy) = (read(&self.x).load("from + c"), read(&self.dy).load("from + c"));
        let factor = read(&self.factor).load("row");
        let mean = self.mean.as_ref().map(|place| read(place).load("row"));
        let scale = self.scale.as_ref().map(&mut read);
        let mut body = rows.begin();
        body += &format!("  const float factor = inside ? {factor} : 0.0f;\n");
        let mean = mean.map_or_else(|| "0.0f".into(), |mean| format!("inside ? {mean} : 0.0f"));
        body += &format!("  const float mean = {mean};\n  float own = 0.0f, along = 0.0f;\n");
        let terms =
            format!("const float g = {dy}{}, z = ({x} - mean) * factor;", times(scale.as_ref()));
        body += &rows.columns(&format!("{terms} own += g; along += g * z;"));
        if self.mean.is_some() {
            body += &rows.together("own", ReduceKind::Sum);
        } else {
            body += "  own = 0.0f;\n";
        }
        body += &rows.together("along", ReduceKind::Sum);
        let width = rows.width;
        body += &format!("  own = own / {width}.0f; along = along / {width}.0f;\n");
        let dx = arguments.place(&self.dx, Access::Write);
        let value = "factor * (g - own - z * along)";
        body += &rows.columns(&format!("{terms} {}", dx.store("from + c", value)));
        rows.finish("norm_grad", arguments, body, dialect)
    }

    /// The sums over the rows as a fused program.
    fn sums(&self) -> Result<Fused, SourceError> {
        let domain = self.x.shape.clone();
        let column = |place: &Place| spread(place, &domain, 0);
        let mut code = vec![Instruction::Load(self.dy.clone())];
        let mut outputs = Vec::new();
        let sum =
            |register, place: Place| FusedOutput { register, place, reduce: Some(ReduceKind::Sum) };
        if let Some(place) = &self.dshift {
            outputs.push(sum(0, as_row(place)?));
        }
        if let Some(place) = &self.dscale {
            code.push(Instruction::Load(self.x.clone()));
            if let Some(mean) = &self.mean {
                code.push(Instruction::Load(column(mean)));
                code.push(Instruction::Binary(Binary::Sub, 1, 2));
            }
            let centred = code.len() - 1;
            code.push(Instruction::Load(column(&self.factor)));
            code.push(Instruction::Binary(Binary::Mul, centred, centred + 1));
            code.push(Instruction::Binary(Binary::Mul, 0, centred + 2));
            outputs.push(sum(centred + 3, as_row(place)?));
        }
        Ok(Fused { domain, code, outputs })
    }
}

/// A vector along one axis of a domain, repeated along the other.
fn spread(place: &Place, domain: &Shape, axis: usize) -> Place {
    let mut spread = Place { shape: domain.clone(), ..place.clone() };
    spread.strides = Default::default();
    spread.strides[axis] = 1;
    spread
}

/// A vector `[w]` as `[1, w]`.
fn as_row(place: &Place) -> Result<Place, SourceError> {
    let width = place.shape.elements();
    let shape = Shape::new(&[1, width]).map_err(|error| SourceError::broken(error.to_string()))?;
    let ty = onestep_engine::Type { shape, dtype: place.dtype };
    debug_assert_eq!(place.dtype.size() == 4, matches!(place.dtype, DType::F32 | DType::I32));
    Ok(Place::contiguous(place.region, place.offset, &ty))
}
