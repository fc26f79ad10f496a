// Draws the figures of a page one after the other, those that are in sight first, and serves its controls.
const figures = new Map();
const root = document.documentElement;
const touch = window.matchMedia("(pointer: coarse)").matches;

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

async function draw(block) {
  if (block.dataset.state) return;
  block.dataset.state = "drawing";
  const numbers = block.querySelector(":scope > script");
  const text = numbers.textContent;
  const item = numbers.type === "application/gzip" ? await unpacked(text) : JSON.parse(text);
  numbers.remove();
  const target = block.querySelector(".panels");
  const views = await Bokeh.embed.embed_item(item, target);
  const figure = { block, root: views.roots[0].model };
  figure.models = [...figure.root.references()];
  figure.plots = figure.models.filter((model) => model.renderers !== undefined && model.x_range !== undefined);
  figures.set(block.id, figure);
  prepare(figure);
  restyle(figure);
  rescale(figure);
  block.dataset.state = "drawn";
}

// with a mouse a drag pans; a finger scrolls the page unless a tool of the figure is chosen
function prepare(figure) {
  for (const tool of figure.models) {
    if (tool.name === "band of a curve" && tool.callback) showBands(tool);
  }
  for (const legend of figure.models) {
    if (legend.type !== "Legend" || legend.orientation !== "horizontal" || figure.block.clientWidth > 480) continue;
    legend.setv({ orientation: "vertical", ncols: 2 });
  }
  for (const plot of figure.plots) {
    if (touch || !plot.toolbar) continue;
    const pan = plot.toolbar.tools.find((tool) => tool.type === "PanTool");
    if (pan) pan.active = true;
  }
}

// The band that shows while the pointer is on a curve. The policy of the page allows no code out of a model, so that the
// callback is replaced by one of this script.
function showBands(tool) {
  const { lines, band } = tool.callback.args instanceof Map ? Object.fromEntries(tool.callback.args) : tool.callback.args;
  tool.callback = null;
  let shown = null;
  for (const line of lines) {
    const source = line.data_source;
    source.inspect.connect(() => {
      const under = source.inspected.line_indices.length > 0;
      if (under ? shown === line : shown !== line) return;
      const data = columns(source);
      if (under) band.glyph.fill_color = line.glyph.line_color;
      band.data_source.data = under
        ? { x: data[line.glyph.x.field], lower: data.lower, upper: data.upper } : { x: [], lower: [], upper: [] };
      shown = under ? line : null;
    });
  }
}

// one at a time, so that the page stays responsive
let queue = Promise.resolve();
function request(blocks) {
  for (const block of blocks) {
    queue = queue.then(() => draw(block)).then(() => new Promise((next) => requestAnimationFrame(next)));
  }
  return queue;
}

function idle() {
  return Bokeh.documents.every((one) => one.is_idle);
}

async function settled() {
  for (let left = 400; left > 0 && !idle(); left -= 1) await new Promise((next) => setTimeout(next, 10));
}

async function start() {
  const hidden = new Set(document.querySelectorAll("details.more .card"));
  const blocks = [...document.querySelectorAll(".card")].filter((block) => !hidden.has(block));
  await request(blocks);
  await settled();
  // what a picture of the page is cut to
  document.body.dataset.width = Math.ceil(document.body.scrollWidth + 48);
  document.body.dataset.height = Math.ceil(document.documentElement.getBoundingClientRect().height + 48);
  document.body.dataset.time = Math.round(performance.now());
  document.body.dataset.drawn = blocks.length;
}

function unfold(element) {
  for (let outer = element; outer; outer = outer.parentElement) {
    if (outer.localName === "details") outer.open = true;
  }
}

for (const details of document.querySelectorAll("details.more")) {
  details.addEventListener("toggle", () => {
    if (details.open) request(details.querySelectorAll(".card"));
  });
}

// an address of a folded figure unfolds it
function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  unfold(target);
  target.scrollIntoView();
}
window.addEventListener("hashchange", follow);

const contents = document.querySelector(".side > details");
if (contents) {
  const wide = window.matchMedia("(min-width: 1100px)");
  const arrange = () => { contents.open = wide.matches; };
  wide.addEventListener("change", arrange);
  arrange();
  contents.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    if (!wide.matches) contents.open = false;
    // the same address again would change nothing
    if (link.hash === location.hash) follow();
  });
}

const entries = new Map([...document.querySelectorAll(".side > details > ol > li")].map((entry) => {
  return [entry.querySelector("a").hash.slice(1), entry];
}));
const sight = new IntersectionObserver((changes) => {
  for (const change of changes) {
    const entry = entries.get(change.target.id);
    if (entry) entry.classList.toggle("here", change.isIntersecting);
  }
}, { rootMargin: "-15% 0px -75% 0px" });
for (const section of document.querySelectorAll("main > section")) sight.observe(section);

function save(name, text) {
  const link = document.createElement("a");
  // the mark at the start tells spreadsheets that the text is Unicode
  link.href = URL.createObjectURL(new Blob(["\ufeff" + text], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function copy(button) {
  const text = document.getElementById(button.dataset.copy).textContent;
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch (refused) {
    // pages opened from a file may not write to the clipboard in some browsers, but may copy a selection
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = copied ? "copied" : "could not be copied: select the text instead";
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.copy) copy(button);
  if (button.dataset.figure) figureNumbers(button.dataset.figure);
  if (button.dataset.table) save(button.dataset.name, tableNumbers(button.dataset.table));
  if (button.dataset.column) sort(button);
});
