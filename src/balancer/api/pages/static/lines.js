// Logs that grow: lines come as events and are added at the end; who has scrolled up, or paused, is left in peace.
import { showTimes } from "./times.js";

const SHOWN = 2000;
const HELD = 5000;
const held = [];
let paused = false;
let tell = () => {};

export function append({ id, lines, skipped }) {
  const log = document.getElementById(id);
  if (!log) return;
  const made = skipped ? [{ text: `… ${skipped} lines came faster than they could be shown` }, ...lines] : lines;
  if (paused && log.dataset.log === "pausable") {
    held.push(...made.map((line) => [id, line]));
    held.splice(0, Math.max(0, held.length - HELD));
    tell();
    return;
  }
  add(log, made);
}

function add(log, lines) {
  const atEnd = isAtEnd(log);
  const made = document.createDocumentFragment();
  for (const line of lines) made.append(element(line));
  showTimes(made);
  log.querySelector(".none")?.remove();
  log.append(made);
  while (log.childElementCount > SHOWN) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function element({ at, name, text }) {
  const line = document.createElement("div");
  line.className = "line";
  if (at) {
    const time = document.createElement("time");
    time.dateTime = at;
    time.dataset.as = "clock";
    line.append(time, " ");
  }
  if (name) {
    const source = document.createElement("span");
    source.className = "source";
    source.textContent = name;
    line.append(source, " ");
  }
  const said = document.createElement("span");
  said.textContent = text;
  line.append(said);
  return line;
}

// The logs of an element, which may be one itself, are shown from their ends.
export function toEnds(element) {
  for (const log of logsOf(element)) log.scrollTop = log.scrollHeight;
}

// After a change they still are, those of which somebody reads an earlier part excepted.
export function keepEnds(element, change) {
  const read = logsOf(element).filter((log) => !isAtEnd(log)).map((log) => [log, log.scrollTop]);
  const next = change();
  toEnds(next);
  for (const [log, top] of read) log.scrollTop = top;
}

function logsOf(element) {
  const within = [...element.querySelectorAll("[data-log]")];
  return element.matches?.("[data-log]") ? [element, ...within] : within;
}

function isAtEnd(log) {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 24;
}

export function offerPause(button) {
  if (!button) return;
  const show = () => {
    button.textContent = paused ? `Go on${held.length ? ` (${held.length} new)` : ""}` : "Pause";
    button.setAttribute("aria-pressed", String(paused));
  };
  tell = show;
  button.addEventListener("click", () => {
    paused = !paused;
    if (!paused) {
      for (const [id, line] of held.splice(0)) {
        const log = document.getElementById(id);
        if (log) add(log, [line]);
      }
    }
    show();
  });
  show();
  button.hidden = false;
}
