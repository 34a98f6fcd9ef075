// Zooming: a chart's figures drawn once more by plotly, which is loaded when somebody presses the button and not before.
// Its rules of style go into a stylesheet of ours, for nothing inline is let through.
const SHEET = "plotly.js-style-global";
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
  const { percent, lines } = JSON.parse(figure.dataset.lines);
  const style = getComputedStyle(figure);
  const colour = (place) => style.getPropertyValue(`--share-${(place + 1) % 6}`);
  const ink = style.color;
  const traces = lines.flatMap((line, place) => {
    // A moment is shown by the clock of whoever looks; a date is the day of the app, wherever that is.
    const x = line.points.map(([at]) => (typeof at === "number" ? new Date(at) : at));
    const drawn = { x, y: line.points.map(([, value]) => value), name: line.name, mode: "lines+markers", line: { color: resolve(colour(place), figure) } };
    if (!line.low.length) return [drawn];
    const edge = { x, mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false };
    return [{ ...edge, y: line.low }, { ...edge, y: line.high, fill: "tonexty", fillcolor: "rgba(128,128,128,0.25)" }, drawn];
  });
  const place = document.createElement("div");
  place.className = "zoomed";
  const picture = figure.querySelector(".picture");
  picture.hidden = true;
  picture.after(place);
  const axis = { gridcolor: "rgba(128,128,128,0.25)", zerolinecolor: "rgba(128,128,128,0.8)" };
  window.Plotly.newPlot(
    place,
    traces,
    {
      font: { color: ink, family: style.fontFamily },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 64, r: 16, t: 8, b: 40 },
      xaxis: { ...axis, type: "date" },
      yaxis: { ...axis, tickformat: percent ? ".2%" : "" },
      legend: { orientation: "h" },
      dragmode: "zoom",
    },
    { displayModeBar: false, responsive: true, scrollZoom: true },
  );
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
