// Live accuracy over time: its interval, the blind sample, both bars, and what happened to the models.

/* global uPlot */
import { percent, text } from "./texts.js";

const ENOUGH_BLIND = 20;
const color = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

export function draw(place, found, bars, days) {
  const looks = found.looks;
  const seconds = (iso) => Date.parse(iso) / 1000;
  const known = (look) => look.state !== "unknown" && look.accuracy !== null;
  const of = (value) => looks.map((look) => (known(look) ? value(look) : null));
  const data = [
    looks.map((look) => seconds(look.at)),
    of((look) => look.high),
    of((look) => look.low),
    of((look) => look.accuracy),
    looks.map((look) => (look.blind_confirmed >= ENOUGH_BLIND ? look.blind_agreed / look.blind_confirmed : null)),
  ];
  const lowest = Math.min(bars.rollback, ...data[2].filter((one) => one !== null)) - 0.03;
  const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const line = (label, stroke, more = {}) => ({ label, stroke, points: { show: looks.length < 3 }, value: (_, one) => percent(one), ...more });
  const chart = new uPlot(
    {
      width: place.clientWidth,
      height: 240,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { x: { range: [seconds(found.since), seconds(found.until)] }, y: { range: [Math.max(0, lowest), 1.005] } },
      axes: [axis, { ...axis, size: 52, values: (_, all) => all.map((one) => percent(one, 0)) }],
      bands: [{ series: [1, 2], fill: color("--band") }],
      series: [
        {},
        line("high", "transparent", { points: { show: false } }),
        line("low", "transparent", { points: { show: false } }),
        line(text("liveAccuracy"), color("--accent"), { width: 2 }),
        line("blind", color("--warm"), { dash: [2, 4] }),
      ],
      hooks: { draw: [(made) => marks(made, found.marks, bars)] },
    },
    data,
    place,
  );
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", text("chartLabel", { days, marks: found.marks.length }));
  return chart;
}

function marks(chart, happened, bars) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.font = `${11 * devicePixelRatio}px sans-serif`;
  for (const [bar, name] of [[bars.alert, "--warm"], [bars.rollback, "--bad"]]) {
    across(ctx, bbox, chart.valToPos(bar, "y", true), color(name), percent(bar, 0));
  }
  for (const one of happened) {
    const back = one.kind.startsWith("rollback");
    const x = chart.valToPos(Date.parse(one.at) / 1000, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    down(ctx, bbox, x, color(back ? "--bad" : one.kind.includes("promote") || one.kind === "forced" ? "--good" : "--quiet"));
    const right = x > bbox.left + bbox.width * 0.9;
    ctx.textAlign = right ? "right" : "left";
    ctx.fillText(`${back ? "↩ " : ""}${one.version}`, right ? x - 4 : x + 4, bbox.top + 12 * devicePixelRatio);
  }
  ctx.restore();
}

function across(ctx, bbox, y, stroke, label) {
  ctx.strokeStyle = ctx.fillStyle = stroke;
  ctx.setLineDash([6, 4]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.fillText(label, bbox.left + 4, y - 4);
}

function down(ctx, bbox, x, stroke) {
  ctx.strokeStyle = ctx.fillStyle = stroke;
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
}
