// Numbers of tables and figures: sorted in place, and written as CSV.

// a spreadsheet would run text that begins like a formula
function cell(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "";
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
  return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
}

function csv(head, rows) {
  return [head, ...rows].map((row) => row.map(cell).join(",") + "\r\n").join("");
}

function tableNumbers(id) {
  const { columns, rows } = JSON.parse(document.getElementById(id).textContent);
  return csv(columns, rows);
}

function sort(button) {
  const head = button.closest("th");
  const table = button.closest("table");
  const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of head.parentElement.children) {
    if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  }
  head.setAttribute("aria-sort", direction);
  const column = [...head.parentElement.children].indexOf(head);
  const sign = direction === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const words = new Intl.Collator("en", { numeric: true });
  const key = (row) => row.cells[column].dataset.value;
  const order = (first, second) => {
    const [a, b] = [key(first), key(second)];
    // rows without a value stay at the end
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (head.classList.contains("text") ? words.compare(a, b) : Number(a) - Number(b));
  };
  body.append(...[...body.rows].sort(order));
}

function plain(values) {
  const kinds = new Set([...values].map((value) => typeof value));
  return [...kinds].every((kind) => kind === "number" || kind === "string");
}

// the marks of a figure with the columns that belong to them; bands and pictures repeat them or are no numbers
function figureNumbers(id) {
  const figure = figures.get(id);
  const skipped = new Set(["Patch", "VArea", "Text", "Image", "ImageRGBA"]);
  const tables = [];
  const seen = new Set();
  for (const plot of figure.plots) {
    for (const renderer of plot.renderers) {
      const source = renderer.data_source;
      if (!source || seen.has(source) || skipped.has(renderer.glyph.type)) continue;
      if (/^legend of/.test(renderer.name)) continue;
      seen.add(source);
      const data = { ...columns(source), ...(memory.get(source) ?? {}) };
      const names = Object.keys(data).filter((name) => !name.endsWith(SHOWN) && plain(data[name]));
      if (names.length) tables.push({ mark: renderer.glyph.type.toLowerCase(), data, names });
    }
  }
  const head = [...new Set(tables.flatMap((table) => table.names))];
  const rows = tables.flatMap(({ mark, data, names }) =>
    [...data[names[0]]].map((_, row) => [mark, ...head.map((name) => data[name] && data[name][row])]));
  save(`${figure.block.id}.csv`, csv(["mark", ...head], rows));
}
