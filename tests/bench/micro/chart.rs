//! A line chart as plain SVG: sizes on a logarithmic axis, cost on one that begins at zero. It has no background, and
//! its colours follow the reader's: light or dark.

use std::fmt::Write;

use anyhow::Context;
use anyhow::Result;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 56.0;

/// Colours that stand apart for the colour-blind, too (Okabe and Ito), and on light and on dark.
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#333}.title{font-size:16px;font-weight:600}\
.grid{stroke:#888;stroke-opacity:.3}.line{fill:none;stroke-width:2.5}.a{stroke:#0072b2}.b{stroke:#d55e00}\
.c{stroke:#009e73}circle.a{fill:#0072b2}circle.b{fill:#d55e00}circle.c{fill:#009e73}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.a{stroke:#56b4e9}.b{stroke:#e69f00}circle.a{fill:#56b4e9}\
circle.b{fill:#e69f00}}";

/// One line.
pub(crate) struct Series {
    name: &'static str,
    /// Size and cost, by size.
    points: Vec<(f64, f64)>,
}

impl Series {
    pub(crate) fn new(name: &'static str, points: Vec<(f64, f64)>) -> Series {
        for (size, cost) in &points {
            println!("{name:<32} {size:>8} {cost:>12.1}");
        }
        Series { name, points }
    }

    /// The cost at the largest size.
    pub(crate) fn last(&self) -> Result<f64> {
        Ok(self.points.last().context("a point")?.1)
    }

    /// The cost at the largest size by that at the smallest.
    pub(crate) fn growth(&self) -> Result<f64> {
        Ok(self.last()? / self.points.first().context("a point")?.1)
    }
}

/// Lines over one axis.
pub(crate) struct Chart {
    title: &'static str,
    size: &'static str,
    cost: &'static str,
    series: Vec<Series>,
}

impl Chart {
    pub(crate) fn new(title: &'static str, size: &'static str, cost: &'static str, series: Vec<Series>) -> Chart {
        Chart { title, size, cost, series }
    }

    /// Draw it.
    pub(crate) fn svg(&self) -> Result<String> {
        let sizes = || self.series.iter().flat_map(|series| &series.points).map(|point| point.0.log10());
        let (least, most) = (sizes().fold(f64::MAX, f64::min), sizes().fold(f64::MIN, f64::max));
        let costs = self.series.iter().flat_map(|series| &series.points).map(|point| point.1);
        let step = step(costs.fold(0.0, f64::max));
        let top = step.height;
        let x = |size: f64| LEFT + (size.log10() - least) / (most - least) * (WIDTH - LEFT - RIGHT);
        let y = |cost: f64| HEIGHT - BOTTOM - cost / top * (HEIGHT - TOP - BOTTOM);

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-label=\"{title}\">\n<style>{STYLE}</style>\n<text class=\"title\" x=\"{LEFT}\" y=\"22\">{title}</text>\n",
            title = self.title
        );
        let (bottom, right, middle) = (HEIGHT - BOTTOM, WIDTH - RIGHT, (LEFT + WIDTH - RIGHT) / 2.0);
        for mark in 0..=step.count {
            let cost = step.each * f64::from(mark);
            let at = y(cost);
            writeln!(svg, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>")?;
            let (beside, lower) = (LEFT - 8.0, at + 4.5);
            writeln!(svg, "<text x=\"{beside}\" y=\"{lower:.1}\" text-anchor=\"end\">{}</text>", number(cost))?;
        }
        let mut exponent = least.round() as i32;
        while f64::from(exponent) <= most {
            let (at, below) = (x(10_f64.powi(exponent)), bottom + 20.0);
            writeln!(svg, "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>")?;
            let size = number(10_f64.powi(exponent));
            writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{size}</text>")?;
            exponent += 1;
        }
        let foot = HEIGHT - 14.0;
        writeln!(svg, "<text x=\"{middle}\" y=\"{foot}\" text-anchor=\"middle\">{}</text>", self.size)?;
        let along = f64::midpoint(TOP, bottom);
        writeln!(
            svg,
            "<text x=\"18\" y=\"{along}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {along})\">{}</text>",
            self.cost
        )?;
        for ((series, class), row) in self.series.iter().zip(["a", "b", "c"]).zip(0_u8..) {
            let path: Vec<String> =
                series.points.iter().map(|(size, cost)| format!("{:.1},{:.1}", x(*size), y(*cost))).collect();
            writeln!(svg, "<polyline class=\"line {class}\" points=\"{}\"/>", path.join(" "))?;
            for (size, cost) in &series.points {
                let (across, up) = (x(*size), y(*cost));
                let said = format!("{}: {} at {}", series.name, number(*cost), number(*size));
                writeln!(
                    svg,
                    "<circle class=\"{class}\" cx=\"{across:.1}\" cy=\"{up:.1}\" r=\"3.5\"><title>{said}</title></circle>"
                )?;
            }
            if self.series.len() > 1 {
                let (from, level) = (LEFT + 16.0 + 205.0 * f64::from(row), TOP - 8.0);
                writeln!(svg, "<circle class=\"{class}\" cx=\"{from}\" cy=\"{level}\" r=\"5\"/>")?;
                writeln!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", from + 10.0, level + 4.5, series.name)?;
            }
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}

/// The marks of the axis of cost.
struct Marks {
    each: f64,
    count: u32,
    height: f64,
}

/// Four to ten marks of 1, 2 or 5 times a power of ten, the last one above everything.
fn step(most: f64) -> Marks {
    let power = 10_f64.powf((most / 10.0).log10().ceil());
    let each = [0.5, 0.2].into_iter().map(|part| power * part).find(|each| most / each <= 10.0 && most / each > 4.0);
    let each = each.unwrap_or(power);
    let count = (most * 1.02 / each).ceil() as u32;
    Marks { each, count, height: each * f64::from(count) }
}

/// `12,500`, `7.25`.
fn number(value: f64) -> String {
    if value < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}
