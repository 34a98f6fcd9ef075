// Zooming: a chart's figures drawn once more by plotly, which is loaded when somebody presses the button and not before.
// Its rules of style go into a stylesheet of ours, for nothing inline is let through.
const SHEET = "plotly.js-style-global";
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
// As in charts.css: lines beside each other are broken in their own ways.
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "dash"];
const DATE = "%-d %b %Y";
const STOPS = [
  { dtickrange: [null, 60_000 - 1], value: `%H:%M:%S\n${DATE}` },
  { dtickrange: [60_000, DAY_MS - 1], value: `%H:%M\n${DATE}` },
  { dtickrange: [DAY_MS, "M1"], value: "%-d %b\n%Y" },
  { dtickrange: ["M1", null], value: "%b\n%Y" },
];
let loading = null;

for (const figure of document.querySelectorAll("figure[data-lines]")) {
  const button = figure.querySelector("button.zoom");
  button.hidden = false;
  button.addEventListener("click", () => toggle(figure, button));
}

async function toggle(figure, button) {
  const zoomed = figure.querySelector(".zoomed");
  if (zoomed) {
    window.Plotly.purge(zoomed);
    zoomed.remove();
    figure.querySelector(".picture").hidden = false;
    button.firstChild.textContent = "Zoom";
    return;
  }
  button.disabled = true;
  try {
    await (loading ??= load());
    draw(figure);
    button.firstChild.textContent = "Back";
  } catch (reason) {
    loading = null;
    button.firstChild.textContent = `Zooming failed (${reason.message}); try again`;
  } finally {
    button.disabled = false;
  }
}

async function load() {
  // It brings styles for its maps as an element, which the policy refuses; there are no maps here, so let it be none.
  const createElement = document.createElement;
  document.createElement = function (tag, options) {
    return createElement.call(this, tag === "style" ? "meta" : tag, options);
  };
  await added("link", { id: SHEET, rel: "stylesheet", href: "/static/zoom.css" });
  await added("script", { src: "/plotly/plotly.min.js" });
}

function added(tag, attributes) {
  return new Promise((resolve, reject) => {
    const element = Object.assign(document.createElement(tag), attributes);
    element.addEventListener("load", resolve);
    element.addEventListener("error", () => {
      element.remove();
      reject(new Error("it could not be loaded"));
    });
    document.head.append(element);
  });
}

function draw(figure) {
  const { percent, unit, logarithmic, lines } = JSON.parse(figure.dataset.lines);
  const style = getComputedStyle(figure);
  const ink = style.color;
  // The colours that the branches have in the chart; a line alone has that of the text, as there.
  const colour = (place) => (lines.length > 1 ? resolve(style.getPropertyValue(`--share-${place % 6}`), figure) : ink);
  const written = percent ? ".2%" : ",.4~g";
  const hasBand = lines.some((line) => line.low.length);
  const places = lines.flatMap((line) => line.points.map(([at]) => at));
  const names = namesOfTwice(places);
  const traces = lines.flatMap((line, place) => {
    const x = line.points.map(([at]) => names?.get(at) ?? placed(at));
    const drawn = {
      x,
      y: line.points.map(([, value]) => value),
      name: plain(line.name),
      mode: "lines+markers",
      line: { color: colour(place), dash: DASHES[place % DASHES.length] },
      hovertemplate: `%{y:${written}} ${plain(unit)}<extra>${plain(line.name)}</extra>`,
    };
    if (!line.low.length) return [drawn];
    drawn.customdata = line.low.map((low, at) => [low, line.high[at]]);
    drawn.hovertemplate = `%{y:${written}} [%{customdata[0]:${written}} to %{customdata[1]:${written}}] ${plain(unit)}<extra>${plain(line.name)}</extra>`;
    const edge = { x, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
    return [{ ...edge, y: line.low }, { ...edge, y: line.high, fill: "tonexty", fillcolor: "rgba(128,128,128,0.25)" }, drawn];
  });
  const place = document.createElement("div");
  place.className = "zoomed";
  const picture = figure.querySelector(".picture");
  picture.hidden = true;
  picture.after(place);
  const axis = { gridcolor: "rgba(128,128,128,0.25)", zerolinecolor: "rgba(128,128,128,0.8)" };
  const up = { tickformat: percent ? ".4~%" : "", title: { text: plain(unit), font: { size: 12 } } };
  if (logarithmic) up.type = "log";
  else if (percent && !hasBand) up.range = [0, 1];
  else if (!hasBand) up.rangemode = "tozero";
  window.Plotly.newPlot(
    place,
    traces,
    {
      font: { color: ink, family: style.fontFamily },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 64, r: 16, t: 8, b: 40 },
      xaxis: names
        ? { ...axis, type: "category", categoryarray: [...names.values()], nticks: 12 }
        : { ...axis, type: "date", ...across(places) },
      yaxis: { ...axis, ...up },
      legend: { orientation: "h" },
      dragmode: "zoom",
      // Wherever the pointer is, it is told the figures of every branch there.
      hovermode: "x unified",
      hoverdistance: -1,
      hoverlabel: { bgcolor: resolve(style.getPropertyValue("--card"), figure), font: { color: ink } },
    },
    { displayModeBar: false, responsive: true, scrollZoom: true },
  );
}

// A moment is shown by the clock of whoever looks; a date is the day of the app, wherever that is.
function placed(at) {
  return typeof at === "number" ? new Date(at) : at.length === 7 ? `${at}-01` : at;
}

// Where a clock that was set back shows an hour twice, each of the two has its own place: by its name, with how far it is
// ahead of UTC, since an axis of times has one place for both. None where no hour comes twice.
function namesOfTwice(places) {
  const moments = [...new Set(places)].filter((at) => typeof at === "number").sort((one, other) => one - other);
  const wall = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  const ahead = new Intl.DateTimeFormat("en-GB", { timeZoneName: "shortOffset" });
  const offset = (at) => ahead.formatToParts(at).find((part) => part.type === "timeZoneName").value;
  const offsets = new Map();
  for (const at of moments) offsets.set(wall.format(at), (offsets.get(wall.format(at)) ?? new Set()).add(offset(at)));
  if (![...offsets.values()].some((each) => each.size > 1)) return null;
  return new Map(moments.map((at) => [at, offsets.get(wall.format(at)).size > 1 ? `${wall.format(at)} ${offset(at)}` : wall.format(at)]));
}

// How times are written, and of few dates that these and no hours between them are named.
function across(places) {
  const dates = places.every((at) => typeof at === "string");
  const only = [...new Set(places)];
  const axis = dates ? { hoverformat: DATE, tickformat: DATE } : { hoverformat: `${DATE} %H:%M:%S`, tickformatstops: STOPS };
  if (dates && only.length <= 12) axis.tickvals = only.map(placed);
  if (only.length === 1) {
    const at = dates ? Date.parse(`${placed(only[0])}Z`) : only[0];
    const [before, after] = [-1, 1].map((side) => new Date(at + side * (dates ? DAY_MS : HOUR_MS)));
    axis.range = dates ? [before.toISOString().slice(0, 10), after.toISOString().slice(0, 10)] : [before, after];
  }
  return axis;
}

// Names of branches and events are anybody's: plotly takes some HTML, and fills in what stands in braces.
function plain(text) {
  return text.replace(/[<>&%{}]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

// A colour that depends on the theme, as the one that it is now.
function resolve(colour, within) {
  const probe = document.createElement("span");
  probe.style.color = colour;
  within.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
