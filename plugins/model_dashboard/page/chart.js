// Live accuracy over time: its interval, the blind sample, both bars, and what happened to the models.

/* global uPlot */
import { label, ROW } from "./labels.js";
import { language } from "./surroundings.js";
import { percent, text } from "./texts.js";

const ENOUGH_BLIND = 20;
const MOST_ROWS = 3;
const PLOT = 240;
const DAY = 86_400;
const seconds = (iso) => Date.parse(iso) / 1000;
const color = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

export function draw(place, found, bars, days) {
  const looks = found.looks;
  const happened = found.marks.filter((one) => seconds(one.at) >= seconds(found.since) && seconds(one.at) <= seconds(found.until));
  const rows = Math.min(MOST_ROWS, happened.length);
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
      height: PLOT + rows * ROW,
      padding: [8 + rows * ROW, null, null, null],
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { x: { range: [seconds(found.since), seconds(found.until)] }, y: { range: [Math.max(0, lowest), 1.005] } },
      axes: [{ ...axis, space: 60, values: times }, { ...axis, size: 52, values: (_, all) => all.map((one) => percent(one, 0)) }],
      bands: [{ series: [1, 2], fill: color("--band") }],
      series: [
        {},
        line("high", "transparent", { points: { show: false } }),
        line("low", "transparent", { points: { show: false } }),
        line(text("liveAccuracy"), color("--accent"), { width: 2 }),
        line("blind", color("--warm"), { dash: [2, 4] }),
      ],
      hooks: { draw: [(made) => marks(made, happened, bars, rows)] },
    },
    data,
    place,
  );
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", text("chartLabel", { days, marks: found.marks.length }));
  return chart;
}

function marks(chart, happened, bars, rows) {
  const { ctx, bbox } = chart;
  const across = [["warm", bars.alert], ["bad", bars.rollback]].map(([look, bar]) => ({ look, text: percent(bar, 0), y: chart.valToPos(bar, "y") }));
  const down = happened.map((one) => ({ look: lookOf(one), text: flag(one), x: chart.valToPos(seconds(one.at), "x") }));
  const tops = label(chart.over, across, down, rows);
  ctx.save();
  ctx.lineWidth = devicePixelRatio;
  const line = (look, dash, ...ends) => {
    ctx.strokeStyle = color(`--${look}`);
    ctx.setLineDash(dash);
    ctx.beginPath();
    for (const [i, [x, y]] of ends.entries()) ctx[i ? "lineTo" : "moveTo"](bbox.left + x * devicePixelRatio, bbox.top + y * devicePixelRatio);
    ctx.stroke();
  };
  for (const one of across) line(one.look, [6, 4], [0, one.y], [chart.over.clientWidth, one.y]);
  down.forEach((one, i) => line(one.look, [], [one.x, tops[i]], [one.x, chart.over.clientHeight]));
  ctx.restore();
}

const isBack = ({ kind }) => kind.startsWith("rollback");
const flag = (one) => (isBack(one) ? "↩ " : "") + one.version;

function lookOf(one) {
  const { kind } = one;
  if (isBack(one)) return "bad";
  return kind.includes("promote") || kind === "forced" ? "good" : "quiet";
}

// The hour where ticks are less than a day apart, and the day under the first tick of each.
function times(_, ticks, __, ___, apart) {
  const day = new Intl.DateTimeFormat(language(), { month: "numeric", day: "numeric" });
  const hour = new Intl.DateTimeFormat(language(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  let before = null;
  return ticks.map((tick) => {
    const at = new Date(tick * 1000);
    if (apart >= DAY) return day.format(at);
    const shown = day.format(at) === before ? "" : `\n${day.format(at)}`;
    before = day.format(at);
    return hour.format(at) + shown;
  });
}
