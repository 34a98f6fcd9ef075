// What every page does: theme, times in the viewer's zone, parts that are kept up to date. Without it a page is whole.
import { showTimes, tellZone } from "./times.js";
import { bringDraftBack, keepWhatIsSent } from "./drafts.js";
import { follow } from "./live.js";
import { offerPause, toEnds } from "./lines.js";
import { offerTheme } from "./themes.js";
import { offerSliders } from "./weights.js";

offerTheme(document.getElementById("theme"));
tellZone();
showTimes(document);
setInterval(() => showTimes(document), 20_000);
toEnds(document);
offerPause(document.querySelector("button[data-pauses]"));
offerSliders(document.querySelector("form[data-weights]"));
bringDraftBack();
keepWhatIsSent();
follow(document.body.dataset.live, document.getElementById("live"));
// Back from another page, as it was left: who may see it, and what it says, may be another thing by now.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
