"""The look of reports in notebooks and browsers: light and dark, on wide screens and on phones."""

from __future__ import annotations

import html

_STYLE = """<style>
.skfusiondp-report {color-scheme: light dark; --text: #1c2733; --ground: #fff; --line: #d5dde5;
  --good: #0b6e99; --bad: #b3261e; --warn: #d08700; font: 14px/1.5 system-ui, sans-serif; max-width: 46rem;
  box-sizing: border-box; overflow-x: auto; overflow-wrap: anywhere;
  color: var(--text); background: var(--ground); border: 1px solid var(--line); border-radius: 8px;
  padding: 1rem 1.25rem}
@media (prefers-color-scheme: dark) {.skfusiondp-report {--text: #e3e8ee; --ground: #1b2229; --line: #3b4651;
  --good: #6cc4ea; --bad: #f2a19b; --warn: #e0a030}}
.skfusiondp-report p {margin: .6rem 0}
.skfusiondp-report h3 {margin: .8rem 0 .2rem; font-size: 15px}
.skfusiondp-report .eps {font-size: 30px; font-weight: 600}
.skfusiondp-report .good {color: var(--good)}
.skfusiondp-report .bad {color: var(--bad)}
.skfusiondp-report table {border-collapse: collapse; color: inherit}
.skfusiondp-report th, .skfusiondp-report td {text-align: left; vertical-align: top; padding: 2px 1rem 2px 0;
  background: none}
.skfusiondp-report th {font-weight: 500; overflow-wrap: normal}
.skfusiondp-report .wide td {overflow-wrap: break-word}
.skfusiondp-report td {font-variant-numeric: tabular-nums}
.skfusiondp-report .warn {border-left: 4px solid var(--warn); padding-left: .8rem}
.skfusiondp-report ul {margin: .2rem 0; padding-left: 1.2rem}
@media (max-width: 34rem) {
  .skfusiondp-report .wide thead {display: none}
  .skfusiondp-report .wide tr {display: block; border-top: 1px solid var(--line); padding: .4rem 0}
  .skfusiondp-report .wide th, .skfusiondp-report .wide td {display: block}}
</style>"""


def card(body: str) -> str:
    """A self-contained HTML fragment that shows `body`, which is HTML, as a report."""
    return f'<div class="skfusiondp-report">\n{_STYLE}\n{body}\n</div>'


def page(title: str, body: str) -> str:
    """A whole HTML page."""
    head = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
    )
    head += f"<title>{html.escape(title)}</title>"
    return f"<!doctype html><html lang='en'><head>{head}</head><body>{body}</body></html>\n"
