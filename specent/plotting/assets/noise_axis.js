// One noise axis for all figures of a page: log-SNR, noise level, its logarithm, time or step, as the reader chooses.
//
// Figures are drawn over log-SNR. Noise levels stand at the same positions under other names; times and steps move
// everything that has a position, through the table of the section's schedule. Generation runs to the right on all.
const TAG = "noise axis";
const SHOWN = " as shown";
const X_FIELDS = ["x", "x0", "x1", "xs", "left", "right"];
const noise = JSON.parse(document.getElementById("noise-axis").textContent);
const memory = new Map();

function interpolated(value, from, to) {
  const last = from.length - 1;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= value) low = middle; else high = middle;
  }
  // beyond the ends the outermost piece goes on
  return to[low] + (value - from[low]) * (to[high] - to[low]) / (from[high] - from[low]);
}

const same = (value) => value;
const level = { value: (u) => Math.exp(-u / 2), inverse: (v) => -2 * Math.log(v), ticks: decades, moved: false };
const SCALES = {
  log_snr: () => ({ value: same, inverse: same, ticks: rounded, moved: false }),
  sigma: () => level,
  log_sigma: () => ({ value: (u) => -u / 2, inverse: (v) => -2 * v, ticks: rounded, moved: false }),
  time: (table) => {
    if (!table || !table.time) return null;
    if (table.time_is_noise_level) return level;
    const backwards = [table.time.slice().reverse(), table.log_snr.slice().reverse()];
    return {
      value: (u) => interpolated(u, table.log_snr, table.time),
      inverse: (v) => interpolated(v, ...backwards), ticks: rounded, moved: true,
    };
  },
  step: (table) => {
    if (!table || !table.steps) return null;
    const numbers = table.steps.map((_, index) => index);
    return {
      value: (u) => interpolated(u, table.steps, numbers),
      inverse: (v) => interpolated(v, numbers, table.steps), ticks: whole, moved: true,
    };
  },
};

// multiples of 1, 2 or 5 times a power of ten between two numbers, at most `most`
function rounded(first, last, most) {
  const [low, high] = [Math.min(first, last), Math.max(first, last)];
  let step = 10 ** Math.floor(Math.log10((high - low) / most || 1));
  step *= [1, 2, 5, 10].find((factor) => (high - low) / (factor * step) <= most);
  const ticks = [];
  for (let count = Math.ceil(low / step - 1e-9); count * step <= high + 1e-9 * step; count += 1) ticks.push(count * step);
  return ticks;
}

function whole(first, last, most) {
  return rounded(first, last, most).filter((value) => Math.abs(value - Math.round(value)) < 1e-6);
}

// decades, or 1 and 3, or 1, 2 and 5 times them; over less than one decade as on an even scale
function decades(first, last, most) {
  const [low, high] = [Math.log10(Math.min(first, last)), Math.log10(Math.max(first, last))];
  if (high - low < 0.7) return rounded(first, last, most);
  const digits = [[1, 2, 5], [1, 3], [1]].find((some) => some.length * (high - low) <= most + 1) ?? [1];
  const every = Math.max(1, Math.ceil((high - low) / most));
  const ticks = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power += 1) {
    if (digits.length === 1 && power % every) continue;
    for (const digit of digits) ticks.push(digit * 10 ** power);
  }
  return ticks.filter((value) => Math.log10(value) >= low - 1e-9 && Math.log10(value) <= high + 1e-9);
}

function written(value) {
  if (!Number.isFinite(value)) return "–";
  const text = Number(value.toPrecision(4));
  return (Math.abs(text) >= 1e5 || (text && Math.abs(text) < 1e-4)) ? text.toExponential() : String(text);
}

function tickText(value) {
  return written(Number(value.toPrecision(10))).replace("-", "−");
}

function columns(source) {
  return source.data instanceof Map ? Object.fromEntries(source.data) : { ...source.data };
}

