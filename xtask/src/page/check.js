// Run in a copy of the page inside a frame as wide as a screen; hands what it saw to the page around it.
"use strict";
const errors = [];
addEventListener("error", event => errors.push(String(event.message || "a resource did not load")), true);
addEventListener("securitypolicyviolation", event => errors.push(`${event.violatedDirective} ${event.blockedURI}`));

function seenOf(figure) {
  const svg = figure.querySelector("svg");
  const data = [...svg.querySelectorAll("g[clip-path]")];
  const all = name => data.flatMap(group => [...group.querySelectorAll(name)]);
  const points = shape => shape.points.numberOfItems;
  const box = svg.getBoundingClientRect();
  const scale = box.width / svg.viewBox.baseVal.width;
  const letters = [...svg.querySelectorAll("text")].map(text => parseFloat(text.getAttribute("font-size")) * scale);
  return {
    name: figure.id,
    lines: all("polyline").map(points),
    bands: all("polygon").filter(shape => shape.hasAttribute("fill-opacity")).map(points),
    dots: all("circle").length + all("polygon").filter(shape => !shape.hasAttribute("fill-opacity")).length,
    width: box.width,
    height: box.height,
    least_letters_px: Math.min(...letters),
  };
}

// Whatever scrolls by itself may be wider than the page.
function tooWide() {
  const inside = element => element.closest(".scroll, pre");
  const wide = [...document.body.querySelectorAll("*")]
    .filter(element => !inside(element) || element.matches(".scroll, pre"))
    .filter(element => !element.closest("svg") || element.matches("svg"))
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1);
  return wide.slice(0, 5).map(element => element.tagName + (element.id ? "#" + element.id : ""));
}

addEventListener("load", () => {
  const seen = {
    errors,
    loaded: performance.getEntriesByType("resource").map(entry => entry.name),
    width: innerWidth,
    page_width: document.documentElement.scrollWidth,
    page_height: document.documentElement.scrollHeight,
    too_wide: tooWide(),
    figures: [...document.querySelectorAll("figure")].map(seenOf),
  };
  parent.postMessage(JSON.stringify(seen).replace(/[<>&]/g, "?"), "*");
});
