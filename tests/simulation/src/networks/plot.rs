//! The picture.

use core::{error::Error, time::Duration};

use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
    },
    prelude::{
        BLACK, ChartBuilder, Color as _, DrawingArea, IntoDrawingArea as _, IntoLogRange as _, LineSeries, PathElement,
        RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
    },
};

use super::{BANDWIDTHS, Outcome, ROUND_TRIPS, page::WINDOWS};

const SIZE: (u32, u32) = (1500, 1050);
const COLORS: [RGBColor; WINDOWS.len()] =
    [RGBColor(0, 90, 180), RGBColor(150, 150, 150), RGBColor(230, 160, 0), RGBColor(210, 90, 0), RGBColor(150, 0, 60)];

/// The values of one window, for each round trip.
type Line = Vec<(f64, f64)>;

/// For each bandwidth, from left to right: the share of it that each window uses, a block's round trip over the least that it can
/// be, and what a ping waits.
pub(super) fn plot(outcomes: &[Vec<Outcome>; WINDOWS.len()]) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let panels = root.split_evenly((3, BANDWIDTHS.len()));
        for (at, bandwidth) in BANDWIDTHS.into_iter().enumerate() {
            let name = format!("{} Mbit/s", f64::from(bandwidth) / 1000.0);
            let lines = |value: fn(&Outcome) -> f64| -> Vec<Line> {
                // For each round trip there is a path of each bandwidth.
                let of_bandwidth =
                    |all: &Vec<Outcome>| all.iter().skip(at).step_by(BANDWIDTHS.len()).map(value).collect::<Vec<_>>();
                let placed = |values: Vec<f64>| (0_u32..).map(f64::from).zip(values).collect();
                outcomes.iter().map(of_bandwidth).map(placed).collect()
            };
            let [shares, blocks, pings] = [0, 1, 2].map(|row| &panels[row * BANDWIDTHS.len() + at]);
            draw(shares, &format!("{name}: share of the bandwidth"), 0.0..1.05, &lines(share), at == 0)?;
            let title = format!("{name}: a block's round trip, 1 = nothing waits");
            draw(blocks, &title, (0.9..40.0).log_scale(), &lines(block), false)?;
            draw(pings, &format!("{name}: what a ping waits, ms"), (0.1..20_000.0).log_scale(), &lines(ping), false)?;
        }
        root.present()?;
    }
    Ok(svg)
}

fn share(outcome: &Outcome) -> f64 {
    outcome.measured.share.min(1.0)
}

fn block(outcome: &Outcome) -> f64 {
    let base = outcome.path.round_trip + outcome.path.takes(outcome.measured.stanza);
    outcome.measured.block.median.div_duration_f64(base).max(1.0)
}

fn ping(outcome: &Outcome) -> f64 {
    outcome.ping.median.div_duration_f64(Duration::from_millis(1)).max(0.1)
}

fn draw<Y>(
    panel: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    heights: Y,
    lines: &[Line],
    has_legend: bool,
) -> Result<(), Box<dyn Error>>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(panel);
    let chart = chart.caption(title, ("sans-serif", 15)).margin(8).x_label_area_size(35).y_label_area_size(45);
    let mut chart = chart.build_cartesian_2d(-0.2..4.2, heights)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .light_line_style(WHITE)
        .max_light_lines(1)
        .x_labels(ROUND_TRIPS.len())
        .x_label_formatter(&round_trip)
        .x_desc("round trip, ms")
        .draw()?;
    for ((line, color), (_, name)) in lines.iter().zip(COLORS).zip(WINDOWS) {
        let drawn = chart.draw_series(LineSeries::new(line.iter().copied(), color.stroke_width(2)))?;
        drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    if has_legend {
        let mut labels = chart.configure_series_labels();
        labels.position(SeriesLabelPosition::LowerLeft).border_style(BLACK).background_style(WHITE).draw()?;
    }
    Ok(())
}

/// The round trip that stands at this place.
fn round_trip(place: &f64) -> String {
    let at = (0_u32..).zip(ROUND_TRIPS).find(|(at, _)| (f64::from(*at) - place).abs() < 0.01);
    at.map_or_else(String::new, |(_, rtt)| rtt.to_string())
}
