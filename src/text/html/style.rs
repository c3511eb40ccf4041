//! Style of all pages.

/// Style sheet: system fonts, one column, tables that scroll on their own.
pub(super) const CSS: &str = "
:root { color-scheme: light; --ink: #1d2227; --soft: #5a636c; --line: #dde1e5; --paper: #ffffff; --wash: #f6f7f8;
  --better: #00664a; --worse: #a33d00; --amber: #fff6e0; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1100px; padding: 1.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2.5rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p, ul { max-width: 50rem; margin: .5rem 0; }
ul { padding-left: 1.3rem; } li { margin: .25rem 0; }
.lead, .note, figcaption { color: var(--soft); }
.note, figcaption { font-size: .87rem; }
.headline { background: var(--wash); border-left: 4px solid #0072b2; padding: .7rem 1rem; margin: .8rem 0; }
.headline p { margin: .15rem 0; } .headline .count { font-size: 1.25rem; font-weight: 650; line-height: 1.35; }
.cautions { background: var(--amber); padding: .2rem 1.1rem .8rem; margin: 1.2rem 0; border: 1px solid #eddca6; }
.cautions h2 { border: 0; margin: .7rem 0 .2rem; padding: 0; font-size: 1.05rem; }
.cautions ul { max-width: none; font-size: .95rem; }
.scroll { overflow-x: auto; margin: .7rem 0;
  background: linear-gradient(to right, #fff 30%, transparent) 0 0 / 3rem 100% no-repeat local,
    linear-gradient(to left, #fff 30%, transparent) 100% 0 / 3rem 100% no-repeat local,
    linear-gradient(to right, #0003, transparent) 0 0 / .8rem 100% no-repeat scroll,
    linear-gradient(to left, #0003, transparent) 100% 0 / .8rem 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; min-width: 100%; }
th, td { text-align: left; padding: .4rem .9rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line); vertical-align: bottom; }
th { white-space: normal; overflow-wrap: break-word; max-width: 15rem; }
td.number, th.number { text-align: right; }
td.free { white-space: normal; min-width: 14rem; }
td small, th small { font-weight: 400; color: var(--soft); display: block; font-size: .82em; }
.better { color: var(--better); font-weight: 650; } .worse { color: var(--worse); font-weight: 650; }
.similar, .unknown { color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1.2rem; align-items: start; }
figure { margin: 0; min-width: 0; } figure svg { display: block; width: 100%; height: auto; max-width: 36rem; }
.files { white-space: nowrap; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, 'DejaVu Sans Mono', monospace; font-size: .86em; }
code.command { display: block; overflow-wrap: anywhere; margin-top: .15rem; }
pre { background: var(--wash); padding: .6rem .8rem; overflow-x: auto; margin: .4rem 0; }
details summary { cursor: pointer; margin: .4rem 0; }
a { color: #00558a; }
@media (max-width: 600px) { th, td { padding-right: .6rem; } table { font-size: .84rem; } body { padding: 1rem .9rem 3rem; } h1 { font-size: 1.45rem; } .headline .count { font-size: 1.1rem; } }
@media print { body { max-width: none; } figure, tr { break-inside: avoid; } details > * { display: block; } }
";
