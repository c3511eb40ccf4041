//! Checks of the rendered page against `report.json`.

use anyhow::{Context, Result};
use serde_json::Value;

/// Minimum legible font size.
const LEAST_LETTERS_PX: f64 = 7.0;
/// Minimum width and height of a figure.
const LEAST_FIGURE_PX: f64 = 80.0;

/// Findings of the checking script in the page.
#[derive(Debug)]
pub struct Seen {
    pub errors: Vec<String>,
    pub loaded: Vec<String>,
    pub width: u32,
    pub page_width: u32,
    pub page_height: u32,
    pub too_wide: Vec<String>,
    pub figures: Vec<SeenFigure>,
}

/// One figure in the page.
#[derive(Debug)]
pub struct SeenFigure {
    name: String,
    marks: Marks,
    size: [f64; 2],
    least_letters_px: f64,
}

/// Points of each line and band, in order of size, and the number of dots.
#[derive(Debug, PartialEq)]
struct Marks {
    lines: Vec<u64>,
    bands: Vec<u64>,
    dots: u64,
}

impl Seen {
    /// Parses the script's results from the document.
    pub fn read(document: &str) -> Result<Self> {
        let text =
            document.split("<pre id=\"seen\">").nth(1).and_then(|rest| rest.split("</pre>").next());
        let text = text
            .filter(|text| !text.is_empty())
            .context("the page's script did not run to its end")?;
        let seen: Value = serde_json::from_str(text).context("what the page's script left")?;
        let figures = seen["figures"].as_array().map_or(&[][..], Vec::as_slice);
        Ok(Self {
            errors: texts(&seen["errors"]),
            loaded: texts(&seen["loaded"]),
            width: pixels(&seen["width"]),
            page_width: pixels(&seen["page_width"]),
            page_height: pixels(&seen["page_height"]),
            too_wide: texts(&seen["too_wide"]),
            figures: figures.iter().map(SeenFigure::of).collect(),
        })
    }

    /// Number of lines, bands and dots in all figures.
    pub fn marks(&self) -> u64 {
        let of = |figure: &SeenFigure| {
            (figure.marks.lines.len() + figure.marks.bands.len()) as u64 + figure.marks.dots
        };
        self.figures.iter().map(of).sum()
    }
}

impl SeenFigure {
    fn of(figure: &Value) -> Self {
        let number = |key: &str| figure[key].as_f64().unwrap_or(0.0);
        Self {
            name: figure["name"].as_str().unwrap_or_default().to_owned(),
            marks: Marks::of(figure),
            size: [number("width"), number("height")],
            least_letters_px: number("least_letters_px"),
        }
    }
}

