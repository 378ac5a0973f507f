// Discrepancies by cause, in the order of their weight.

const SHOWN = 60;
const WRONG = {
  "wrong-value": "wrong values", "wrong-shape": "wrong shape", "wrong-dtype": "wrong dtype",
  rejected: "error", crash: "crash", timeout: "hangs", pass: "passes now", unsupported: "unsupported",
};

// What of each cause is among the chosen outcomes.
function causesOf(chosen) {
  const found = new Map();
  for (const at of chosen) {
    const cause = D.cause[at];
    if (cause < 0) continue;
    const held = found.get(cause) ?? { cause, outcomes: [], cases: new Set(), targets: new Set() };
    held.outcomes.push(at);
    held.cases.add(D.case[at]);
    held.targets.add(D.target[at]);
    found.set(cause, held);
  }
  return [...found.values()].sort((a, b) => a.cause - b.cause);
}

function showCauses(chosen) {
  const found = causesOf(chosen);
  const first = found.slice(0, SHOWN).map(causeView);
  const rest = found.slice(SHOWN);
  const more = h("button", { type: "button", class: "more", onclick: () => more.replaceWith(...rest.map(causeView)) }, `Show ${number(rest.length)} more`);
  $("cause-list").replaceChildren(
    h("p", { class: "count" }, `${plural(found.length, "cause")}, ${plural(found.reduce((sum, each) => sum + each.outcomes.length, 0), "outcome")}`),
    ...first, ...(rest.length ? [more] : []));
}

function causeView(held) {
  const cause = D.causes[held.cause];
  const example = exampleOf(held, cause);
  const [sentence, agreement] = [sentenceOf(example.at), agreementOf(example.at)];
  const apis = unique([...held.targets].map(at => D.targets[at].name));
  const listed = apis.every(api => agreement.includes(api)) ? agreement : `${apis.join(", ")}${agreement ? ` — ${agreement}` : ""}`;
  const inside = h("div", { class: "inside" });
  const kind = gravest(ownEntries(held, cause)) || cause.kind;
  const view = h("details", { class: `cause ${cause.new ? "new" : ""}`, "data-cause": cause.key },
    h("summary", null,
      h("span", null, h("span", { class: "badges" },
        badge(cause.new ? "new" : kindStyle(kind), cause.new ? "✗ unexpected" : `≈ ${kind || "known"}`),
        badge(cause.raw, WRONG[cause.raw] ?? cause.raw)), " ", h("span", { class: "name" }, cause.key)),
      h("span", { class: "sum" }, `${plural(held.cases.size, "case")} · ${plural(held.targets.size, "target")}`),
      sentence === cause.key ? null : h("span", { class: "said" }, sentence),
      h("span", { class: "where" }, listed)),
    inside);
  view.addEventListener("toggle", () => {
    if (view.open && !inside.firstChild) inside.append(...insideCause(held, cause));
  });
  return view;
}

// An example of the cause that was asked for, else the first outcome that was.
const exampleOf = (held, cause) => cause.examples.find(each => held.outcomes.includes(each.at)) ?? { at: held.outcomes[0] };

function insideCause(held, cause) {
  const example = exampleOf(held, cause);
  const cases = [...held.cases];
  const listed = cases.slice(0, 12).map(row => {
    const at = held.outcomes.find(each => D.case[each] === row);
    return h("li", null, h("a", { href: caseLink(at) }, D.cases.id[row]), h("br"), h("span", { class: "soft" }, D.cases.words[row]));
  });
  const q = withTerm(state.q, "cause", cause.key);
  const targets = [...held.targets].map(at => named(D.targets[at]));
  return [
    ...ownEntries(held, cause).map(entry => h("div", { class: "entry" },
      h("p", null, badge(kindStyle(entry.kind), entry.kind), " ", h("b", null, entry.id)),
      h("p", null, entry.why),
      h("p", { class: "soft" }, entry.evidence.map(each => [linked(each), " "])))),
    h("p", null, h("b", null, "Where: "), targets.join("; ")),
    h("h4", null, "For example"),
    h("p", null, h("a", { href: caseLink(example.at) }, D.cases.id[D.case[example.at]]), ` on ${named(targetOf(example.at))}`),
    example.command ? command(example.command) : commandLater(example.at),
    script(example.script),
    h("h4", null, plural(cases.length, "case")),
    h("ul", { class: "list" }, listed),
    h("p", null, h("a", { href: fragment({ view: "outcomes", q }) }, `All ${plural(held.outcomes.length, "outcome")} of this cause`)),
  ].filter(Boolean);
}

// Only the details of outcomes have the command of one that is no example.
function commandLater(at) {
  const place = h("div");
  loadDetails().then(all => { if (all.outcomes[at].command) place.append(command(all.outcomes[at].command)); });
  return place;
}

// What the registries of the chosen backends say.
function ownEntries(held, cause) {
  const backends = new Set([...held.targets].map(at => D.targets[at].backend));
  return cause.entries.filter(entry => backends.has(entry.id.split(": ")[0]));
}

const KINDS = ["bug", "numerical", "by-design", "unsupported"];
const gravest = entries => KINDS.find(kind => entries.some(entry => entry.kind === kind));
const kindStyle = kind => kind === "unsupported" ? "kind-unsupported" : kind;

const caseLink = at => to({ view: "case", id: D.cases.id[D.case[at]], o: outcomeKey(at) });
const outcomeKey = at => [targetOf(at).name, targetOf(at).mode, D.forms[D.form[at]], D.checks[D.check[at]]].join(" ");
