// Light, dark, or what the system says; kept where the browser keeps anything for a file.

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
  }
}

function startTheme() {
  let kept = null;
  try { kept = localStorage.getItem("conformance-theme"); } catch { /* not allowed for files */ }
  setTheme(["light", "dark"].includes(kept) ? kept : "auto");
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    button.addEventListener("click", () => {
      setTheme(button.dataset.themeChoice);
      try { localStorage.setItem("conformance-theme", button.dataset.themeChoice); } catch { /* as above */ }
    });
  }
}