function field(glyph, name) {
  const spec = glyph[name];
  return spec && typeof spec === "object" ? spec.field : undefined;
}

// what a figure looks like over log-SNR, read once
function survey(figure) {
  const axes = figure.plots.filter((plot) => plot.tags.includes(TAG));
  const pictures = axes.some((plot) => plot.renderers.some((one) => one.glyph && /^Image/.test(one.glyph.type)));
  const sources = new Map();
  for (const plot of axes) {
    const named = plot.tags[plot.tags.indexOf(TAG) + 2] ?? [];
    for (const { glyph, data_source: source, name } of plot.renderers) {
      // the band under the pointer takes its numbers from its curve
      if (!source || !glyph || /^Image/.test(glyph.type) || name === "band under pointer") continue;
      const known = sources.get(source) ?? { x: new Set(), named: new Set() };
      for (const one of X_FIELDS) if (field(glyph, one)) known.x.add(field(glyph, one));
      for (const one of [].concat(named)) if (one in columns(source)) known.named.add(one);
      sources.set(source, known);
    }
  }
  for (const [source, known] of sources) {
    const data = columns(source);
    memory.set(source, Object.fromEntries([...known.x, ...known.named].map((name) => [name, data[name]])));
  }
  const hovers = figure.models.filter((model) => model.type === "HoverTool" && Array.isArray(model.tooltips));
  return {
    axes, sources, pictures, ranges: new Set(axes.map((plot) => plot.x_range)), scale: SCALES.log_snr(),
    tips: new Map(hovers.map((hover) => [hover, hover.tooltips])),
    spans: new Map(figure.models.filter((model) => model.type === "Span" && model.dimension === "height")
      .map((span) => [span, span.location])),
    boxes: new Map(figure.models.filter((model) => model.type === "BoxAnnotation")
      .map((box) => [box, [box.left, box.right]])),
  };
}

function mapped(values, change) {
  return Array.from(values, (value) => typeof value === "number" ? change(value) : mapped(value, change));
}

function moveSources(noiseAxis, scale) {
  for (const [source, known] of noiseAxis.sources) {
    const data = columns(source);
    for (const [name, values] of Object.entries(memory.get(source))) {
      if (known.x.has(name)) data[name] = scale.moved && !noiseAxis.pictures ? mapped(values, scale.value) : values;
      // thousands of positions have no hover, and corners of bands are not read off
      if (typeof values[0] === "number") data[name + SHOWN] = Array.from(values, (u) => written(scale.value(u)));
    }
    source.data = data;
  }
  const change = scale.moved && !noiseAxis.pictures ? scale.value : same;
  const numeric = (value) => typeof value === "number" ? change(value) : value;
  for (const [span, location] of noiseAxis.spans) span.location = numeric(location);
  for (const [box, [left, right]] of noiseAxis.boxes) {
    box.left = numeric(left);
    box.right = numeric(right);
  }
}

