// Two plots: latency by rate of the link, latency by cut. Colours come from the page, so that light and dark agree.
const chart = JSON.parse(document.getElementById("chart").textContent);
const palette = ["#5661b3", "#c2571a", "#a23b72", "#7a8b16", "#2f86c1", "#8a5a2b", "#6b7280", "#c9a227", "#3f9b52"];

function colour(name) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(--${name})`;
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function layout(x, y) {
  const family = getComputedStyle(document.body).fontFamily;
  const ink = colour("ink"), soft = colour("soft"), line = colour("line"), page = colour("page");
  const common = { gridcolor: line, linecolor: line, zeroline: false, tickfont: { color: soft }, automargin: true };
  return {
    font: { family, size: 13, color: ink }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    hovermode: "x unified", height: 440, margin: { l: 56, r: 12, t: 12, b: 52 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: soft } },
    hoverlabel: { bgcolor: page, bordercolor: soft, font: { family, color: ink, size: 13 }, align: "left" },
    xaxis: { ...common, ...x, title: { text: x.title, font: { color: soft } } },
    yaxis: { ...common, ...y, title: { text: y.title, font: { color: soft } } },
  };
}

function mark(axis, at, text) {
  const soft = colour("soft"), other = axis === "x" ? "y" : "x";
  const ends = { [`${axis}0`]: at, [`${axis}1`]: at, [`${other}0`]: 0, [`${other}1`]: 1, [`${other}ref`]: "paper" };
  return {
    shape: { type: "line", ...ends, line: { color: soft, width: 1, dash: "dot" } },
    note: { text, [axis]: axis === "x" && at > 0 && text === "this link" ? Math.log10(at) : axis === "y" ? Math.log10(at) : at, [other]: 1, [`${other}ref`]: "paper",
      [`${other}anchor`]: axis === "x" ? "top" : "right", [`${axis}anchor`]: axis === "x" ? "left" : "bottom", showarrow: false, font: { color: soft, size: 12 } },
  };
}

function lines(rows, x, key) {
  const accent = colour("accent");
  let next = 0;
  return rows.map((row) => ({
    name: row.how ?? row.name, type: "scatter", mode: "lines", x: row[x] ?? chart.sweep.mbps, y: row[key],
    line: { color: row.chosen ? accent : palette[next++ % palette.length], width: row.chosen ? 3 : 1.5 },
    hovertemplate: "%{y:.3g} ms",
  }));
}

function draw() {
  const plain = { displaylogo: false, displayModeBar: false, responsive: true };
  const limit = chart.limit_ms ? [mark("y", chart.limit_ms, "limit")] : [];
  const rates = [mark("x", chart.mbps, "this link"), ...limit];
  Plotly.react(document.getElementById("rates"), lines(chart.sweep.lines, "mbps", "latency_ms"), {
    ...layout({ title: "Rate, Mbit/s", type: "log", dtick: 1 }, { title: "Latency, ms", type: "log", dtick: 1 }),
    shapes: rates.map((one) => one.shape), annotations: rates.map((one) => one.note),
  }, plain);
  const cuts = [...(chart.chosen_after === null ? [] : [mark("x", chart.chosen_after, "the plan")]), ...limit];
  Plotly.react(document.getElementById("cuts"), lines(chart.cuts, "after", "latency_ms"), {
    ...layout({ title: "Layers on the device", rangemode: "tozero" }, { title: "Latency, ms", type: "log", dtick: 1 }),
    shapes: cuts.map((one) => one.shape), annotations: cuts.map((one) => one.note),
  }, plain);
}

document.getElementById("theme").addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.style.colorScheme || (dark ? "dark" : "light");
  document.documentElement.style.colorScheme = now === "dark" ? "light" : "dark";
  draw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw();
