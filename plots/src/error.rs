//! Everything that can go wrong with a figure.

use resvg::usvg;

/// Why a figure could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A bar of no length.
    #[error("bar `{name}` is not a finite number")]
    BarNotFinite {
        /// Its name.
        name: String,
    },
    /// Nothing that could be drawn: no series, or only empty ones.
    #[error("figure `{figure}` has no data")]
    NoData {
        /// Its title.
        figure: String,
    },
    /// A value is infinite. A gap is NaN; infinity is a mistake.
    #[error("value {index} of `{part}` in figure `{figure}` is infinite; leave gaps as NaN")]
    Infinite {
        /// Title of the figure.
        figure: String,
        /// Name of the series, group or map.
        part: String,
        /// Which of its values, from 0.
        index: usize,
    },
    /// A logarithmic axis has no place for zero and below.
    #[error("the axis `{axis}` of figure `{figure}` is logarithmic, but `{part}` has the value {value}")]
    NotPositive {
        /// Title of the figure.
        figure: String,
        /// Label of the axis.
        axis: String,
        /// Name of the series or group.
        part: String,
        /// The value.
        value: f64,
    },
    /// An axis or a colour scale that goes nowhere.
    #[error("figure `{figure}` cannot show `{axis}` from {low} to {high}")]
    BadRange {
        /// Title of the figure.
        figure: String,
        /// Label of the axis.
        axis: String,
        /// Where it should begin.
        low: f64,
        /// Where it should end.
        high: f64,
    },
    /// A band needs one pair a point.
    #[error("series `{series}` of figure `{figure}` has {points} points, but its band {band}")]
    BandLength {
        /// Title of the figure.
        figure: String,
        /// Name of the series.
        series: String,
        /// Length of the series.
        points: usize,
        /// Length of the band.
        band: usize,
    },
    /// A band with its lower end on top.
    #[error("the band of `{series}` in figure `{figure}` goes from {low} up to {high} at point {index}")]
    BandReversed {
        /// Title of the figure.
        figure: String,
        /// Name of the series.
        series: String,
        /// Which point, from 0.
        index: usize,
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
    /// A reference line that would not be seen.
    #[error("the reference `{label}` of figure `{figure}` is {value}, outside the axis from {low} to {high}")]
    ReferenceOutside {
        /// Title of the figure.
        figure: String,
        /// Label of the reference.
        label: String,
        /// Its value.
        value: f64,
        /// Where the axis begins.
        low: f64,
        /// Where the axis ends.
        high: f64,
    },
    /// Values and shape of a matrix disagree.
    #[error("heat map `{caption}` should have {rows} x {columns} values, not {values}")]
    MatrixSize {
        /// Caption of the map.
        caption: String,
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
        /// How many values came.
        values: usize,
    },
    /// A marked cell that the map does not have.
    #[error("heat map `{caption}` has {rows} x {columns} cells, none at row {row}, column {column}")]
    MarkOutside {
        /// Caption of the map.
        caption: String,
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
        /// Row of the mark.
        row: usize,
        /// Column of the mark.
        column: usize,
    },
    /// One colour bar cannot explain maps that each have a range of their own.
    #[error("figure `{figure}` gives each map its own range: leave out the colour bar or share the range")]
    ColourBarOfMany {
        /// Its title.
        figure: String,
    },
    /// A row of panels that does not fit under the headings.
    #[error("row `{row}` of figure `{figure}` has {figures} panels for {columns} columns")]
    RowLength {
        /// Title of the page.
        figure: String,
        /// Name of the row.
        row: String,
        /// How many figures it has.
        figures: usize,
        /// How many columns there are.
        columns: usize,
    },
    /// Labels leave no room for the data.
    #[error(
        "figure `{figure}` is too small for its labels: {width:.0} x {height:.0} pixels are left for data"
    )]
    NoRoom {
        /// Title of the figure.
        figure: String,
        /// Width left.
        width: f64,
        /// Height left.
        height: f64,
    },
    /// The SVG could not be read back: a bug here.
    #[error("cannot read the figure's own SVG: {cause}")]
    Svg {
        /// What the reader said.
        cause: usvg::Error,
    },
    /// A picture of this size cannot be made.
    #[error("cannot make a picture of {width} x {height} pixels")]
    PictureSize {
        /// Its width in pixels.
        width: u32,
        /// Its height in pixels.
        height: u32,
    },
    /// The pixels could not be packed as PNG.
    #[error("cannot write the figure as PNG: {cause}")]
    Png {
        /// What the encoder said.
        cause: String,
    },
}
