"""How the page is laid out: landmarks, columns that become one on a phone, and colours in light and dark."""

COLOURS = {
    "light": {
        "ground": "#ffffff", "paper": "#ffffff", "ink": "#1c1f23", "faint": "#555b63", "lines": "#b9bfc7",
        "focus": "#1d5fd1", "alert": "#a8201a",
    },
    "dark": {
        "ground": "#16191d", "paper": "#1f242a", "ink": "#e8e8e8", "faint": "#aab2bc", "lines": "#414850",
        "focus": "#6aa5ff", "alert": "#ff8f86",
    },
}  # fmt: skip
"""Colours by the names that styles use."""


def custom_properties(theme: str) -> dict[str, str]:
    """The colours of a theme as properties of CSS, which the parts of an element inherit.

    Examples
    --------
    >>> custom_properties("dark")["--ink"]
    '#e8e8e8'
    """
    return {**{f"--{name}": colour for name, colour in COLOURS[theme].items()}, "color-scheme": theme}


def _rule(theme: str) -> str:
    return "; ".join(f"{name}: {value}" for name, value in custom_properties(theme).items())


WIDGETS = """
:host { color: var(--ink); font-size: 1rem; }
label, .bk-input-group > label, .bk-slider-title, .bk-input-group span { color: var(--ink); font-size: 0.95rem; }
.bk-input, select.bk-input, input.bk-input { color: var(--ink); background-color: var(--paper);
  border: 1px solid var(--lines); font-size: 1rem; min-height: 34px; }
.bk-input::placeholder { color: var(--faint); }
.bk-btn, a.bk-btn { color: var(--ink) !important; background: var(--paper) !important;
  border: 1px solid var(--lines) !important; font-size: 0.95rem; }
.bk-btn:hover { border-color: var(--focus) !important; }
.bk-input:focus-visible, .bk-btn:focus-visible, input:focus-visible, select:focus-visible, button:focus-visible,
a:focus-visible, .noUi-handle:focus-visible { outline: 3px solid var(--focus) !important; outline-offset: 2px; }
.bk-btn-group .bk-btn.bk-active { background: var(--focus); color: #ffffff; }
.noUi-handle { background: var(--focus); }
.noUi-target { background: var(--lines); border-color: var(--lines); }
"""
"""Style of every widget: the colours of the page, and a focus that can be seen."""

TEXTS = """
:host { color: var(--ink); font-size: 1rem; }
.alert { color: var(--alert); font-weight: 600; overflow-wrap: anywhere; }
.status { color: var(--faint); overflow-wrap: anywhere; margin: 2px 0; }
.note { color: var(--faint); font-size: 0.95rem; overflow-wrap: anywhere; margin: 4px 0; }
.title { margin: 0; overflow-wrap: anywhere; }
.busy::before { content: ''; display: inline-block; width: 0.8em; height: 0.8em; margin-right: 0.5em;
  border: 2px solid var(--lines); border-top-color: var(--focus); border-radius: 50%;
  animation: turn 1s linear infinite; }
@keyframes turn { to { transform: rotate(360deg); } }
@media (prefers-reduced-motion: reduce) { .busy::before { animation: none; } }
h2, h3 { font-size: 1.1rem; margin: 8px 0 2px; font-weight: 600; overflow-wrap: anywhere; }
pre { background: var(--paper); color: var(--ink); border: 1px solid var(--lines); padding: 8px; overflow-x: auto;
  font-size: 0.9rem; }
summary { cursor: pointer; }
summary:focus-visible { outline: 3px solid var(--focus); }
"""
"""Style of what is written on the page."""

_TEMPLATE = """
{% extends base %}
{% block preamble %}
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { LIGHT }
:root[data-theme="dark"] { DARK }
html, body { background: var(--ground); color: var(--ink); margin: 0; }
body { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; line-height: 1.4; }
.skip { position: absolute; left: -9999px; }
.skip:focus { left: 8px; top: 8px; background: var(--ground); padding: 6px; z-index: 9; }
header { padding: 10px 16px; border-bottom: 1px solid var(--lines); }
h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: minmax(16rem, 21rem) minmax(0, 1fr); gap: 16px; padding: 12px 16px; }
aside { position: sticky; top: 0; align-self: start; max-height: 100vh; overflow-y: auto; padding: 0 4px 4px; }
main { min-width: 0; }
section { display: flex; flex-wrap: wrap; gap: 12px; min-width: 0; overflow-x: auto; }
@media (max-width: 56rem) {
  .columns { grid-template-columns: minmax(0, 1fr); }
  aside { position: static; max-height: none; }
}
</style>
{% endblock %}
{% block contents %}
<a class="skip" href="#figures">Skip to the figures</a>
<header><h1>{{ heading | e }}</h1>{{ embed(roots.status_0) }}</header>
<div class="columns">
<aside aria-label="Choices">{{ embed(roots.choices_0) }}</aside>
<main id="figures" tabindex="-1">
{% for text, names in sections.items() %}
<section aria-label="{{ text | e }}">{% for name in names %}{{ embed(roots[name]) }}{% endfor %}</section>
{% endfor %}
</main>
</div>
{{ embed(roots.location) }}
{% endblock %}
"""

TEMPLATE = _TEMPLATE.replace("LIGHT", _rule("light")).replace("DARK", _rule("dark"))
"""The page of the application."""
