//! Plots as SVG.

use crate::Result;
use crate::spread::Spread;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Colours that people with any kind of colour vision tell apart (Okabe and Ito).
const COLOURS: [RGBColor; 5] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

const SIZE: (u32, u32) = (760, 420);
const TEXT: u32 = 15;

/// An axis and what its numbers mean.
pub(crate) struct Axis {
    pub(crate) name: &'static str,
    pub(crate) range: Range<f64>,
    /// Whether equal distances are equal quotients.
    pub(crate) logarithmic: bool,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => value.max(f64::MIN_POSITIVE).log10(),
            false => value,
        }
    }

    fn places(&self) -> Range<f64> {
        self.place(self.range.start)..self.place(self.range.end)
    }

    fn label(&self, place: f64) -> String {
        match self.logarithmic {
            // Between the powers of ten there are lines without a number.
            true if (place - place.round()).abs() > 0.01 => String::new(),
            true => number(10_f64.powf(place)),
            false => number(place),
        }
    }
}

/// At most three digits that count.
fn number(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => trimmed(&format!("{value:.1}")),
        _ => trimmed(&format!("{value:.2}")),
    }
}

fn trimmed(number: &str) -> String {
    let number = number.trim_end_matches('0');
    number.trim_end_matches('.').to_owned()
}

/// A line, or points with quartiles that a line connects.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// From where to where the values of a point are spread.
    pub(crate) whiskers: Vec<(f64, f64)>,
    pub(crate) dashed: bool,
    /// Series of one colour belong together.
    pub(crate) colour: usize,
}

/// Where no line is.
#[derive(Clone, Copy)]
pub(crate) enum Legend {
    LowerRight,
    UpperLeft,
}

/// Lines in one plot. `level` is a horizontal line to compare with.
pub(crate) fn lines(
    x: &Axis,
    y: &Axis,
    series: &[Series],
    level: Option<f64>,
    legend: Legend,
) -> Result<String> {
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .margin_right(28)
        .x_label_area_size(48)
        .y_label_area_size(64)
        .build_cartesian_2d(x.places(), y.places())?;
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(x.name)
        .y_desc(y.name)
        .label_style(("sans-serif", TEXT))
        .axis_desc_style(("sans-serif", TEXT))
        .light_line_style(TRANSPARENT)
        .x_labels(8)
        .y_labels(8);
    mesh.x_label_formatter(&|place| x.label(*place))
        .y_label_formatter(&|place| y.label(*place))
        .draw()?;
    if let Some(level) = level {
        let ends = [y.place(level); 2];
        let line = [(x.places().start, ends[0]), (x.places().end, ends[1])];
        chart.draw_series(DashedLineSeries::new(
            line,
            2,
            4,
            BLACK.mix(0.5).stroke_width(1),
        ))?;
    }
    for series in series {
        let colour = COLOURS[series.colour % COLOURS.len()];
        let place = |(a, b): &(f64, f64)| (x.place(*a), y.place(*b));
        let points: Vec<_> = series.points.iter().map(place).collect();
        let style = colour.stroke_width(2);
        let drawn = match series.dashed {
            true => chart.draw_series(DashedLineSeries::new(points.clone(), 6, 4, style))?,
            false => chart.draw_series(LineSeries::new(points.clone(), style))?,
        };
        let ends = if series.dashed { [8, 14] } else { [11, 11] };
        drawn.label(&*series.name).legend(move |place| {
            EmptyElement::at(place)
                + PathElement::new([(0, 0), (ends[0], 0)], style)
                + PathElement::new([(ends[1], 0), (22, 0)], style)
        });
        for (point, (low, high)) in series.points.iter().zip(&series.whiskers) {
            let ends = [(point.0, *low), (point.0, *high)].map(|end| place(&end));
            chart.draw_series([PathElement::new(ends, style)])?;
            chart.draw_series([Circle::new(place(point), 3, colour.filled())])?;
        }
    }
    chart
        .configure_series_labels()
        .position(match legend {
            Legend::LowerRight => SeriesLabelPosition::LowerRight,
            Legend::UpperLeft => SeriesLabelPosition::UpperLeft,
        })
        .background_style(WHITE.mix(0.85))
        .label_font(("sans-serif", TEXT))
        .draw()?;
    drop(chart);
    root.present()?;
    drop(root);
    Ok(svg)
}

/// A ratio with its quartiles in each row, beside a line at 1.
pub(crate) fn ratios(name: &'static str, rows: &[(String, Spread)]) -> Result<String> {
    const ROW: u32 = 30;
    const NAMES: u32 = 300;
    let highest = rows.iter().map(|(_, ratio)| ratio.high).fold(1.0, f64::max);
    let size = (SIZE.0, ROW * rows.len() as u32 + 80);
    let mut svg = String::new();
    let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    root.fill(&WHITE)?;
    let rows_end = rows.len() as f64;
    // The margins and the axis take 72 of the 80.
    let row_height = f64::from(ROW) + 8.0 / rows_end;
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .margin_left(NAMES)
        .x_label_area_size(48)
        .build_cartesian_2d(0.0..highest * 1.1, rows_end..0.0)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_desc(name)
        .label_style(("sans-serif", TEXT))
        .axis_desc_style(("sans-serif", TEXT))
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|value| number(*value))
        .draw()?;
    let one = [(1.0, 0.0), (1.0, rows_end)];
    chart.draw_series(DashedLineSeries::new(
        one,
        2,
        4,
        BLACK.mix(0.5).stroke_width(1),
    ))?;
    let style = COLOURS[1].stroke_width(2);
    let text = ("sans-serif", TEXT)
        .into_font()
        .color(&BLACK)
        .pos(Pos::new(HPos::Right, VPos::Center));
    for (row, (name, ratio)) in rows.iter().enumerate() {
        let at = row as f64 + 0.5;
        chart.draw_series([PathElement::new([(ratio.low, at), (ratio.high, at)], style)])?;
        chart.draw_series([Circle::new((ratio.median, at), 4, COLOURS[1].filled())])?;
        let place = (NAMES as i32 - 10, 12 + (at * row_height) as i32);
        root.draw(&Text::new(name.clone(), place, text.clone()))?;
    }
    drop(chart);
    root.present()?;
    drop(root);
    Ok(svg)
}
