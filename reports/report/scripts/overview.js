// The head of the page: whose framework, how many outcomes, targets by operators.

function showMine() {
  const chosen = { backend: term(state.q, "backend"), api: term(state.q, "api"), mode: term(state.q, "mode") };
  const failing = tally(at => D.cause[at] >= 0, at => D.targets[D.target[at]].backend);
  const button = (key, value, text, note, ...dropped) => h("button", {
    type: "button", "aria-pressed": String(chosen[key] === value || (value === null && !chosen[key])),
    onclick: () => change({ q: withTerm(state.q, key, chosen[key] === value ? null : value, ...dropped), page: 1 }),
  }, text, note ? h("span", { class: "soft" }, ` ${note}`) : null);
  const rows = [h("span", { class: "label", id: "mine-label" }, "My framework"), button("backend", null, "all", "", "api", "mode")];
  for (const name of unique(D.targets.map(each => each.backend))) {
    const version = D.targets.find(each => each.backend === name).version;
    rows.push(button("backend", name, `${name} ${version}`.trim(), failing.get(name) ? `≈ ${number(failing.get(name))}` : "", "api", "mode"));
  }
  if (chosen.backend) {
    const own = D.targets.filter(each => meets(chosen.backend)(each.backend) || each.api.split(".")[0] === chosen.backend);
    const apis = unique(own.map(each => each.api));
    const modes = unique(own.map(each => each.mode));
    if (apis.length > 1 || modes.length > 1) rows.push(h("span", { class: "break" }));
    if (apis.length > 1) rows.push(h("span", { class: "label" }, "API"), apis.map(name => button("api", name, name)));
    if (modes.length > 1) rows.push(h("span", { class: "label" }, "mode"), modes.map(name => button("mode", name, name)));
  }
  replaceKeepingFocus($("mine"), rows);
}

// New buttons in the place of old ones; the focus stays on the one of the same text.
function replaceKeepingFocus(parent, children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.textContent : null;
  parent.replaceChildren(...children.flat());
  if (focused !== null) [...parent.querySelectorAll("button")].find(each => each.textContent === focused)?.focus();
}

function tally(holds, key) {
  const found = new Map();
  for (let at = 0; at < D.size; at++) {
    if (holds(at)) found.set(key(at), (found.get(key(at)) ?? 0) + 1);
  }
  return found;
}

function showOverview(chosen) {
  const tiles = Object.fromEntries(Object.keys(SIGNS).map(name => [name, 0]));
  const cells = new Map();
  for (const at of chosen) {
    const what = word(at);
    tiles[what]++;
    const key = `${D.target[at]} ${D.cases.op[D.case[at]]}`;
    const cell = cells.get(key) ?? {};
    cell[what] = (cell[what] ?? 0) + 1;
    cells.set(key, cell);
  }
  for (const each of document.querySelectorAll("[data-count]")) each.textContent = number(tiles[each.dataset.count]);
  const ops = new Set(chosen.map(at => D.cases.op[D.case[at]]));
  for (const column of document.querySelectorAll("#matrix th[data-op]")) column.hidden = !ops.has(column.dataset.op);
  for (const row of $("matrix").tBodies[0].rows) {
    const target = D.targets[row.dataset.target];
    let any = false;
    for (const cell of row.cells) {
      const op = cell.dataset.op;
      if (op === undefined) continue;
      const counts = cells.get(`${row.dataset.target} ${op}`);
      cell.hidden = !ops.has(op);
      any ||= counts !== undefined;
      cell.replaceChildren(counts ? matrixCell(counts, target, op) : h("span", { class: "soft", "aria-hidden": "true" }, "·"));
    }
    row.hidden = !any;
  }
  const backends = new Set(chosen.map(at => targetOf(at).backend));
  for (const row of document.querySelectorAll("tr[data-backend]")) row.hidden = !backends.has(row.dataset.backend);
  $("since").hidden = !D.compared;
  $("changes").replaceChildren(...changesView(chosen).flat());
  const found = causesOf(chosen);
  const [top, all] = [found.slice(0, 5), found.length];
  $("overview-title").textContent = verdict(found, tiles);
  $("top-causes").replaceChildren(
    h("h3", null, all ? "What to look at first" : "No discrepancy here"),
    ...top.map(causeView),
    h("p", null, all > top.length ? h("a", { href: to({ view: "causes" }) }, `All ${number(all)} causes`) : ""),
  );
}

// What changed since the baseline, as far as the chosen outcomes or their targets say.
function changesView(chosen) {
  if (!D.compared) return [];
  const here = new Set(chosen);
  const targets = new Set(chosen.map(at => { const t = targetOf(at); return `${t.backend}/${t.api}/${t.mode}`; }));
  const rows = D.changes.filter(row => !state.q.trim() || row.at.some(at => here.has(at)) || (!row.at.length && row.targets.some(t => targets.has(t))));
  const versions = D.compared.versions.length ? h("p", null, `Versions: ${D.compared.versions.join("; ")}.`) : "";
  if (!rows.length) return [versions, h("p", null, "Nothing changed.")];
  return [h("p", null, `${D.compared.conclusion[0].toUpperCase()}${D.compared.conclusion.slice(1)}, of ${plural(D.compared.outcomes, "outcome")} that both runs have.`), versions,
    h("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "changes-title" }, h("table", { class: "stack" },
      h("thead", null, h("tr", null, ["what", "outcomes", "cause", "for example"].map(text => h("th", { scope: "col" }, text)))),
      h("tbody", null, rows.map(row => changeView(row, here)))))];
}

function changeView(row, here) {
  const own = state.q.trim() ? row.at.filter(at => here.has(at)) : row.at;
  const [style, sign] = row.worse ? ["bug", "✗"] : row.kind === "fixed" ? ["pass", "✓"] : ["known", "≠"];
  const count = state.q.trim() && own.length ? own.length : row.count;
  return h("tr", null,
    h("td", null, badge(style, `${sign} ${row.title}`)),
    h("td", { class: "number" }, number(count), h("span", { class: "sr" }, " outcomes")),
    h("td", null, h("b", null, row.cause), row.sentence === row.cause ? "" : [h("br"), row.sentence]),
    h("td", null, own.length ? [h("a", { href: caseLink(own[0]) }, D.cases.id[D.case[own[0]]]), ` ${named(targetOf(own[0]))}`] : row.where));
}

// What the chosen outcomes say, in the words of the page's headline.
function verdict(found, tiles) {
  if (!state.q.trim()) return "Overview";
  const known = found.filter(each => !D.causes[each.cause].new).length;
  const bad = tiles.unexpected ? `${plural(tiles.unexpected, "unexpected outcome")}` : "nothing unexpected";
  return `${state.q}: ${bad}; ${number(known)} known ${known === 1 ? "discrepancy" : "discrepancies"}`;
}

function matrixCell(counts, target, op) {
  const own = [["backend", target.backend], ["api", target.api], ["mode", target.mode], ["op", op]];
  const q = own.reduceRight((query, [key, value]) => withTerm(query, key, value), state.q);
  return h("a", { href: fragment({ view: "outcomes", q }) }, Object.keys(SIGNS).filter(name => counts[name]).map(name => [
    h("span", { class: `n ${name}` }, h("span", { "aria-hidden": "true" }, SIGNS[name]), number(counts[name]),
      h("span", { class: "sr" }, ` ${SAID[name]}`)), " "]));
}