impl Marks {
    fn of(marks: &Value) -> Self {
        let sizes = |key: &str| {
            let list = marks[key].as_array().map_or(&[][..], Vec::as_slice);
            let mut sizes: Vec<u64> = list.iter().filter_map(Value::as_u64).collect();
            sizes.sort_unstable();
            sizes
        };
        Self {
            lines: sizes("lines"),
            bands: sizes("bands"),
            dots: marks["dots"].as_u64().unwrap_or(0),
        }
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(|text| text.as_str().unwrap_or("?").to_owned()).collect()
}

fn pixels(value: &Value) -> u32 {
    value.as_f64().unwrap_or(0.0).ceil() as u32
}

/// Lists all problems of a page viewed at `width`.
pub fn problems(seen: &Seen, report: &Value, width: u32) -> Vec<String> {
    let mut problems: Vec<String> =
        seen.errors.iter().map(|error| format!("error: {error}")).collect();
    problems.extend(seen.loaded.iter().map(|address| format!("it loads {address}")));
    if seen.width != width {
        problems.push(format!("the window is {} px wide", seen.width));
    }

    if seen.page_width > width {
        problems.push(format!("the page is {} px wide", seen.page_width));
    }

    problems
        .extend(seen.too_wide.iter().map(|element| format!("{element} is wider than the window")));
    problems.extend(figure_problems(seen, report));
    problems
}

fn figure_problems(seen: &Seen, report: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let expected = report["figures"].as_array().map_or(&[][..], Vec::as_slice);
    if expected.is_empty() || expected.len() != seen.figures.len() {
        problems.push(format!(
            "{} figures for {} in report.json",
            seen.figures.len(),
            expected.len()
        ));
    }

    for row in expected {
        let name = row["name"].as_str().unwrap_or_default();
        match seen.figures.iter().find(|figure| figure.name == name) {
            Some(figure) => problems.extend(about(figure, &Marks::of(&row["marks"]))),
            None => problems.push(format!("figure {name} is missing")),
        }
    }

    problems
}

fn about(figure: &SeenFigure, expected: &Marks) -> Vec<String> {
    let SeenFigure { name, marks, size: [width, height], least_letters_px } = figure;
    let mut problems = Vec::new();
    if marks != expected {
        problems.push(format!("figure {name} has {marks:?} for {expected:?} in report.json"));
    }

    if width.min(*height) < LEAST_FIGURE_PX {
        problems.push(format!("figure {name} is {width:.0} × {height:.0} px"));
    }

    if *least_letters_px < LEAST_LETTERS_PX {
        problems.push(format!("figure {name} has letters of {least_letters_px:.1} px"));
    }

    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen(change: impl Fn(&mut Value)) -> Seen {
        let mut value = json!({
            "errors": [], "loaded": [], "width": 390, "page_width": 390, "page_height": 4000.5, "too_wide": [],
            "figures": [{"name": "a", "lines": [3, 2], "bands": [6], "dots": 1, "width": 360, "height": 220,
                         "least_letters_px": 8.2}]
        });
        change(&mut value);
        Seen::read(&format!("<body><pre id=\"seen\">{value}</pre></body>")).unwrap()
    }

    fn found(change: impl Fn(&mut Value)) -> Vec<String> {
        let report = json!({"figures": [{"name": "a", "marks": {"lines": [2, 3], "bands": [6], "dots": 1}}]});
        problems(&seen(change), &report, 390)
    }

    #[test]
    fn a_page_as_it_should_be_has_no_problem() {
        assert_eq!(found(|_| ()), Vec::<String>::new());
        let seen = seen(|_| ());
        assert_eq!((seen.page_height, seen.marks()), (4001, 4));
    }

    #[test]
    fn each_problem_is_named() {
        let one = |change: fn(&mut Value), text: &str| {
            let problems = found(change);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(text), "{problems:?}");
        };

        one(|page| page["errors"] = json!(["boom"]), "error: boom");
        one(|page| page["loaded"] = json!(["file:///x.png"]), "it loads file:///x.png");
        one(|page| page["width"] = json!(500), "500 px wide");
        one(|page| page["page_width"] = json!(391), "391 px wide");
        one(|page| page["too_wide"] = json!(["TABLE"]), "TABLE is wider");
        one(|page| page["figures"][0]["lines"] = json!([3]), "figure a has Marks");
        one(|page| page["figures"][0]["dots"] = json!(0), "figure a has Marks");
        one(|page| page["figures"][0]["height"] = json!(0), "360 × 0 px");
        one(|page| page["figures"][0]["least_letters_px"] = json!(5.0), "letters of 5.0 px");
        one(|page| page["figures"][0]["name"] = json!("b"), "figure a is missing");
        let none = found(|page| page["figures"] = json!([]));
        assert_eq!(none, ["0 figures for 1 in report.json", "figure a is missing"]);
    }

    #[test]
    fn a_script_that_did_not_end_is_an_error() {
        assert!(
            Seen::read("<pre id=\"seen\"></pre>")
                .unwrap_err()
                .to_string()
                .contains("did not run to its end")
        );
    }
}
