// One case: what it asks, what every target makes of it, and one outcome in full.

async function showCase() {
  const section = $("case");
  const row = D.caseOf.get(state.id);
  if (row === undefined) {
    section.replaceChildren(h("h2", null, "No such case"), h("p", null, `This run has no case '${state.id}'.`));
    return;
  }
  const all = await loadDetails();
  if (state.view !== "case" || D.caseOf.get(state.id) !== row) return;
  const rows = [...D.rows[row]].sort((a, b) => rankOf(a) - rankOf(b) || a - b);
  const chosen = rows.find(at => outcomeKey(at) === state.o) ?? rows[0];
  const asked = all.cases[row] ?? {};
  section.replaceChildren(
    h("h2", null, state.id),
    h("p", { class: "words" }, D.cases.words[row] || "The case file is not as it ran: its request is not shown."),
    h("p", { class: "soft" }, asked.layout ? `Shapes as ${asked.layout}. ` : "", asked.source ? ["Source: ", linked(asked.source)] : ""),
    asked.note ? h("p", null, h("em", null, asked.note)) : "",
    outcomeView(chosen, all),
    h("h3", { id: "targets-title" }, "The same case on every target"),
    answers(rows, chosen, all),
    ...askedView(asked, all),
    ...(all.views[row] ? [h("h3", null, "How to write it in every framework"), ...sideBySide(all.views[row])] : []),
    ...historyView(asked.history),
  );
}

const rankOf = at => D.cause[at] >= 0 ? D.cause[at] : 1e6 + ["not-run", "unsupported", "pass"].indexOf(D.outcomes[D.outcome[at]]);

function askedView(asked) {
  const parts = [];
  if (!asked.yaml) return parts;
  const drawn = windowsView(asked);
  const arithmetic = asked.axes ? h("div", null, h("h3", null, "Padding and output"),
    asked.rules.map(rule => h("p", { class: "rule" }, rule)),
    h("ul", { class: "list" }, asked.axes.map(axis => h("li", null, h("b", null, axis.name), ": ", axis.steps.map((step, at) => [at ? h("br") : "", step]))))) : null;
  parts.push(h("div", { class: "pair" },
    h("div", null, arithmetic, drawn),
    h("div", null, h("h3", null, "As YAML"), code(asked.yaml, "The case as YAML", false))));
  return parts;
}

// The targets of a case in a few lines: a line for what an API gives in one form, its modes together.
function answers(rows, chosen, all) {
  const lines = new Map();
  for (const at of rows) {
    const told = all.outcomes[at];
    const what = D.cause[at] >= 0 ? D.causes[D.cause[at]].key : told?.note !== undefined ? all.texts[told.note] : "";
    const key = JSON.stringify([targetOf(at).name, D.form[at], outcomeSaid(at), what]);
    const held = lines.get(key) ?? { what, all: [], checks: new Map() };
    held.all.push(at);
    held.checks.set(D.check[at], [...held.checks.get(D.check[at]) ?? [], at]);
    lines.set(key, held);
  }
  const apis = unique(rows.map(at => targetOf(at).name));
  const sorted = [...lines.values()].sort((a, b) => apis.indexOf(targetOf(a.all[0]).name) - apis.indexOf(targetOf(b.all[0]).name));
  let before = null;
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": "targets-title" }, h("table", { class: "answers stack" },
    h("thead", null, h("tr", null, ["API", "outcome", "form", "check: modes", "cause or reason"].map(text => h("th", { scope: "col" }, text)))),
    h("tbody", null, sorted.map(line => {
      const first = targetOf(line.all[0]);
      const again = before === first.name;
      before = first.name;
      return h("tr", { class: line.all.includes(chosen) ? "chosen" : null },
        h("th", { scope: "row" }, again ? h("span", { class: "sr" }, first.name) : [first.name, " ", h("span", { class: "soft" }, `${first.backend} ${first.version}`)]),
        h("td", null, outcomeBadge(line.all[0])),
        h("td", null, D.forms[D.form[line.all[0]]].replace("native", "").replace("emulated", "recipe")),
        h("td", null, [...line.checks].map(([check, each]) => h("span", { class: "modes" }, h("span", { class: "soft" }, `${D.checks[check]}: `), each.map(at => [modeLink(at, chosen), " "])))),
        h("td", null, line.what));
    }))));
}

