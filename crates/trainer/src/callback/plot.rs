//! The curves as a picture, redrawn after each epoch.

use std::path::PathBuf;

use crate::TrainerError;
use crate::callback::{Callback, Flow, Mishap, RunView};
use crate::history::EpochRecord;
use crate::plot::draw_curves;

/// Draws loss and accuracy over the epochs as an SVG file, anew after each epoch.
#[derive(Clone, Debug)]
pub struct CurvePlot {
    path: PathBuf,
    mishap: Mishap,
}

impl CurvePlot {
    /// A picture at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        CurvePlot { path: path.into(), mishap: Mishap::default() }
    }

    /// Why the last picture could not be drawn, which ends no training; none where it was.
    pub fn failure(&self) -> Option<&str> {
        self.mishap.0.as_deref()
    }
}

impl Callback for CurvePlot {
    fn name(&self) -> &str {
        "curve_plot"
    }

    fn on_epoch_end(
        &mut self,
        run: &mut RunView<'_>,
        _: &EpochRecord,
    ) -> Result<Flow, TrainerError> {
        self.mishap.note(draw_curves(&self.path, run.epochs()))
    }
}
