// One line a method, a point a width. Colours of text and grid come from the page, so that light, dark and print agree.
const chart = JSON.parse(document.getElementById("chart").textContent);
const plot = document.getElementById("plot");
const choices = [...document.querySelectorAll(".choices button")];
const palette = ["#0b7a70", "#c2571a", "#5661b3", "#a23b72", "#7a8b16", "#2f86c1", "#8a5a2b", "#6b7280", "#c9a227", "#3f9b52"];
const symbols = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon", "pentagon", "triangle-down"];
let chosen = 0;

function colour(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function trace(series, index, axis) {
  const shade = palette[index % palette.length];
  return {
    name: series.name, type: "scatter", mode: series.bits.length > 1 ? "lines+markers" : "markers", connectgaps: true,
    x: series.costs[axis.key].map((value) => (value === null ? null : value / axis.scale)), y: series.quality,
    text: series.bits.map((bits) => `${series.name}, ${bits} bits`),
    line: { color: shade, width: 1.5 }, marker: { color: shade, size: 9, symbol: symbols[index % symbols.length] },
    hovertemplate: "<b>%{text}</b><br>%{y:.4g}<br>%{x:.4g}<extra></extra>", cliponaxis: false,
  };
}

function draw() {
  const axis = chart.axes[chosen], family = getComputedStyle(document.body).fontFamily;
  const ink = colour("ink"), soft = colour("soft"), line = colour("line"), page = colour("page");
  const common = { gridcolor: line, linecolor: line, zeroline: false, tickfont: { color: soft }, automargin: true };
  choices.forEach((button, index) => button.setAttribute("aria-pressed", String(index === chosen)));
  Plotly.react(plot, chart.series.map((series, index) => trace(series, index, axis)), {
    font: { family, size: 13, color: ink }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hovermode: "closest", height: 480, margin: { l: 56, r: 12, t: 12, b: 52 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: soft } },
    hoverlabel: { bgcolor: page, bordercolor: soft, font: { family, color: ink, size: 13 }, align: "left" },
    xaxis: { ...common, title: { text: axis.title, font: { color: soft } }, rangemode: "tozero" },
    shapes: chart.float.map((y) => ({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y, line: { color: soft, width: 1, dash: "dot" } })),
    annotations: chart.float.map((y) => ({ text: "float", xref: "paper", x: 1, xanchor: "right", y, yanchor: "bottom", showarrow: false, font: { color: soft, size: 12 } })),
    yaxis: { ...common, title: { text: chart.metric, font: { color: soft } } },
  }, { displaylogo: false, displayModeBar: false, responsive: true });
}

document.getElementById("theme").addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.style.colorScheme || (dark ? "dark" : "light");
  document.documentElement.style.colorScheme = now === "dark" ? "light" : "dark";
  draw();
});
choices.forEach((button, index) => button.addEventListener("click", () => { chosen = index; draw(); }));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
