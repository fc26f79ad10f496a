// Light and dark, for the page and for its figures.
const INK = { light: "#1d2433", dark: "#e4e8f0" };
const GRID = { light: "#e3e7ee", dark: "#2a3140" };
const CARD = { light: "#ffffff", dark: "#171c26" };
const colours = new WeakMap();

function theme() {
  return root.dataset.theme === "dark" ? "dark" : "light";
}

// colours of lines and words that are made for a white ground, on a dark one
function readable(colour, dark) {
  if (!dark || typeof colour !== "string") return colour;
  const known = { black: "#000000", white: "#ffffff", grey: "#808080", gray: "#808080" };
  const text = known[colour] ?? colour;
  if (!/^#[0-9a-f]{6}$/i.test(text)) return colour;
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  if (Math.max(r, g, b) - Math.min(r, g, b) > 24) return lighter(r, g, b);
  const mirrored = Math.round(255 - 0.85 * (r + g + b) / 3);
  return "#" + mirrored.toString(16).padStart(2, "0").repeat(3);
}

// a hue that is too dark to be seen is mixed with white
function lighter(r, g, b) {
  const brightness = 0.299 * r + 0.587 * g + 0.114 * b;
  const share = Math.max(0, (115 - brightness) / 255);
  return "#" + [r, g, b].map((part) => {
    return Math.round(part + share * (255 - part)).toString(16).padStart(2, "0");
  }).join("");
}

function remember(model, name) {
  if (!colours.has(model)) colours.set(model, {});
  const known = colours.get(model);
  if (!(name in known)) known[name] = model[name];
  return known[name];
}

function paint(model, names, dark, change) {
  for (const name of names) {
    if (!(name in model.properties)) continue;
    const first = remember(model, name);
    model[name] = dark ? change(first) : first;
  }
}

function repaint(first) {
  // a colour of its own, or the same for every mark
  if (typeof first === "string") return readable(first, true);
  if (first && typeof first.value === "string") return { ...first, value: readable(first.value, true) };
  return first;
}

function restyle(figure) {
  const mode = theme();
  const dark = mode === "dark";
  for (const model of figure.models) {
    const ink = () => INK[mode];
    if (figure.plots.includes(model)) {
      paint(model, ["background_fill_color", "border_fill_color"], dark, () => CARD[mode]);
      paint(model, ["outline_line_color"], dark, () => GRID[mode]);
    } else if (/Axis$/.test(model.type)) {
      paint(model, ["axis_label_text_color", "major_label_text_color"], dark, ink);
      paint(model, ["axis_line_color", "major_tick_line_color", "minor_tick_line_color"], dark, (first) => first && INK[mode]);
    } else if (model.type === "Grid") {
      paint(model, ["grid_line_color"], dark, (first) => first && GRID[mode]);
    } else if (model.type === "Legend" || model.type === "ColorBar") {
      paint(model, ["label_text_color", "title_text_color", "major_label_text_color"], dark, ink);
      paint(model, ["background_fill_color"], dark, () => CARD[mode]);
      paint(model, ["border_line_color"], dark, (first) => first && GRID[mode]);
    } else if (model.type === "Title" || model.type === "Label") {
      paint(model, ["text_color"], dark, ink);
    } else if (model.type === "Span" || model.type === "BoxAnnotation") {
      paint(model, ["line_color", "fill_color"], dark, repaint);
    }
    if (model.type === "GlyphRenderer") restyleGlyph(model, dark);
  }
}

function restyleGlyph(renderer, dark) {
  for (const name of ["glyph", "muted_glyph", "nonselection_glyph", "selection_glyph", "hover_glyph"]) {
    const glyph = renderer[name];
    if (!glyph || !glyph.properties) continue;
    // words stand on the colour of the ground
    if (glyph.type === "Text") paint(glyph, ["background_fill_color"], dark, (first) => first && first.value && { value: CARD.dark });
    paint(glyph, ["line_color", "text_color"], dark, repaint);
    if (renderer.glyph.type !== "Quad" && renderer.glyph.type !== "Rect") paint(glyph, ["fill_color"], dark, repaint);
  }
}

const preferred = window.matchMedia("(prefers-color-scheme: dark)");
const lamp = document.querySelector("button.theme");
function shine(name) {
  root.dataset.theme = name;
  if (lamp) lamp.setAttribute("aria-pressed", String(name === "dark"));
  for (const figure of figures.values()) restyle(figure);
}
if (lamp) {
  preferred.addEventListener("change", () => shine(preferred.matches ? "dark" : "light"));
  lamp.addEventListener("click", () => shine(theme() === "dark" ? "light" : "dark"));
  shine(preferred.matches ? "dark" : "light");
}
