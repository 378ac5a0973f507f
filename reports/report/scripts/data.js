// The data: columns of numbers over all outcomes, and tables of words that these point into.

async function inflated(id) {
  const text = atob($(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

const EXPECTED = new Set(["pass", "known", "unsupported", "not-run"]);
let D;
let details;

async function load() {
  D = await inflated("index");
  D.size = D.case.length;
  for (const name of ["case", "target", "form", "check", "outcome", "raw", "cause"]) {
    D[name] = Int32Array.from(D[name]);
  }
  D.words = D.outcomes.map(outcome => EXPECTED.has(outcome) ? outcome : "unexpected");
  D.rows = D.cases.id.map(() => []);
  for (let at = 0; at < D.size; at++) D.rows[D.case[at]].push(at);
  D.caseOf = new Map(D.cases.id.map((id, at) => [id, at]));
  for (const cause of D.causes) cause.sentence = sentenceOf(cause.examples[0].at);
  D.ops = unique(D.cases.op);
  D.failing = D.rows.map(rows => new Set(
    rows.filter(at => D.cause[at] >= 0).map(at => D.targets[D.target[at]].backend)).size);
  // What matters first: discrepancies in the order of their causes, passes at the end.
  const late = ["not-run", "unsupported", "pass"];
  const rank = at => D.cause[at] >= 0 ? D.cause[at] : 1e6 + late.indexOf(D.outcomes[D.outcome[at]]);
  const ranks = Float64Array.from({ length: D.size }, (_, at) => rank(at));
  D.byWeight = Int32Array.from({ length: D.size }, (_, at) => at).sort((a, b) => ranks[a] - ranks[b] || a - b);
}

async function loadDetails() {
  details ??= inflated("details");
  return details;
}

const sentenceOf = at => D.texts[D.said[at]] ?? "";
const agreementOf = at => D.texts[D.agreements[`${D.case[at]} ${D.check[at]}`]] ?? "";
const word = at => D.words[D.outcome[at]];
const targetOf = at => D.targets[D.target[at]];
const named = target => `${target.name} ${target.mode}`;
// As people say it: a known discrepancy is told by what it is.
const outcomeSaid = at => {
  const outcome = D.outcomes[D.outcome[at]];
  return outcome === "known" ? `known: ${D.outcomes[D.raw[at]]}` : outcome;
};
const outcomeBadge = at => {
  const what = word(at);
  const style = what === "unexpected" ? D.outcomes[D.outcome[at]] : what;
  return h("span", { class: `badge ${style}` },
    h("span", { "aria-hidden": "true" }, `${SIGNS[what]} `), outcomeSaid(at));
};
const formSaid = at => [D.forms[D.form[at]], D.checks[D.check[at]]]
  .filter(text => text !== "native" && text !== "forward").map(text => text === "emulated" ? "recipe" : text).join(", ");
