// Runs in a copy of the page inside a frame as wide as a screen, after a script that sets `report`
// to the contents of report.json. Hands what is wrong to the page around it.
"use strict";
const LEAST_LETTERS_PX = 7;
const LEAST_FIGURE_PX = 80;
const problems = [];
addEventListener("error", event => problems.push(`error: ${event.message || "a resource did not load"}`), true);
addEventListener("securitypolicyviolation", event => problems.push(`error: ${event.violatedDirective} ${event.blockedURI}`));

// Points of each line and band, in order of size, and the number of dots, as report.json has them.
function marksOf(svg) {
  const data = [...svg.querySelectorAll("g[clip-path]")];
  const all = name => data.flatMap(group => [...group.querySelectorAll(name)]);
  const sizes = shapes => shapes.map(shape => shape.points.numberOfItems).sort((a, b) => a - b);
  const isBand = shape => shape.hasAttribute("fill-opacity");
  return {
    lines: sizes(all("polyline")),
    bands: sizes(all("polygon").filter(isBand)),
    dots: all("circle").length + all("polygon").filter(shape => !isBand(shape)).length,
  };
}

function checkFigure({ name, marks }) {
  const figure = document.getElementById(name);
  if (!figure) return problems.push(`figure ${name} is missing`);
  const svg = figure.querySelector("svg");
  const sorted = sizes => [...sizes].sort((a, b) => a - b);
  const [seen, expected] = [marksOf(svg), { lines: sorted(marks.lines), bands: sorted(marks.bands), dots: marks.dots }]
    .map(part => JSON.stringify(part));
  if (seen !== expected) problems.push(`figure ${name} has ${seen}, report.json ${expected}`);
  const { width, height } = svg.getBoundingClientRect();
  if (Math.min(width, height) < LEAST_FIGURE_PX) problems.push(`figure ${name} is ${width} × ${height} px`);
  const scale = width / svg.viewBox.baseVal.width;
  const letters = [...svg.querySelectorAll("text")].map(text => parseFloat(text.getAttribute("font-size")) * scale);
  const least = Math.min(...letters);
  if (least < LEAST_LETTERS_PX) problems.push(`figure ${name} has letters of ${least.toFixed(1)} px`);
}

// Whatever scrolls by itself may be wider than the page.
function checkWidths() {
  const page = document.documentElement.scrollWidth;
  if (page > innerWidth) problems.push(`the page is ${page} px wide`);
  const inside = element => element.closest(".scroll, pre");
  [...document.body.querySelectorAll("*")]
    .filter(element => !inside(element) || element.matches(".scroll, pre"))
    .filter(element => !element.closest("svg") || element.matches("svg"))
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .slice(0, 5)
    .forEach(element => problems.push(`${element.tagName}${element.id && "#" + element.id} is wider than the window`));
}

addEventListener("load", () => {
  performance.getEntriesByType("resource").forEach(entry => problems.push(`it loads ${entry.name}`));
  const figures = document.querySelectorAll("figure").length;
  if (figures === 0 || figures !== report.figures.length) {
    problems.push(`${figures} figures for ${report.figures.length} in report.json`);
  }
  report.figures.forEach(checkFigure);
  checkWidths();
  const seen = { width: innerWidth, height: document.documentElement.scrollHeight, figures, problems };
  parent.postMessage(JSON.stringify(seen).replace(/[<>&]/g, "?"), "*");
});
