// The query language: `backend:keras outcome:wrong op:conv stride:>1 count:1`, or, not, parentheses.

class QueryError extends Error {}

const TOKEN = /\s*(?:([()])|(-|!)(?=[^\s)])|((?:[^\s()":]+:)?"[^"]*"|[^\s()]+))/y;

function tokens(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  for (let end = text.trimEnd().length; TOKEN.lastIndex < end;) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) throw new QueryError(`not understood from column ${from + 1} on`);
    found.push(match[1] ?? match[2] ?? match[3]);
  }
  return found;
}

// A test of an outcome's number.
function compile(text) {
  const rest = tokens(text);
  const peek = () => (rest[0] ?? "").toLowerCase();
  function either() {
    const parts = [all()];
    while (peek() === "or") { rest.shift(); parts.push(all()); }
    return parts.length === 1 ? parts[0] : at => parts.some(test => test(at));
  }
  function all() {
    const parts = [];
    while (rest.length && peek() !== ")" && peek() !== "or") {
      if (peek() === "and" && parts.length) rest.shift();
      else parts.push(one());
    }
    if (!parts.length) throw new QueryError("something is missing beside a parenthesis or 'or'");
    return parts.length === 1 ? parts[0] : at => parts.every(test => test(at));
  }
  function one() {
    const token = rest.shift();
    if (token === undefined) throw new QueryError("something is missing after 'not'");
    if (token === "-" || token === "!" || token.toLowerCase() === "not") {
      const test = one();
      return at => !test(at);
    }
    if (token !== "(") return leaf(token);
    const test = either();
    if (rest.shift() !== ")") throw new QueryError("a parenthesis is not closed");
    return test;
  }
  if (!rest.length) return () => true;
  const test = either();
  if (rest.length) throw new QueryError("a parenthesis is closed that was not opened");
  return test;
}

function leaf(token) {
  const [, key, value] = /^(?:([a-z_]+):)?(.*)$/is.exec(token);
  const plain = value.replace(/^"(.*)"$/s, "$1");
  if (key === undefined) return anywhere(plain);
  const name = key.toLowerCase();
  if (!plain) throw new QueryError(`'${name}:' needs a value`);
  if (Object.hasOwn(KEYS, name)) return KEYS[name](plain);
  if (Object.hasOwn(D.facts, name)) return fact(name, plain);
  throw new QueryError(`no '${name}:'; there are ${[...Object.keys(KEYS), ...Object.keys(D.facts)].join(", ")}`);
}

const over = (column, values, holds) => {
  const mask = values.map(holds);
  return at => mask[column[at]] ?? false;
};

// A word is met as a whole, at its start up to a mark, or with * for anything.
function meets(wanted) {
  const [low, marks] = [wanted.toLowerCase(), ["-", ".", "/", " ", "_", "+"]];
  if (low.includes("*")) {
    const pattern = low.split("*").map(part => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&")).join(".*");
    return text => new RegExp(`^${pattern}$`, "s").test(String(text).toLowerCase());
  }
  return text => {
    const own = String(text).toLowerCase();
    return own === low || (own.startsWith(low) && marks.includes(own[low.length]));
  };
}

function amount(name, wanted) {
  const match = /^(<=|>=|!=|<|>|=|)(-?\d+(?:\.\d+)?)$/.exec(wanted);
  if (!match) throw new QueryError(`'${name}:' needs a number or a comparison such as >1`);
  const limit = Number(match[2]);
  const tests = {
    "": v => v === limit, "=": v => v === limit, "!=": v => v !== limit,
    "<": v => v < limit, "<=": v => v <= limit, ">": v => v > limit, ">=": v => v >= limit,
  };
  return value => typeof value === "number" && tests[match[1]](value);
}

function fact(name, wanted) {
  const { values, of } = D.facts[name];
  const told = values.filter(value => value !== null);
  let holds;
  if (told.some(value => typeof value === "number")) holds = amount(name, wanted);
  else if (told.every(value => typeof value === "boolean")) {
    if (!/^(true|false|yes|no)$/i.test(wanted)) throw new QueryError(`'${name}:' is true or false`);
    const truth = /^(true|yes)$/i.test(wanted);
    holds = value => (value ?? false) === truth;
  } else {
    const test = meets(wanted);
    holds = value => value !== null && test(value);
  }
  const mask = values.map(holds);
  return at => mask[of[D.case[at]]];
}

function anywhere(text) {
  const low = text.toLowerCase();
  const test = low.includes("*") ? meets(`*${low}*`) : value => value.toLowerCase().includes(low);
  const cases = over(D.case, D.cases.id, (id, at) => test(id) || test(D.cases.words[at]));
  const targets = over(D.target, D.targets, each => test(`${each.backend}/${each.api}/${each.mode}`));
  const causes = over(D.cause, D.causes, each => test(each.key) || test(each.sentence));
  const outcomes = over(D.raw, D.outcomes, test);
  return at => cases(at) || targets(at) || causes(at) || outcomes(at);
}

const STATES = {
  discrepancy: at => D.cause[at] >= 0,
  unexpected: at => word(at) === "unexpected",
  known: at => word(at) === "known",
  new: at => D.marks[at] === "new",
  fixed: at => D.outcomes[D.outcome[at]] === "fixed" || D.marks[at] === "fixed",
  changed: at => D.marks[at] === "changed" || D.marks[at] === "case-changed",
};

const KEYS = {
  // Keras has backends of its own: 'backend:keras' finds what has an API of that name, too.
  backend: v => { const test = meets(v); return over(D.target, D.targets, t => test(t.backend) || t.api.toLowerCase().split(".")[0] === v.toLowerCase()); },
  api: v => { const test = meets(v); return over(D.target, D.targets, t => test(t.api)); },
  mode: v => { const test = meets(v); return over(D.target, D.targets, t => test(t.mode)); },
  version: v => { const test = meets(v); return over(D.target, D.targets, t => test(t.version)); },
  op: v => { const test = meets(v); return over(D.case, D.cases.op, text => text === v || (!D.ops.includes(v) && test(text))); },
  case: v => { const low = v.toLowerCase(); const test = low.includes("*") ? meets(low) : id => id.toLowerCase().includes(low); return over(D.case, D.cases.id, test); },
  outcome: v => { const test = meets(v); const mask = D.outcomes.map(test); return at => mask[D.outcome[at]] || (word(at) !== "unexpected" && mask[D.raw[at]]); },
  cause: v => { const test = meets(v); return over(D.cause, D.causes, c => c.key === v || test(c.key)); },
  kind: v => { const test = meets(v); return over(D.cause, D.causes, c => test(c.kind || (c.new ? "new" : ""))); },
  known: v => { const test = meets(v); return over(D.cause, D.causes, c => c.entries.some(e => test(e.id) || test(e.id.split(": ").pop()))); },
  form: v => { const test = meets(v === "recipe" ? "emulated" : v); return over(D.form, D.forms, test); },
  check: v => { const test = meets(v); return over(D.check, D.checks, test); },
  count: v => { const test = amount("count", v); const mask = D.failing.map(test); return at => mask[D.case[at]]; },
  is: v => {
    const name = v.toLowerCase();
    if (Object.hasOwn(STATES, name)) return STATES[name];
    if (Object.hasOwn(D.facts, name) && D.facts[name].values.some(value => typeof value === "boolean")) return fact(name, "true");
    const flags = Object.keys(D.facts).filter(each => D.facts[each].values.some(value => typeof value === "boolean"));
    throw new QueryError(`no 'is:${v}'; there are ${[...Object.keys(STATES), ...flags].join(", ")}`);
  },
};
