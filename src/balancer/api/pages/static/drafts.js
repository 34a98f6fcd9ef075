// What was half typed when a session ended: it is there again once the same person has signed in to the same page.
// It stays in this tab, and goes with the next page that is not the one where one signs in. What is secret is not kept.
const KEY = "balancer-draft";
const SECRET = "[type=hidden], [type=password], [data-secret]";

export function keepDraft() {
  const fields = [...document.querySelectorAll("main form")].flatMap((form, place) =>
    [...form.elements]
      .filter((field) => field.name && !field.matches(SECRET) && isTyped(field))
      .map((field) => ({ place, form: form.getAttribute("action"), name: field.name, value: valueOf(field) })),
  );
  if (fields.length) sessionStorage.setItem(KEY, JSON.stringify({ at: here(), who: who(), fields, ended: false }));
}

export function bringDraftBack() {
  const draft = JSON.parse(sessionStorage.getItem(KEY));
  if (!draft) return;
  if (document.querySelector("form[action='/sign-in']")) {
    sessionStorage.setItem(KEY, JSON.stringify({ ...draft, ended: true }));
    return;
  }
  sessionStorage.removeItem(KEY);
  if (!draft.ended || draft.at !== here() || draft.who !== who()) return;
  const forms = [...document.querySelectorAll("main form")];
  for (const { place, form, name, value } of draft.fields) {
    const found = forms[place]?.getAttribute("action") === form ? forms[place] : forms.find((each) => each.getAttribute("action") === form);
    const field = found && [...found.elements].find((each) => each.name === name);
    if (!field || field.matches(SECRET)) continue;
    if (field.type === "checkbox") field.checked = value;
    else field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  }
}

// A form that changes something leads to where one signs in, too, where its session has ended meanwhile.
export function keepWhatIsSent() {
  document.addEventListener("submit", ({ target }) => target.method === "post" && target.closest("main") && keepDraft());
}

function isTyped(field) {
  if (field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.localName === "select") return field.selectedIndex !== Math.max(0, [...field.options].findIndex((each) => each.defaultSelected));
  return "defaultValue" in field && field.value !== field.defaultValue;
}

function valueOf(field) {
  return field.type === "checkbox" ? field.checked : field.value;
}

function here() {
  return location.pathname + location.search;
}

function who() {
  return document.querySelector(".who .name")?.textContent ?? "";
}
