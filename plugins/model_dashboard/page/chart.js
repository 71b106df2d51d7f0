// How well a model does over time: what is drawn, bars across, and what happened to the models.

/* global uPlot */
import { exactPercent } from "./figures.js";
import { label, ROW } from "./labels.js";
import { knownAccuracy, knownShare } from "./known.js";
import { language } from "./surroundings.js";
import { text } from "./texts.js";

const ENOUGH_BLIND = 20;
const MOST_ROWS = 3;
const PLOT = 240;
const DAY = 86_400;
const seconds = (iso) => Date.parse(iso) / 1000;
const color = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

// Lines of a chart: `of` takes the value out of a look, null where nothing is known; two of them may have a band between.

export function ofAccuracy(bars) {
  const known = (value) => (look) => (knownAccuracy(look) === null ? null : value(look));
  return {
    lines: [
      hidden("high", known((look) => look.high)),
      hidden("low", known((look) => look.low)),
      { label: text("liveAccuracy"), stroke: "--accent", width: 2, of: known((look) => look.accuracy) },
      { label: "blind", stroke: "--warm", dash: [2, 4], of: (look) => (look.blind_confirmed >= ENOUGH_BLIND ? look.blind_agreed / look.blind_confirmed : null) },
    ],
    bands: [[1, 2]],
    across: [["warm", bars.alert], ["bad", bars.rollback]],
    range: ([, lows]) => [Math.max(0, Math.min(bars.rollback, ...lows) - 0.03), 1.005],
    label: "chartLabel",
  };
}

// Of faces two rates of error, each with its own interval, from nothing up.
export function ofRates(bars, minPeople) {
  const rate = (name, part) => (look) => (knownShare(look[name], minPeople) === null ? null : look[name][part]);
  const both = [["refused", "wronglyRefused", "--accent"], ["accepted", "wronglyAccepted", "--warm"]];
  const lines = both.flatMap(([name, key, stroke]) => [
    hidden(`${name} high`, rate(name, "high")),
    hidden(`${name} low`, rate(name, "low")),
    { label: text(key), stroke, width: 2, of: rate(name, "share") },
  ]);
  const across = both.flatMap(([name]) => [["warm", bars[name].alert], ["bad", bars[name].most]]);
  const most = Math.max(...across.map(([, bar]) => bar));
  const top = (shares) => Math.min(1, Math.max(most, ...shares) + 0.03);
  return { lines, bands: [[1, 2], [4, 5]], across, range: (drawn) => [0, top([...drawn[2], ...drawn[5]])], label: "ratesChartLabel" };
}

const hidden = (name, of) => ({ label: name, stroke: null, points: { show: false }, of });

export function draw(place, found, shape, days) {
  const looks = found.looks;
  const happened = found.marks.filter((one) => seconds(one.at) >= seconds(found.since) && seconds(one.at) <= seconds(found.until));
  const rows = Math.min(MOST_ROWS, happened.length);
  const drawn = shape.lines.map((one) => looks.map(one.of));
  const range = shape.range(drawn.map((values) => values.filter((one) => one !== null)));
  const axis = { stroke: color("--quiet"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const line = ({ of: _of, stroke, ...more }) => ({ stroke: stroke ? color(stroke) : "transparent", points: { show: looks.length < 3 }, ...more });
  const chart = new uPlot(
    {
      width: place.clientWidth,
      height: PLOT + rows * ROW,
      padding: [8 + rows * ROW, null, null, null],
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { x: { range: [seconds(found.since), seconds(found.until)] }, y: { range } },
      axes: [{ ...axis, space: 60, values: times }, { ...axis, size: 52, values: (_, all) => all.map(exactPercent) }],
      bands: shape.bands.map((series) => ({ series, fill: color("--band") })),
      series: [{}, ...shape.lines.map(line)],
      hooks: { draw: [(made) => marks(made, happened, shape.across, rows)] },
    },
    [looks.map((look) => seconds(look.at)), ...drawn],
    place,
  );
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", text(shape.label, { days, marks: found.marks.length }));
  return chart;
}

function marks(chart, happened, bars, rows) {
  const { ctx, bbox } = chart;
  const across = bars.map(([look, bar]) => ({ look, text: exactPercent(bar), y: chart.valToPos(bar, "y") }));
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
