//! The curves of a run as an SVG picture.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::TrainerError;
use crate::atomic_file::write_atomically;
use crate::history::EpochRecord;
use crate::metrics::Monitor;

const TRAIN: RGBColor = RGBColor(31, 119, 180);
const VALIDATION: RGBColor = RGBColor(214, 80, 20);
/// Pixels of a panel; there is room for two at least.
const SIZE: (u32, u32) = (480, 400);
const FONT: &str = "sans-serif";

/// Numbers that an axis has at most.
const TICKS: usize = 10;
/// Pixels for the name of an axis, and for a digit of its numbers.
const AXIS_NAME: u32 = 36;
const DIGIT: u32 = 8;

/// One panel of the picture.
struct Panel {
    title: String,
    /// Where the curves leave room.
    legend: SeriesLabelPosition,
    train: Vec<(f64, f64)>,
    validation: Vec<(f64, f64)>,
}

impl Panel {
    /// The curves of a figure; `None` where no epoch has it.
    fn new(name: &str, epochs: &[EpochRecord]) -> Option<Self> {
        let curve = |part: fn(String) -> Monitor| -> Vec<(f64, f64)> {
            let monitor = part(name.to_owned());
            let points = epochs.iter().filter_map(|epoch| {
                // The figures of training do not stand in for those of validation here.
                let there = !monitor.validates() || epoch.validation.is_some();
                let value = epoch.figure(&monitor).filter(|value| there && value.is_finite())?;
                Some((epoch.epoch as f64, value))
            });
            points.collect()
        };
        let (train, validation) = (curve(Monitor::train), curve(Monitor::validation));
        let rises = Monitor::train(name.to_owned()).higher_is_better();
        let legend = match rises {
            true => SeriesLabelPosition::LowerRight,
            false => SeriesLabelPosition::UpperRight,
        };
        let empty = train.is_empty() && validation.is_empty();
        (!empty).then(|| Panel { title: name.replace('_', " "), legend, train, validation })
    }

    /// The ranges of the axes, with a margin so that no curve runs along the frame.
    fn ranges(&self) -> (Range<f64>, Range<f64>) {
        let points = || self.train.iter().chain(&self.validation);
        let range = |values: &mut dyn Iterator<Item = f64>| {
            let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            });
            (low, high)
        };
        let (first, last) = range(&mut points().map(|point| point.0));
        let (low, high) = range(&mut points().map(|point| point.1));
        let margin = ((high - low) * 0.05).max(high.abs() * 1e-3).max(1e-6);
        (first..last.max(first + 1.0), low - margin..high + margin)
    }
}

