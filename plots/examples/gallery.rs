//! Writes one figure of each kind into a folder: `cargo run -p coordrl-plots --example gallery --
//! FOLDER`.
#![expect(
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    reason = "an example that tells what it wrote"
)]

use std::error::Error;
use std::path::{Path, PathBuf};

use coordrl_plots::{
    Aspect, Axis, ColourMap, ColourRange, Figure, Group, HeatMap, HeatMaps, LineChart, Panels,
    PlotError, Scatter, Series,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: gallery FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    write(&folder, "line_chart", &learning_curves("Breakout: mean of five seeds, 95 % interval"))?;
    write(&folder, "log_axis", &sizes())?;
    write(&folder, "scatter", &places("Predicted places, CoordConv", 0.4, Aspect::Equal))?;
    write(&folder, "diagonal", &true_against_predicted())?;
    write(&folder, "heat_maps", &probabilities()?)?;
    write(&folder, "weights", &weights()?)?;
    write(&folder, "panels", &tasks())?;
    write(&folder, "panels_own", &mixed()?)?;
    write(&folder, "edge_cases", &edge_cases())
}

fn write(folder: &Path, name: &str, figure: &dyn Figure) -> Result<(), Box<dyn Error>> {
    let svg = folder.join(name).with_extension("svg");
    let png = folder.join(name).with_extension("png");
    std::fs::write(&svg, figure.to_svg()?)?;
    std::fs::write(&png, figure.to_png()?)?;
    println!("{} and {}", svg.display(), png.display());
    Ok(())
}

/// A curve like that of a run: rises, levels off, wobbles.
fn curve(height: f64, speed: f64, shift: f64) -> Vec<(f64, f64)> {
    let points = (0..=80).map(|k: u32| {
        let x = f64::from(k) / 80.0;
        let wobble = (f64::from(k) * 0.9 + shift).sin() * 0.02 * height;
        (x * 1e7, height * (1.0 - (-x * speed).exp()) + wobble)
    });
    points.collect()
}

fn banded(name: &str, height: f64, speed: f64, shift: f64) -> Series {
    let points = curve(height, speed, shift);
    let band: Vec<_> = points.iter().map(|&(_, y)| (y * 0.88 - 2.0, y * 1.1 + 3.0)).collect();
    Series::new(name, points).with_band(band)
}

fn learning_curves(title: &str) -> LineChart {
    LineChart::new(title, Axis::linear("frames"), Axis::linear("episode return (points)"))
        .with_series(banded("conv", 310.0, 3.0, 0.0))
        .with_series(banded("CoordConv", 420.0, 2.2, 1.0))
        .with_series(banded("CoordConv, first layer only", 260.0, 5.0, 2.0))
        .with_reference(350.0, "human")
}

fn sizes() -> LineChart {
    let conv = [1e3, 1e4, 1e5, 1e6, 1e7].map(|x: f64| (x, 20.0 + 8.0 * x.log10()));
    let coord = [(1e3, 91.0), (1e4, 99.0), (1e5, f64::NAN), (1e6, 99.5), (1e7, 100.0)];
    LineChart::new("Accuracy by size", Axis::log("parameters"), Axis::linear("test accuracy (%)"))
        .with_series(Series::new("deconv", conv))
        .with_series(Series::new("CoordConv (one run missing)", coord))
}

fn places(title: &str, error: f64, aspect: Aspect) -> Scatter {
    let moved = move |(x, y): (f64, f64)| {
        (x + error * (x * 1.3 + y * 7.1).sin(), y + error * (x * 5.1 - y).cos())
    };

    let scatter =
        Scatter::new(title, Axis::linear("x (pixels)"), Axis::linear("y (pixels)").reversed())
            .with_true_places("true places", grid())
            .with_group(Group::new("train", grid().filter(|place| !is_test(place)).map(moved)))
            .with_group(Group::new("test", grid().filter(is_test).map(moved)));
    if aspect == Aspect::Equal { scatter.with_equal_aspect() } else { scatter }
}

fn grid() -> impl Iterator<Item = (f64, f64)> {
    (0..28 * 28).map(|k| (f64::from(k % 28) * 2.0 + 4.0, f64::from(k / 28) * 2.0 + 4.0))
}

fn is_test(&(x, y): &(f64, f64)) -> bool {
    x > 32.0 && y > 32.0
}

fn true_against_predicted() -> Scatter {
    Scatter::new(
        "True against predicted",
        Axis::linear("true x (pixels)"),
        Axis::linear("predicted x (pixels)"),
    )
    .with_group(Group::new("train", wave(1.3)))
    .with_group(Group::new("test", wave(2.9).map(|(x, y)| (x, y - 2.0))))
    .with_equal_aspect()
}

fn wave(shift: f64) -> impl Iterator<Item = (f64, f64)> {
    (0..40).map(move |k| (f64::from(k), f64::from(k) + 3.0 * (f64::from(k) * shift).sin()))
}

