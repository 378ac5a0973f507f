// One place where everything is put on the page again after the fragment has changed.

let chosen = [];
let filtered = null;
let before = null;

function filter() {
  if (filtered === state.q) return;
  try {
    const test = compile(state.q);
    chosen = state.q.trim() ? Array.from(D.byWeight.filter(test)) : Array.from(D.byWeight);
    $("query-error").textContent = "";
    $("query").removeAttribute("aria-invalid");
  } catch (error) {
    if (!(error instanceof QueryError)) throw error;
    $("query-error").textContent = `Not applied: ${error.message}`;
    $("query").setAttribute("aria-invalid", "true");
  }
  filtered = state.q;
}

async function show() {
  state = readState();
  if ($("query").value !== state.q && document.activeElement !== $("query")) $("query").value = state.q;
  filter();
  const cases = new Set(chosen.map(at => D.case[at])).size;
  $("query-count").textContent = state.q.trim()
    ? `${number(chosen.length)} of ${plural(D.size, "outcome")}, ${plural(cases, "case")}` : `${plural(D.size, "outcome")}, ${plural(cases, "case")}`;
  for (const link of document.querySelectorAll("[data-view]")) {
    const current = link.dataset.view === state.view;
    if (current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    link.setAttribute("href", to({ view: link.dataset.view }));
  }
  for (const view of VIEWS) $(view).hidden = view !== state.view;
  showMine();
  if (state.view === "overview") showOverview(chosen);
  if (state.view === "causes") showCauses(chosen);
  if (state.view === "outcomes") showOutcomes(chosen);
  if (state.view === "code") await showCode();
  if (state.view === "case") await showCase();
  const shownNow = `${state.view} ${state.id}`;
  if (before !== null && before !== shownNow) {
    $("main").focus({ preventScroll: true });
    document.querySelector("nav").scrollIntoView();
  }
  before = shownNow;
}

// Change what is shown without a new entry in the browser's history for every letter.
function change(changes) {
  const next = { ...state, ...changes };
  history.replaceState(null, "", fragment(next));
  if (changes.q !== undefined && document.activeElement !== $("query")) $("query").value = changes.q;
  return show();
}

// On paper nothing can be unfolded; "toggle" comes too late for it, so it is told at once.
let opened = [];
function openAll() {
  document.querySelector("#causes:not([hidden]) button.more")?.click();
  opened = [...document.querySelectorAll("main section:not([hidden]):not(#overview) details.cause:not([open])")];
  for (const each of opened) { each.open = true; each.dispatchEvent(new Event("toggle")); }
}
function closeAgain() {
  for (const each of opened) each.open = false;
}

async function start() {
  startTheme();
  await load();
  $("query").addEventListener("input", () => change({ q: $("query").value, page: 1 }));
  $("clear").addEventListener("click", () => { $("query").value = ""; change({ q: "", page: 1 }); });
  $("copy-link").addEventListener("click", event => copy(location.href, event.currentTarget));
  document.querySelector(".skip").addEventListener("click", event => { event.preventDefault(); $("main").focus(); });
  document.addEventListener("keydown", event => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { event.preventDefault(); $("query").focus(); }
  });
  addEventListener("hashchange", show);
  addEventListener("beforeprint", openAll);
  addEventListener("afterprint", closeAgain);
  await show();
  document.documentElement.dataset.ready = "true";
}

start();
