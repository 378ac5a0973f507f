// How every framework says a case, as the run has verified it.

const WAYS = { native: "native", recipe: "recipe", none: "no way" };

function sideBySide(entries) {
  return entries.map(entry => {
    const verified = entry.right === true ? badge("pass", "✓ verified in this run") : entry.right === false ? badge("new", "✗ not right in this run") : null;
    return h("details", { class: "way" },
      h("summary", null, h("b", null, entry.name), " ", badge(`way-${entry.way}`, WAYS[entry.way]), " ", verified, " ",
        h("code", null, entry.essence), entry.obvious ? h("span", { class: "soft" }, ` obvious spelling: ${entry.obvious.said}`) : null),
      h("p", { class: "soft" }, [entry.version, entry.layout].filter(Boolean).join(" · ")),
      entry.remarks.map(line => h("p", { class: "remark" }, line)),
      entry.code ? code(entry.code, `Code for ${entry.name}`) : null,
      entry.obvious ? [h("p", { class: "remark" }, `The obvious spelling: ${entry.obvious.said}.`), code(entry.obvious.line, `Obvious spelling in ${entry.name}`)] : null);
  });
}

async function showCode() {
  const all = await loadDetails();
  if (state.view !== "code") return;
  const here = new Set(chosen.map(at => D.case[at]));
  const names = new Set(chosen.map(at => targetOf(at).name));
  const rows = D.features.filter(row => here.has(row.case) && all.views[row.case]);
  const ops = unique(rows.map(row => row.op));
  $("feature-list").replaceChildren(...(rows.length ? ops.map(op => [h("h3", null, op.replaceAll("_", " ")), rows.filter(row => row.op === op).map(row => feature(row, all, names))]).flat(3)
    : [h("p", null, D.features.length ? "No feature of these cases." : "This page was made without it: conformance report --code adds how each framework says each feature.")]));
}

function feature(row, all, names) {
  const inside = h("div", { class: "inside" });
  const entries = all.views[row.case].filter(entry => names.has(entry.name));
  const count = way => entries.filter(entry => entry.way === way).length;
  const view = h("details", { class: "cause feature" },
    h("summary", null, h("span", { class: "name" }, row.name),
      h("span", { class: "sum" }, Object.keys(WAYS).filter(count).map(way => `${count(way)} ${WAYS[way]}`).join(" · ")),
      h("span", { class: "where" }, D.cases.words[row.case])), inside);
  view.addEventListener("toggle", () => {
    if (view.open && !inside.firstChild) {
      inside.append(h("p", { class: "soft" }, h("a", { href: to({ view: "case", id: D.cases.id[row.case] }) }, D.cases.id[row.case])), ...sideBySide(entries));
    }
  });
  return view;
}

// When a case's outcomes changed, in the runs of the history that was given.
function historyView(periods) {
  if (!periods) return [h("h3", null, "History"), h("p", { class: "soft" }, D.nights ? `Nothing changed in the last runs (${D.nights}).` : "No history was given.")];
  if (!periods.length) return [h("h3", null, "History"), h("p", { class: "soft" }, "No earlier run has this case.")];
  const said = ([date, version]) => `${version} (${date})`;
  const outcome = period => D.outcomes[period.outcome] === "known" ? `known: ${D.outcomes[period.raw]}` : D.outcomes[period.outcome];
  const how = period => [D.forms[period.form], D.checks[period.check]].filter(text => text !== "native" && text !== "forward").join(", ");
  return [h("h3", { id: "history-title" }, "History"), h("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "history-title" },
    h("table", { class: "stack" }, h("thead", null, h("tr", null, ["target", "form, check", "from", "to", "runs", "outcome", "cause"].map(text => h("th", { scope: "col" }, text)))),
      h("tbody", null, periods.map(period => h("tr", null, h("th", { scope: "row" }, period.target), h("td", null, how(period)), h("td", null, said(period.first)),
        h("td", null, said(period.last)), h("td", { class: "number" }, number(period.runs)), h("td", null, outcome(period)), h("td", null, period.cause))))))];
}
