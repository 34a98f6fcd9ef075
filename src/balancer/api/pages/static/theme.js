// The chosen theme, before anything is drawn: "light", "dark", or nothing for what the system has.
const chosen = localStorage.getItem("theme");
if (chosen) document.documentElement.dataset.theme = chosen;
