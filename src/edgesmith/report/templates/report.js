// The plot of the candidates. Its data lies in #chart; colours come from the page, so that light, dark and print agree.
const chart = JSON.parse(document.getElementById("chart").textContent);
const plot = document.getElementById("pareto");
const choices = [...document.querySelectorAll(".choices button")];
let chosen = Math.max(chart.axes.findIndex((axis) => axis.key === "latency_ms"), 0);

function colour(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function marks(axis, group, name, marker) {
  const at = chart.group.flatMap((value, index) => (value === group && axis.values[index] !== null ? [index] : []));
  return {
    name, type: "scatter", mode: "markers", marker, cliponaxis: false,
    x: at.map((i) => axis.values[i]), y: at.map((i) => chart.accuracy[i]), text: at.map((i) => chart.hover[i]),
    hovertemplate: "%{text}<extra></extra>", showlegend: at.length > 0,
  };
}

function traces(axis) {
  const accent = colour("accent"), soft = colour("soft"), page = colour("page");
  return [
    {
      name: "best trade-offs", type: "scatter", mode: "lines", hoverinfo: "skip",
      x: axis.front.map((i) => axis.values[i]), y: axis.front.map((i) => chart.accuracy[i]),
      line: { color: accent, width: 1.5, shape: "hv" }, showlegend: axis.front.length > 1,
    },
    marks(axis, "infeasible", "breaks a limit", { color: page, size: 8, opacity: 0.7, line: { color: soft, width: 1.25 } }),
    marks(axis, "fits", "fits", { color: accent, size: 9, line: { color: page, width: 1 } }),
    marks(axis, "best", "chosen", { color: accent, size: 15, symbol: "diamond", line: { color: page, width: 2 } }),
  ];
}

function limits(axis) {
  const alarm = colour("alarm"), line = { color: alarm, width: 1, dash: "dot" };
  const shapes = [], annotations = [];
  const label = { showarrow: false, font: { color: alarm, size: 12 } };
  if (axis.limit !== null) {
    shapes.push({ type: "line", x0: axis.limit, x1: axis.limit, yref: "paper", y0: 0, y1: 1, line });
    const x = axis.log ? Math.log10(axis.limit) : axis.limit;
    annotations.push({ ...label, text: "limit", x, xanchor: "left", xshift: 5, yref: "paper", y: 0, yanchor: "bottom" });
  }
  if (chart.least !== null) {
    shapes.push({ type: "line", y0: chart.least, y1: chart.least, xref: "paper", x0: 0, x1: 1, line });
    annotations.push({ ...label, text: "least", y: chart.least, yanchor: "bottom", xref: "paper", x: 1, xanchor: "right" });
  }
  return { shapes, annotations };
}

// 1, 2 and 5 of every decade: plotly's own labels leave out the zeros.
function decades(axis) {
  const values = axis.values.filter((value) => value !== null);
  const from = Math.floor(Math.log10(Math.min(...values))), to = Math.ceil(Math.log10(Math.max(...values)));
  const exponents = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  return exponents.flatMap((exponent) => [1, 2, 5].map((step) => Number(`${step}e${exponent}`)));
}

function layout(axis) {
  const family = getComputedStyle(document.body).fontFamily;
  const ink = colour("ink"), soft = colour("soft"), line = colour("line"), page = colour("page");
  const common = { gridcolor: line, linecolor: line, zeroline: false, tickfont: { color: soft }, automargin: true };
  return {
    ...limits(axis),
    font: { family, size: 13, color: ink },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
    margin: { l: 56, r: 12, t: 12, b: 52 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: soft }, itemclick: false, itemdoubleclick: false },
    hoverlabel: { bgcolor: page, bordercolor: soft, font: { family, color: ink, size: 13 }, align: "left" },
    xaxis: { ...common, title: { text: axis.title, font: { color: soft, size: 13 } }, ...(axis.log ? { type: "log", tickvals: decades(axis), ticktext: decades(axis).map(String) } : {}) },
    yaxis: { ...common, title: { text: chart.metric, font: { color: soft, size: 13 } } },
  };
}

function draw() {
  const axis = chart.axes[chosen];
  choices.forEach((button, index) => button.setAttribute("aria-pressed", String(index === chosen)));
  Plotly.react(plot, traces(axis), layout(axis), { displaylogo: false, displayModeBar: false, responsive: true });
}

choices.forEach((button, index) => button.addEventListener("click", () => { chosen = index; draw(); }));
document.addEventListener("themechange", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
addEventListener("beforeprint", draw);
addEventListener("afterprint", draw);
draw();
