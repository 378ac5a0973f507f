// Arrays of any rank by slices of their last two axes: expected, observed and their difference.

const NUMBERS = { nan: NaN, inf: Infinity, "-inf": -Infinity };
const real = value => typeof value === "string" ? NUMBERS[value] : typeof value === "boolean" ? Number(value) : value;
const AXES = ["N", "C", "D", "H", "W"];

function shown(value) {
  if (Array.isArray(value)) {
    const [re, im] = value.map(shown);
    return `${re}${String(im).startsWith("−") ? "" : "+"}${im}i`;
  }
  if (typeof value === "string") return value.replace("-", "−");
  if (typeof value === "boolean") return String(value);
  const text = Number.isInteger(value) && Math.abs(value) < 1e7 ? String(value) : String(Number(value.toPrecision(5)));
  return Object.is(value, -0) ? "−0" : text.replace("-", "−");
}

function minus(one, other) {
  if (Array.isArray(one) || Array.isArray(other)) {
    const [a, b] = [[one].flat(), [other].flat()].map(pair => [pair[0], pair[1] ?? 0].map(real));
    return [a[0] - b[0], a[1] - b[1]];
  }
  const [a, b] = [real(one), real(other)];
  if (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b))) return 0;
  return a === b ? 0 : a - b;
}

const size = value => Array.isArray(value) ? Math.hypot(...value.map(real)) : Math.abs(real(value));
const strides = shape => shape.map((_, at) => shape.slice(at + 1).reduce((a, b) => a * b, 1));
const axisNames = rank => rank >= 3 && rank <= 5 ? ["N", "C", ...AXES.slice(5 - (rank - 2))] : Array.from({ length: rank }, (_, at) => `axis ${at}`);

// expected, observed: {shape, dtype, data}; difference: the record's, with the worst element.
function heatmaps(expected, observed, difference) {
  const same = expected && observed && String(expected.shape) === String(observed.shape);
  const parts = [["Expected", expected], ["Observed", observed]].filter(([, values]) => values);
  if (!parts.length) return h("p", { class: "soft" }, "The arrays are too large to be kept in results.");
  if (same) {
    const data = observed.data.map((value, at) => minus(value, expected.data[at]));
    parts.push(["Observed − expected", { shape: expected.shape, dtype: observed.dtype, data, signed: true }]);
  }
  if (!same) return h("div", { class: "panels" }, parts.map(part => slices([part], null)));
  return slices(parts, difference?.worst ?? null);
}

// Arrays of one shape, of which the same slice is shown.
function slices(parts, worst) {
  const shape = parts[0][1].shape;
  const index = shape.slice(0, -2).map((_, at) => worst?.[at] ?? 0);
  const reading = h("p", { class: "reading", "aria-live": "polite" });
  const panels = h("div", { class: "panels" });
  const draw = () => panels.replaceChildren(...parts.map(([title, values]) =>
    heatPanel(title, values, index, worst, parts, reading, panels)));
  const pickers = index.map((_, axis) => shape[axis] < 2 ? null : slicePicker(axisNames(shape.length)[axis], shape[axis], index, axis, draw));
  draw();
  if (worst) tell(reading, parts, worst, true);
  return h("div", null, pickers.some(Boolean) ? h("div", { class: "slices" }, "Slice", pickers) : null, panels, reading);
}

function slicePicker(name, length, index, axis, draw) {
  const select = h("select", { onchange: () => { index[axis] = Number(select.value); draw(); } },
    Array.from({ length }, (_, at) => h("option", { value: at, selected: at === index[axis] }, String(at))));
  return h("label", null, `${name} `, select, ` of ${length}`);
}