/// Draws the loss and each metric over the epochs, for training and validation, and writes the picture to an SVG file. Without epochs it
/// writes nothing.
///
/// # Errors
/// [`TrainerError::File`] where the file cannot be written, [`TrainerError::Plot`] where the
/// picture cannot be drawn.
pub fn draw_curves(path: &Path, epochs: &[EpochRecord]) -> Result<(), TrainerError> {
    let metrics = epochs.last().map(|epoch| epoch.train.names()).into_iter().flatten();
    let names = ["loss"].into_iter().chain(metrics);
    let panels: Vec<Panel> = names.filter_map(|name| Panel::new(name, epochs)).collect();
    if panels.is_empty() {
        return Ok(());
    }
    let mut svg = String::new();
    draw(&mut svg, &panels).map_err(|error| TrainerError::Plot {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?;
    write_atomically(path, |file| file.write_all(svg.as_bytes()))
}

type DrawResult = Result<(), Box<dyn std::error::Error>>;

fn draw(svg: &mut String, panels: &[Panel]) -> DrawResult {
    let root = SVGBackend::with_string(svg, (SIZE.0 * panels.len().max(2) as u32, SIZE.1))
        .into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((1, panels.len())).iter().zip(panels) {
        draw_panel(area, panel)?;
    }
    root.present()?;
    Ok(())
}

fn draw_panel(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel) -> DrawResult {
    let (x, y) = panel.ranges();
    let ticks = Ticks::new(&y);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, (FONT, 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(ticks.area)
        .build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc(&panel.title)
        .x_labels(10)
        .x_label_formatter(&|epoch| {
            // Between two epochs there is nothing to name.
            if epoch.fract() == 0.0 { format!("{epoch:.0}") } else { String::new() }
        })
        .y_labels(TICKS)
        .y_label_formatter(&|value| ticks.label(*value))
        .light_line_style(RGBColor(240, 240, 240))
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 13))
        .draw()?;
    for (name, curve, colour) in
        [("train", &panel.train, TRAIN), ("validation", &panel.validation, VALIDATION)]
    {
        if curve.is_empty() {
            continue;
        }
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(curve.iter().copied(), style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        // A single epoch is no line.
        chart.draw_series(curve.iter().map(|&point| Circle::new(point, 2, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(panel.legend.clone())
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(180, 180, 180))
        .label_font((FONT, 14))
        .draw()?;
    Ok(())
}

/// How the numbers of an axis are written: all in one way, in as few digits as tell them apart.
struct Ticks {
    /// Whether they are written as powers of ten.
    powers: bool,
    /// Digits behind the point.
    digits: usize,
    /// What is much smaller than the distance of two numbers is a 0 that was rounded.
    step: f64,
    /// Pixels that the longest takes with the name of the axis.
    area: u32,
}

impl Ticks {
    fn new(axis: &Range<f64>) -> Self {
        let points = RangedCoordf64::from(axis.clone()).key_points(TICKS);
        let step = points.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        let step = if step.is_finite() { step } else { axis.end - axis.start };
        let most = axis.start.abs().max(axis.end.abs());
        let powers = !(1e-2..1e5).contains(&most);
        // Places of the step behind the point, or behind the first digit of the largest number.
        let unit = if powers { most.log10().floor() } else { 0.0 };
        let digits = (unit - (step.log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize;
        let mut ticks = Ticks { powers, digits, step, area: 0 };
        let longest = points.iter().map(|&point| ticks.label(point).len()).max().unwrap_or(0);
        ticks.area = AXIS_NAME + DIGIT * longest as u32;
        ticks
    }

    fn label(&self, value: f64) -> String {
        let digits = self.digits;
        match self.powers {
            _ if value.abs() < self.step * 1e-6 => "0".to_owned(),
            true => format!("{value:.digits$e}"),
            false => format!("{value:.digits$}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn the_picture_has_axes_curves_and_a_legend() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curves.svg");
        draw_curves(&path, &[]).unwrap();
        assert!(!path.exists());

        let epochs: Vec<EpochRecord> = (1..=5)
            .map(|epoch| {
                let loss = 1.0 / epoch as f64;
                let train = Metrics::new(loss).with("accuracy", 1.0 - loss).with("top5", 1.0);
                let validation = Some(train.clone());
                EpochRecord { epoch, train, validation, ..EpochRecord::default() }
            })
            .collect();
        for epochs in [&epochs[..1], &epochs] {
            draw_curves(&path, epochs).unwrap();
            let svg = std::fs::read_to_string(&path).unwrap();
            for word in ["loss", "accuracy", "top5", "epoch", "train", "validation"] {
                assert!(svg.contains(word), "{word} is missing");
            }
        }
    }

    #[test]
    fn ticks_of_an_axis_are_written_in_one_way_and_have_room() {
        for (range, places, powers) in [
            (0.0..1.0, 1, false),
            (0.7..1.5, 1, false),
            (0.0213..0.0219, 4, false),
            (0.0..12345.0, 0, false),
            (-3.0..250.0, 0, false),
            (33_000_000.0..34_961_123.0, 2, true),
            (1e-9..9.1e-8, 0, true),
        ] {
            let ticks = Ticks::new(&range);
            let points = RangedCoordf64::from(range).key_points(TICKS);
            let labels: Vec<String> = points.iter().map(|&point| ticks.label(point)).collect();
            for label in labels.iter().filter(|label| *label != "0") {
                let mantissa = label.split('e').next().unwrap_or_default();
                let behind = mantissa.split_once('.').map_or(0, |(_, rest)| rest.len());
                assert_eq!((behind, label.contains('e')), (places, powers), "{labels:?}");
            }
            let mut apart = labels.clone();
            apart.dedup();
            assert_eq!(apart, labels);
            assert!(
                labels.iter().all(|label| DIGIT * label.len() as u32 + AXIS_NAME <= ticks.area)
            );
        }
    }
}
