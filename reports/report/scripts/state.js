// What is shown is in the fragment, so that a link says it: #causes?q=backend:torch

const VIEWS = ["overview", "causes", "outcomes", "code", "case"];

function readState() {
  const [view, rest] = decodeHash().split(/\?(.*)/s);
  const given = new URLSearchParams(rest ?? "");
  return {
    view: VIEWS.includes(view) ? view : "overview",
    q: given.get("q") ?? "",
    id: given.get("id") ?? "",
    o: given.get("o") ?? "",
    sort: given.get("sort") ?? "",
    page: Math.max(1, Number.parseInt(given.get("page") ?? "1", 10) || 1),
  };
}

const decodeHash = () => location.hash.slice(1);

function fragment(state) {
  const kept = Object.entries(state).filter(([name, value]) => name !== "view" && value && !(name === "page" && value === 1));
  const rest = kept.map(([name, value]) => `${name}=${encoded(value)}`).join("&");
  return `#${state.view}${rest ? `?${rest}` : ""}`;
}

// Only what would be read as something else: links stay readable.
const encoded = value => String(value).replace(/[%&+#\s"<>`\\]/g, encodeURIComponent);

const to = (change, base = state) => fragment({ view: base.view, q: base.q, ...change });

let state;

// Terms of a query such as backend:torch, which buttons set and take away.
function term(query, key) {
  const found = safely(() => tokens(query), []).find(token => token.startsWith(`${key}:`));
  return found?.slice(key.length + 1).replace(/^"(.*)"$/, "$1");
}

function withTerm(query, key, value, ...dropped) {
  const keys = [key, ...dropped].map(name => `${name}:`);
  const kept = safely(() => tokens(query), []).filter(token => !keys.some(name => token.startsWith(name)));
  const spaced = value !== null && /[\s()]/.test(value) ? `"${value}"` : value;
  return joined(value === null ? kept : [`${key}:${spaced}`, ...kept]);
}

const joined = parts => parts.join(" ").replace(/([-!(]) /g, "$1").replace(/ \)/g, ")");

function safely(run, otherwise) {
  try { return run(); } catch (error) { if (error instanceof QueryError) return otherwise; throw error; }
}
