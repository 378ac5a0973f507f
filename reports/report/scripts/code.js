// Code that can be copied, with Python's words in colour.

const PYTHON = /(#[^\n]*)|("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|\b(and|as|assert|class|def|del|elif|else|except|False|finally|for|from|if|import|in|is|lambda|None|not|or|pass|raise|return|True|try|while|with|yield)\b|(?<![\w.])(\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)\b/g;

function highlighted(text) {
  const parts = [];
  let from = 0;
  for (const match of text.matchAll(PYTHON)) {
    parts.push(text.slice(from, match.index));
    const style = ["c", "s", "k", "m"][match.slice(1).findIndex(group => group !== undefined)];
    parts.push(h("span", { class: style }, match[0]));
    from = match.index + match[0].length;
  }
  return [...parts, text.slice(from)];
}

function copyButton(text, label = "Copy") {
  const button = h("button", { type: "button", onclick: () => copy(text, button) }, label);
  return button;
}

async function copy(text, button) {
  const said = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page from a file may have no clipboard: select and copy as by hand.
    const area = h("textarea", { "aria-hidden": "true", class: "sr" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = said; }, 1500);
}

function code(text, label, python = true) {
  return h("div", { class: "copyable" },
    h("pre", { tabindex: 0, role: "region", "aria-label": label }, h("code", null, python ? highlighted(text.trimEnd()) : text.trimEnd())),
    copyButton(text));
}

function command(text) {
  return h("div", { class: "command" }, h("code", null, text), copyButton(text));
}

function script(text) {
  return text && h("details", { class: "script" }, h("summary", null, `The script, ${plural(text.trimEnd().split("\n").length, "line")}`), code(text, "Repro script"));
}