function modeLink(at, chosen) {
  return h("a", {
    href: to({ view: "case", id: state.id, o: outcomeKey(at) }), "aria-current": at === chosen ? "true" : null,
    "aria-label": `${named(targetOf(at))} ${formSaid(at)}`.trim(),
  }, targetOf(at).mode);
}

function outcomeView(at, all) {
  const told = all.outcomes[at] ?? {};
  const cause = D.cause[at] >= 0 ? D.causes[D.cause[at]] : null;
  const parts = [h("h3", { id: "outcome-title" }, named(targetOf(at)), " ", h("span", { class: "soft" }, [`${targetOf(at).backend} ${targetOf(at).version}`, formSaid(at)].filter(Boolean).join(", ")), " ", outcomeBadge(at))];
  if (told.meaning) parts.push(h("p", { class: "words" }, told.meaning));
  else if (told.told !== undefined && told.error === undefined && !told.difference) parts.push(h("p", { class: "words" }, all.texts[told.told]));
  if (told.note !== undefined) parts.push(h("p", { class: "remark" }, all.texts[told.note]));
  if (cause && agreementOf(at)) parts.push(h("p", null, `${agreementOf(at)}.`));
  if (told.known) {
    const entry = cause?.entries.find(each => each.id === `${targetOf(at).backend}: ${told.known}`);
    parts.push(h("div", { class: "entry" }, h("p", null, "Known as ", h("b", null, told.known), entry ? `, ${entry.kind}` : ""), entry ? h("p", null, entry.why) : null,
      entry ? h("p", { class: "soft" }, entry.evidence.map(each => [linked(each), " "])) : null));
  }
  if (told.difference) parts.push(h("h4", null, "Expected and observed"), differenceSaid(told.difference), boundView(told.difference),
    heatmaps(all.arrays[told.expected], all.arrays[told.observed], told.difference));
  if (told.error !== undefined) parts.push(h("h4", null, "What the framework said"), code(all.texts[told.error], "Error", false));
  if (told.trace !== undefined) parts.push(h("details", null, h("summary", null, "Where, and what it printed"), code(all.texts[told.trace], "Trace", false)));
  if (told.source !== undefined) parts.push(h("h4", null, "The code that ran"), code(all.texts[told.source], "The code that ran"));
  if (told.command) parts.push(h("h4", null, "To reproduce it"), command(told.command), script(cause?.examples.find(each => each.at === at)?.script));
  if (cause) parts.push(h("p", null, h("a", { href: fragment({ view: "causes", q: withTerm("", "cause", cause.key) }) }, `All of this cause: ${cause.key}`)));
  return h("div", { id: "outcome", class: "card", "aria-labelledby": "outcome-title", role: "group" }, parts.filter(Boolean));
}

function differenceSaid(difference) {
  const array = arrayName(difference);
  if (difference.sides) return h("p", null, `Observed: ${difference.sides[0]}; expected: ${difference.sides[1]}.`);
  if (String(difference.expected_shape) !== String(difference.observed_shape)) {
    return h("p", null, `The shape of ${array} is [${difference.observed_shape.join(", ")}] instead of [${difference.expected_shape.join(", ")}].`);
  }
  if (difference.expected_dtype !== difference.observed_dtype) {
    return h("p", null, `The dtype of ${array} is ${difference.observed_dtype} instead of ${difference.expected_dtype}.`);
  }
  return null;
}

function arrayName({ array }) {
  const names = { y: "the output", x: "the gradient of x", w: "the gradient of w", b: "the gradient of b" };
  return names[array] ?? array;
}
