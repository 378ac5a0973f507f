// All outcomes that were asked for, in pages, what matters first.

const ROWS = 100;
const SORTS = {
  weight: (a, b) => 0,
  case: (a, b) => D.case[a] - D.case[b] || D.target[a] - D.target[b],
  target: (a, b) => D.target[a] - D.target[b] || D.case[a] - D.case[b],
};

function showOutcomes(chosen) {
  const sort = Object.hasOwn(SORTS, state.sort) ? state.sort : "weight";
  const sorted = sort === "weight" ? chosen : [...chosen].sort(SORTS[sort]);
  const pages = Math.max(1, Math.ceil(sorted.length / ROWS));
  const page = Math.min(state.page, pages);
  const slice = sorted.slice((page - 1) * ROWS, page * ROWS);
  const head = (name, text) => h("th", { scope: "col", "aria-sort": sort === name ? "ascending" : null },
    h("button", { type: "button", onclick: () => change({ sort: name === "weight" ? "" : name, page: 1 }) }, text, sort === name ? " ▾" : ""));
  const table = h("table", { class: "outcomes stack" },
    h("caption", { class: "sr" }, "Outcomes"),
    h("thead", null, h("tr", null, head("weight", "outcome"), head("case", "case"), head("target", "target"),
      h("th", { scope: "col" }, "form, check"), h("th", { scope: "col" }, "cause"))),
    h("tbody", null, slice.map(at => h("tr", null,
      h("td", null, outcomeBadge(at)),
      h("td", null, h("a", { href: caseLink(at) }, D.cases.id[D.case[at]])),
      h("td", { class: "api" }, targetOf(at).name, " ", h("span", { class: "soft" }, targetOf(at).mode)),
      h("td", null, formSaid(at)),
      h("td", null, D.cause[at] < 0 ? "" : D.causes[D.cause[at]].key)))));
  $("outcome-table").replaceChildren(pager(page, pages, sorted.length), table, ...(pages > 1 ? [pager(page, pages, sorted.length)] : []));
}

function pager(page, pages, total) {
  const from = total ? (page - 1) * ROWS + 1 : 0;
  const turn = (by, text) => h("button", { type: "button", disabled: page + by < 1 || page + by > pages, onclick: () => change({ page: page + by }) }, text);
  return h("div", { class: "pager" }, pages > 1 ? [turn(-1, "Previous"), turn(1, "Next")] : null,
    h("span", null, `${number(from)}–${number(Math.min(page * ROWS, total))} of ${number(total)}`));
}