function heatPanel(title, values, index, worst, parts, reading, panels) {
  const { shape, data } = values;
  const rank = shape.length;
  const [rows, columns] = [rank > 1 ? shape[rank - 2] : 1, rank ? shape[rank - 1] : 1];
  const steps = strides(shape);
  const base = index.reduce((sum, at, axis) => sum + at * steps[axis], 0);
  const finite = data.map(size).filter(Number.isFinite);
  const top = finite.reduce((a, b) => Math.max(a, b), 0) || 1;
  const body = h("tbody");
  for (let row = 0; row < rows && data.length; row++) {
    const line = h("tr");
    for (let column = 0; column < columns; column++) {
      const at = base + row * columns + column;
      const place = [...index, ...(rank > 1 ? [row] : []), ...(rank ? [column] : [])];
      const isWorst = Boolean(worst) && String(worst) === String(place);
      const cell = h("td", { tabindex: row || column ? -1 : 0, "data-at": at, class: [isWorst ? "worst" : "", values.signed && size(data[at]) !== 0 ? "wrong" : ""].join(" ").trim() || null, title: `[${place.join(", ")}] ${shown(data[at])}` },
        shown(data[at]), isWorst ? h("span", { class: "mark" }, " ◆", h("span", { class: "sr" }, " the worst")) : null);
      paint(cell, data[at], top, values.signed);
      const point = () => {
        for (const each of panels.querySelectorAll("td")) each.classList.toggle("twin", each.dataset.at === String(at) && each !== cell);
        tell(reading, parts, place, isWorst, at);
      };
      cell.addEventListener("pointerenter", point);
      cell.addEventListener("focus", point);
      line.append(cell);
    }
    body.append(line);
  }
  const table = h("table", { class: "heat", "aria-label": `${title}, shape ${shape.join("×")}` }, body);
  table.addEventListener("keydown", moveFocus);
  const empty = data.length ? null : h("p", { class: "soft" }, "no elements");
  return h("div", { class: "panel" }, h("h4", null, title, " ", h("span", { class: "soft" }, `[${shape.join(", ")}] ${values.dtype}`)),
    h("div", { class: "scroll" }, data.length ? table : empty));
}

function paint(cell, value, top, signed) {
  const amount = size(value);
  if (!Number.isFinite(amount)) { cell.style.backgroundColor = "var(--none-back)"; return; }
  const share = Math.round(Math.min(1, amount / top) * 50);
  const negative = !Array.isArray(value) && real(value) < 0;
  const color = signed ? (negative ? "--less" : "--more") : (negative ? "--less" : "--heat");
  cell.style.backgroundColor = `color-mix(in srgb, var(${color}) ${share}%, var(--card))`;
}

function tell(reading, parts, place, isWorst, at) {
  const said = parts.map(([title, values]) => {
    const steps = strides(values.shape);
    const flat = at ?? place.reduce((sum, each, axis) => sum + each * steps[axis], 0);
    return `${title.toLowerCase()} ${shown(values.data[flat])}`;
  });
  reading.textContent = `at [${place.join(", ")}]${isWorst ? ", the worst (◆)" : ""}: ${said.join(", ")}`;
}

function moveFocus(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const cell = event.target.closest("td");
  if (!step || !cell) return;
  const next = cell.closest("tbody").rows[cell.parentElement.rowIndex + step[0]]?.cells[cell.cellIndex + step[1]];
  event.preventDefault();
  if (!next) return;
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

const NEAR = 10000;

// How far the worst element is off, against what is allowed there.
function boundView(difference) {
  if (difference.worst === null || difference.worst === undefined) return null;
  const error = size(minus(difference.observed, difference.expected));
  const said = [`${number(difference.differing)} of ${plural(difference.total, "value")} of ${arrayName(difference)} differ; the worst at [${difference.worst.join(", ")}]: ${shown(difference.observed)} instead of ${shown(difference.expected)}`];
  if (difference.ulps && difference.ulps <= NEAR) said.push(`${number(difference.ulps)} ulp`);
  const bound = real(difference.allowed);
  if (!bound) return h("p", null, `${said.join(", ")}. These data are exact: no error is allowed.`);
  const share = error > bound ? bound / error : 1;
  const bar = svg("svg", { class: "bound", viewBox: "0 0 100 4", preserveAspectRatio: "none", height: 10, role: "img", "aria-label": "the bound's share of the error" },
    svg("rect", { class: "over", width: 100, height: 4 }), svg("rect", { class: "within", width: Math.max(1, share * 100), height: 4 }));
  const times = error / bound < 1e6 ? `: ${shown(error / bound)} times the bound` : "";
  return h("div", null, h("p", null, `${said.join(", ")}.`), h("p", null, `Error ${shown(error)}, bound ${shown(bound)}${times}.`), bar);
}