/// A square of nine cells on a side, its edge more or less sharp.
fn square(row: f64, column: f64, sharpness: f64) -> Vec<f32> {
    let inside = |distance: f64| 1.0 / (1.0 + ((distance - 4.5) * sharpness).exp());
    let cells = (0..64 * 64).map(|k| (f64::from(k / 64) - row, f64::from(k % 64) - column));
    cells.map(|(down, right)| (inside(down.abs()) * inside(right.abs())) as f32).collect()
}

fn probabilities() -> Result<HeatMaps, PlotError> {
    let mut maps = HeatMaps::new("Squares drawn from their centre").with_colour_bar("probability");
    for (row, column) in [(12, 40), (50, 20), (31, 8)] {
        let y = f64::from(row);
        let x = f64::from(column);
        maps = maps
            .with_map(HeatMap::try_new(
                format!("truth, centre ({row}, {column})"),
                64,
                64,
                square(y, x, 90.0),
            )?)
            .with_map(HeatMap::try_new("CoordConv", 64, 64, square(y, x, 4.0))?)
            .with_map(HeatMap::try_new("deconv", 64, 64, square(y + 3.0, x, 0.6))?);
    }

    Ok(maps
        .with_columns(3)
        .with_colours(ColourMap::Viridis)
        .with_range(ColourRange::Fixed(0.0, 1.0)))
}

fn weights() -> Result<HeatMaps, PlotError> {
    let mut maps = HeatMaps::new("")
        .with_colours(ColourMap::Diverging)
        .with_range(ColourRange::Fixed(-1.0, 1.0));
    for channel in 0..8_u8 {
        maps = maps.with_map(HeatMap::try_new(
            format!("channel {channel}"),
            8,
            8,
            (0..64).map(|k: u8| (f32::from(k) * 0.37 + f32::from(channel)).sin()).collect(),
        )?);
    }

    Ok(maps.with_columns(8).with_colour_bar("weight"))
}

fn panel(height: f64) -> Box<dyn Figure> {
    let chart = LineChart::new("", Axis::linear("frames"), Axis::linear("episode return"));
    Box::new(chart.with_series(banded("conv", height, 2.0, 0.0)).with_series(banded(
        "CoordConv",
        height * 1.3,
        3.0,
        1.0,
    )))
}

fn tasks() -> Panels {
    Panels::new("Two torsos, two agents, three games", ["Breakout", "Pong", "Ms. Pac-Man"])
        .with_row("A2C", vec![panel(300.0), panel(20.0), panel(24_000.0)])
        .with_row("Ape-X", vec![panel(500.0), panel(21.0), panel(900.0)])
}

fn mixed() -> Result<Panels, PlotError> {
    let heat = HeatMaps::new("")
        .with_map(HeatMap::try_new("truth", 64, 64, square(20.0, 30.0, 90.0))?)
        .with_map(HeatMap::try_new("predicted", 64, 64, square(21.0, 31.0, 1.5))?)
        .with_colour_bar("probability");
    let row = |error: f64| -> Vec<Box<dyn Figure>> {
        vec![Box::new(places("", error, Aspect::Equal)), Box::new(heat.clone())]
    };
    Ok(Panels::new("Coordinate tasks", ["where is the pixel?", "draw the square"])
        .with_row("CoordConv", row(0.3))
        .with_row("deconv", row(3.0)))
}

fn edge_cases() -> Panels {
    let gap =
        [(0.0, 1e-5), (1.0, 2e-5), (2.0, f64::NAN), (3.0, 1.5e-5), (4.0, f64::NAN), (5.0, 3e-5)];
    let many =
        (0..10).fold(LineChart::new("", Axis::linear("x"), Axis::linear("y")), |chart, k| {
            chart.with_series(Series::new(
                format!("series {k}"),
                [(0.0, 0.0), (1.0, f64::from(k) - 4.5)],
            ))
        });
    let long = LineChart::new(
        "A title that is far too long for one line and must be broken over several of them to be read",
        Axis::log(
            "a label that is far too long for the axis it belongs to, and then some (seconds)",
        ),
        Axis::linear("another label that is far too long (points)"),
    );
    let long = long.with_series(Series::new(
        "a name that is far too long for the legend of this panel",
        [(1.0, 1e6), (9.0, 1e6)],
    ));
    Panels::new("Edge cases", ["one point, with band", "gaps, small numbers"])
        .with_row(
            "",
            vec![
                chart(Series::new("one", [(3.0, 4.0)]).with_band([(3.5, 4.8)])),
                chart(Series::new("gaps", gap)),
            ],
        )
        .with_row("", vec![Box::new(many), Box::new(long.with_reference(1.1e6, "a reference"))])
}

fn chart(series: Series) -> Box<dyn Figure> {
    Box::new(LineChart::new("", Axis::linear("x"), Axis::linear("y")).with_series(series))
}
