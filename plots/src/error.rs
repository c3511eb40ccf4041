//! Errors of figures.

use resvg::usvg;

/// Reasons why a figure could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A bar whose value is not finite.
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
        /// Index of the value.
        index: usize,
    },
    /// A logarithmic axis cannot show zero or negative values.
    #[error(
        "the axis `{axis}` of figure `{figure}` is logarithmic, but `{part}` has the value {value}"
    )]
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
    /// An axis or colour scale with an invalid range.
    #[error("figure `{figure}` cannot show `{axis}` from {low} to {high}")]
    BadRange {
        /// Title of the figure.
        figure: String,
        /// Label of the axis.
        axis: String,
        /// Start of the range.
        low: f64,
        /// End of the range.
        high: f64,
    },
    /// A band needs one pair per point.
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
    /// A band whose lower end is above its upper end.
    #[error(
        "the band of `{series}` in figure `{figure}` goes from {low} up to {high} at point {index}"
    )]
    BandReversed {
        /// Title of the figure.
        figure: String,
        /// Name of the series.
        series: String,
        /// Index of the point.
        index: usize,
        /// Its lower end.
        low: f64,
        /// Its upper end.
        high: f64,
    },
    /// A reference line outside the axis.
    #[error(
        "the reference `{label}` of figure `{figure}` is {value}, outside the axis from {low} to {high}"
    )]
    ReferenceOutside {
        /// Title of the figure.
        figure: String,
        /// Label of the reference.
        label: String,
        /// Its value.
        value: f64,
        /// Start of the axis.
        low: f64,
        /// End of the axis.
        high: f64,
    },
    /// Values and shape of a matrix disagree.
    #[error("heat map `{caption}` should have {rows} x {columns} values, not {values}")]
    MatrixSize {
        /// Caption of the map.
        caption: String,
        /// Number of rows.
        rows: usize,
        /// Number of columns.
        columns: usize,
        /// Number of values given.
        values: usize,
    },
    /// One colour bar cannot explain maps with individual ranges.
    #[error(
        "figure `{figure}` gives each map its own range: leave out the colour bar or share the range"
    )]
    ColourBarOfMany {
        /// Its title.
        figure: String,
    },
    /// A row of panels that does not match the columns.
    #[error("row `{row}` of figure `{figure}` has {figures} panels for {columns} columns")]
    RowLength {
        /// Title of the page.
        figure: String,
        /// Name of the row.
        row: String,
        /// Number of figures in the row.
        figures: usize,
        /// Number of columns.
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
    /// The generated SVG could not be parsed: a bug here.
    #[error("cannot read the figure's own SVG: {cause}")]
    Svg {
        /// The parser's error.
        cause: usvg::Error,
    },
    /// A picture of this size cannot be allocated.
    #[error("cannot make a picture of {width} x {height} pixels")]
    PictureSize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The pixels could not be encoded as PNG.
    #[error("cannot write the figure as PNG: {cause}")]
    Png {
        /// The encoder's message.
        cause: String,
    },
}