function quoted(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

const AXIS_WORDS = new Set(["log_snr", "log-SNR", "sigma", "log_sigma", "time"]);
function renameTips(noiseAxis, name, scale) {
  const names = new Set([...noiseAxis.sources.values()].flatMap((known) => [...known.x, ...known.named]));
  for (const [hover, rows] of noiseAxis.tips) {
    hover.tooltips = rows.map(([label, value]) => {
      let text = value;
      for (const column of names) {
        text = text.replaceAll(new RegExp(`@(\\{${quoted(column)}\\}|${quoted(column)}\\b)(\\{[^}]*\\})?`, "g"), `@{${column}${SHOWN}}`);
      }
      return [AXIS_WORDS.has(label) && text !== value ? noise.names[name] : label, text];
    });
  }
}

function position(noiseAxis, scale) {
  return scale.moved && !noiseAxis.pictures ? scale.value : same;
}

function ticksOf(scale, ends, toAxis, width, left, right) {
  const values = scale.ticks(scale.value(ends[0]), scale.value(ends[1]), Math.max(2, Math.floor(width / 62)));
  const found = [];
  let before = -Infinity;
  for (const value of values.sort((a, b) => scale.inverse(a) - scale.inverse(b))) {
    const at = toAxis(scale.inverse(value));
    const pixel = (at - left) / (right - left) * width;
    // on an uneven scale some would stand too close
    if (pixel - before < 30 || pixel < -1 || pixel > width + 1) continue;
    found.push([at, tickText(value)]);
    before = pixel;
  }
  return found;
}

function mark(axis, ticks, label) {
  axis.ticker.ticks = ticks.map(([at]) => at);
  axis.major_label_overrides = new Map(ticks);
  if (label !== undefined) axis.axis_label = label;
}

function drawTicks(figure, relabel) {
  const noiseAxis = figure.noise;
  const { scale, name } = noiseAxis;
  const toAxis = position(noiseAxis, scale);
  const back = toAxis === same ? same : scale.inverse;
  const [other, otherName] = scale === level ? [SCALES.log_snr(), "log_snr"] : [level, "sigma"];
  for (const plot of noiseAxis.axes) {
    const { start, end } = plot.x_range;
    const width = plot.inner_width || 400;
    const ends = [back(start), back(end)];
    for (const axis of plot.below.filter((one) => /Axis$/.test(one.type))) {
      fix(axis);
      mark(axis, ticksOf(scale, ends, toAxis, width, start, end), relabel && axis.axis_label ? noise.labels[name] : undefined);
    }
    for (const axis of plot.above.filter((one) => one.name === "second scale")) {
      mark(axis, ticksOf(other, ends, toAxis, width, start, end), relabel ? noise.labels[otherName].split("  (")[0] : undefined);
    }
  }
}

function fix(axis) {
  if (axis.ticker.type === "FixedTicker") return;
  const Ticker = Bokeh.Models.get("FixedTicker");
  const ticker = new Ticker({ ticks: [] });
  axis.ticker = ticker;
}

function rescale(figure) {
  figure.noise ??= survey(figure);
  const noiseAxis = figure.noise;
  if (!noiseAxis.axes.length) return;
  const table = noise.tables[figure.block.dataset.section];
  const name = SCALES[noise.scale](table) ? noise.scale : "log_snr";
  const scale = SCALES[name](table);
  const back = position(noiseAxis, noiseAxis.scale) === same ? same : noiseAxis.scale.inverse;
  const toAxis = position(noiseAxis, scale);
  moveSources(noiseAxis, scale);
  renameTips(noiseAxis, name, scale);
  for (const range of noiseAxis.ranges) {
    const [start, end] = [toAxis(back(range.start)), toAxis(back(range.end))];
    const resets = [range.reset_start, range.reset_end].map((end_) => typeof end_ === "number" ? toAxis(back(end_)) : end_);
    range.setv({ start, end, reset_start: resets[0], reset_end: resets[1] });
  }
  Object.assign(noiseAxis, { scale, name });
  drawTicks(figure, true);
  follows(figure);
}

// ticks are chosen again where a figure is zoomed, dragged or becomes narrower
function follows(figure) {
  if (figure.noise.followed) return;
  figure.noise.followed = true;
  let waiting = false;
  const again = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawTicks(figure, false); });
  };
  for (const range of figure.noise.ranges) range.change.connect(again);
  for (const plot of figure.noise.axes) plot.properties.inner_width.change.connect(again);
}

const choices = document.querySelector(".switch");
if (choices) {
  choices.addEventListener("change", (event) => {
    noise.scale = event.target.value;
    document.body.dataset.scale = noise.scale;
    for (const figure of figures.values()) rescale(figure);
  });
  // a page that is loaded again keeps the choice of the reader in some browsers
  const chosen = choices.querySelector("input:checked");
  if (chosen) noise.scale = chosen.value;
}
document.body.dataset.scale = noise.scale;
