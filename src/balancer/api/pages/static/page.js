// What every page does: theme, times in the viewer's zone, parts that are kept up to date. Without it a page is whole.
import { showTimes } from "./times.js";
import { follow } from "./live.js";
import { offerTheme } from "./themes.js";

offerTheme(document.getElementById("theme"));
showTimes(document);
setInterval(() => showTimes(document), 20_000);
follow(document.body.dataset.live, document.getElementById("live"));
