// The button that goes through the themes: the system's, light, dark. The choice stays in this browser.
const NAMES = { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" };
const NEXT = { "": "light", light: "dark", dark: "" };

export function offerTheme(button) {
  const root = document.documentElement;
  const show = () => { button.textContent = NAMES[root.dataset.theme ?? ""]; };
  button.addEventListener("click", () => {
    const next = NEXT[root.dataset.theme ?? ""];
    if (next) {
      root.dataset.theme = next;
      localStorage.setItem("theme", next);
    } else {
      delete root.dataset.theme;
      localStorage.removeItem("theme");
    }
    show();
  });
  show();
  button.hidden = false;
}
