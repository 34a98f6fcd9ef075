// Parts of a page that are kept up to date: each comes as HTML, made by the same templates, and its element becomes it.
import { noticeSilence, refusal, signInAgain } from "./heard.js";
import { append, keepEnds } from "./lines.js";
import { morph } from "./morph.js";
import { showTimes } from "./times.js";
import { takeTurns } from "./turns.js";

const AGAIN_MS = 5000;
// 5 s: a stream that ends each ten minutes is begun again within two; that is no news, and nobody has to hear it.
const GONE_MS = 5000;

export function follow(address, sign) {
  if (!address) return;
  const state = (word, kind) => {
    sign.hidden = false;
    sign.dataset.kind = kind;
    if (sign.textContent !== word) sign.textContent = word;
  };
  let source = null;
  let again = null;
  let gone = null;

  const begin = () => {
    clearTimeout(again);
    source?.close();
    turns.take();
    source = new EventSource(address);
    listen(source);
    source.addEventListener("open", () => {
      clearTimeout(gone);
      gone = null;
      state("Live", "on");
    });
    source.addEventListener("part", (event) => {
      const { id, html } = JSON.parse(event.data);
      replace(id, html);
      state("Live", "on");
    });
    source.addEventListener("lines", (event) => append(JSON.parse(event.data)));
    source.addEventListener("say", (event) => say(JSON.parse(event.data)));
    source.addEventListener("trouble", (event) => state(`Not up to date: ${JSON.parse(event.data)}`, "off"));
    source.addEventListener("over", signInAgain);
    source.addEventListener("error", () => {
      gone ??= setTimeout(() => state("Connecting again", "off"), GONE_MS);
      if (source.readyState !== EventSource.CLOSED) return;
      again = setTimeout(begin, AGAIN_MS);
      refusal(address).then((reason) => {
        if (!reason) return;
        clearTimeout(gone);
        gone = null;
        state(`Not up to date: ${reason}`, "off");
      });
    });
  };
  const end = () => {
    clearTimeout(again);
    clearTimeout(gone);
    gone = null;
    source?.close();
    if (source) turns.leave();
    source = null;
    listen(source);
  };
  const listen = noticeSilence(() => {
    state("Connecting again", "off");
    end();
    begin();
  });
  const turns = takeTurns({
    go: () => document.hidden || begin(),
    stop: () => {
      if (!source) return false;
      end();
      state("Kept still: other windows are live. Click to go on", "off");
      return true;
    },
  });
  // A page that nobody sees is not kept up to date: browsers have few connections for each host.
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : source ?? begin()));
  window.addEventListener("pagehide", end);
  if (!document.hidden) begin();
}

// What somebody who does not see the page is to know, in an element that stays.
function say(text) {
  const place = document.getElementById("said-live");
  if (place) place.textContent = text;
}

function replace(id, html) {
  const old = document.getElementById(id);
  if (!old) return;
  const made = document.createElement("template");
  made.innerHTML = html;
  showTimes(made.content);
  keepEnds(old, () => morph(old, made.content.firstElementChild));
}
