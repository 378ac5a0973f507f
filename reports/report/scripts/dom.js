// Elements are made of text and attributes only: nothing that a framework said is ever markup.

const $ = id => document.getElementById(id);

function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter(child => child !== null && child !== undefined && child !== ""));
  return element;
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes ?? {})) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const number = value => value.toLocaleString("en-US");
const plural = (count, noun) => `${number(count)} ${count === 1 ? noun : `${noun}s`}`;
const unique = values => [...new Set(values)];

const SIGNS = { pass: "✓", known: "≈", unexpected: "✗", unsupported: "–", "not-run": "○" };
const SAID = { pass: "pass", known: "known", unexpected: "unexpected", unsupported: "unsupported", "not-run": "not run" };

function badge(word, text) {
  return h("span", { class: `badge ${word}` }, text ?? word);
}

// A link where the text is one of the web, else the text.
function linked(text) {
  const web = /^https?:\/\/[^\s<>"'`\\|()[\]]+$/.test(text);
  return web ? h("a", { href: text, rel: "noreferrer" }, text) : h("code", null, text);
}
