"""The style sheet of the page."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #f6f5f1; --sheet: #fffefb; --ink: #23262b; --quiet: #666a70; --line: #e3e1d9;
  --good: #2f6f8f; --bad: #c2512f; --other: #8a8577; --room: rgb(47 111 143 / .08);
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15181b; --sheet: #1c2024; --ink: #e7e5df; --quiet: #9a9fa6; --line: #30363c;
    --good: #6fb1d0; --bad: #ec8a63; --other: #9c978a; --room: rgb(111 177 208 / .12);
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.25rem 3rem; }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; letter-spacing: -.01em; }
h2 { margin: 0 0 .75rem; font-size: 1.05rem; }
header p, footer, .note { margin: .35rem 0 0; color: var(--quiet); overflow-wrap: anywhere; }
footer { margin-top: 2rem; font-size: .85rem; }
footer p { margin: .2rem 0; }
section { margin-top: 1.25rem; padding: 1.25rem; background: var(--sheet); border: 1px solid var(--line);
  border-radius: .6rem; }
section.troubles { border-color: var(--bad); border-left-width: .3rem; }

.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: 1px; margin: 1.5rem 0 0;
  background: var(--sheet); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }
.figures div { display: flex; flex-direction: column; padding: .8rem 1rem; box-shadow: 1px 1px var(--line); }
.figures dd { margin: 0; font-size: 1.4rem; font-weight: 600; line-height: 1.25; font-variant-numeric: tabular-nums; }
.figures dt { color: var(--quiet); font-size: .82rem; }

figure { margin: 0 0 1.25rem; }
figcaption { color: var(--quiet); font-size: .85rem; }
figcaption b { color: var(--ink); }
.legend { float: right; }
.legend i { display: inline-block; width: .7em; height: .7em; margin-left: .8em; border-radius: .15em; }
i.good { background: var(--good); }
i.bad { background: var(--bad); }
svg.chart { display: block; width: 100%; height: 192px; padding: 14px 0 28px 48px; overflow: visible; }
svg text { fill: var(--quiet); font-size: 11px; font-variant-numeric: tabular-nums; }
svg .value { text-anchor: end; }
svg .time { text-anchor: middle; }
svg line { stroke: var(--line); }
svg .base { stroke: var(--quiet); }
svg .good { fill: var(--good); }
svg .bad { fill: var(--bad); }
svg .other { fill: var(--other); }
svg .room { fill: transparent; }
.column:hover .room { fill: var(--room); }
summary { color: var(--quiet); cursor: pointer; font-size: .85rem; }
details[open] summary { margin-bottom: .75rem; }

.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-size: .88rem; }
th { color: var(--quiet); font-weight: 500; font-size: .8rem; }
th, td { padding: .34rem .9rem .34rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: baseline; }
tbody tr:last-child td { border-bottom: 0; }
.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.text { overflow-wrap: anywhere; min-width: 9.5rem; }
th:last-child, td:last-child { padding-right: 0; }
.bar { width: 30%; }
td.bar svg { display: block; width: 100%; height: .6rem; }

@media (max-width: 40rem) {
  main { padding: 1.5rem .75rem 2rem; }
  section { padding: 1rem .9rem; }
  th.bar, td.bar { display: none; }
}
@media print {
  :root { --paper: #fff; --sheet: #fff; --ink: #000; --quiet: #555; --line: #ccc; --good: #2f6f8f; --bad: #c2512f;
    --other: #8a8577; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  section { padding: .5rem 0; border-width: 0; }
  figure, tr, .figures { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""
