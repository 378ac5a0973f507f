// The input with its padding and the output, and which elements make which.

const SIDE = 22;
const PADDED = 6;

function windowsView(asked) {
  const axes = asked.axes;
  if (!axes?.length || axes.some(axis => !axis.taps.length)) return null;
  const plane = axes.slice(-2).length === 2 ? axes.slice(-2) : [{ name: "", size: 1, pads: [0, 0], taps: [[0]], output: 1 }, axes[0]];
  const outer = axes.slice(0, -2);
  const reach = plane.map(extent);
  const input = gridOf(reach.map(([low, high]) => high - low), "input");
  const output = gridOf(plane.map(axis => axis.taps.length), "output");
  plane[0].taps.forEach((_, row) => plane[1].taps.forEach((_, column) => {
    output.cell(row, column).addEventListener("pointerenter", () => show(row, column));
    output.cell(row, column).addEventListener("click", () => show(row, column));
  }));
  for (let row = 0; row < input.rows; row++) {
    for (let column = 0; column < input.columns; column++) {
      const outside = [row + reach[0][0], column + reach[1][0]].some((at, axis) => at < 0 || at >= plane[axis].size);
      input.cell(row, column).classList.toggle("pad", outside);
    }
  }
  const reading = h("p", { class: "reading", "aria-live": "polite" });
  let place = [0, 0];
  function show(row, column) {
    place = [row, column];
    const taps = [plane[0].taps[row], plane[1].taps[column]];
    input.clear();
    output.clear();
    output.cell(row, column).classList.add("on");
    let [inside, padded] = [0, 0];
    for (const y of taps[0]) for (const x of taps[1]) {
      input.cell(y - reach[0][0], x - reach[1][0])?.classList.add("on");
      if (y < 0 || x < 0 || y >= plane[0].size || x >= plane[1].size) padded++;
      else inside++;
    }
    const at = axes.length === 1 ? [column] : [row, column];
    const far = padded ? `, ${number(padded)} of padding` : "";
    reading.textContent = `output [${[...outer.map(() => "·"), ...at].join(", ")}] ← ${plural(inside, "element")} of the input${far}: ${plane.slice(2 - Math.min(2, axes.length)).map((axis, n) => `${axis.name} ${run(taps[n + 2 - Math.min(2, axes.length)])}`).join(", ")}`;
  }
  show(0, 0);
  const move = event => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const [row, column] = place.map((at, axis) => at + step[axis]);
    if (plane[0].taps[row] && plane[1].taps[column]) show(row, column);
  };
  const cut = axes.some(axis => axis.taps.length < axis.output);
  return h("div", null,
    h("div", { class: "grids", tabindex: 0, role: "group", "aria-label": "Windows: arrow keys choose an output element", onkeydown: move },
      h("figure", null, input.view, h("figcaption", null, caption(plane, axes.length))),
      h("figure", { class: "output" }, output.view, h("figcaption", null, `output ${axes.map(axis => axis.output).join("×")}${cut ? ", its first elements" : ""}; point at one, or use the arrow keys`))),
    outer.length ? h("p", { class: "soft" }, `Drawn: ${plane[0].name} and ${plane[1].name}; along ${outer[0].name}, output 0 is made of elements ${run(outer[0].taps[0])}.`) : null,
    reading);
}

const caption = (plane, rank) => `input ${plane.slice(-Math.min(2, rank)).map(axis => axis.size).join("×")}${plane.some(axis => axis.pads[0] || axis.pads[1]) ? ", padding dashed" : ""}`;
const run = taps => taps.length > 3 && taps.every((at, n) => at === taps[0] + n) ? `${shown(taps[0])}…${shown(taps.at(-1))}` : taps.map(shown).join(", ") || "none";

// From where to where the drawing goes: the input with its padding, as far as windows are shown.
function extent(axis) {
  const taps = axis.taps.flat();
  const last = Math.max(...taps, axis.taps.length < axis.output ? 0 : axis.size - 1 + Math.min(axis.pads[1], PADDED));
  return [Math.min(0, -Math.min(axis.pads[0], PADDED), ...taps), Math.min(last + 1, Math.max(...taps, 31) + 1)];
}

function gridOf([rows, columns], name) {
  const [width, height] = [columns * SIDE + 2, rows * SIDE + 2];
  const view = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${name}, ${rows} by ${columns}` });
  const cells = Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => {
    const cell = svg("rect", { class: "cell", x: column * SIDE + 1, y: row * SIDE + 1, width: SIDE - 2, height: SIDE - 2, rx: 3 });
    view.append(cell);
    return cell;
  }));
  return {
    view, rows, columns,
    cell: (row, column) => cells[row]?.[column],
    clear: () => cells.flat().forEach(each => each.classList.remove("on")),
  };
}
