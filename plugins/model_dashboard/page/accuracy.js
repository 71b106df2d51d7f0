// How right the champion is, and how that went.

import { ours } from "./api.js";
import { draw } from "./chart.js";
import { byId, el, show } from "./dom.js";
import { state } from "./state.js";
import { moment, percent, text } from "./texts.js";

const RANGES = [7, 30, 90];
const LOOKS = { ok: "good", low: "warm", failing: "bad", unknown: "quiet" };
let days = 7;
let found = null;
let chart = null;

export function makeAccuracy(place) {
  place.append(...["accuracy-now", "accuracy-ranges", "accuracy-chart", "accuracy-changes"].map((id) => el("div", { id })));
  byId("accuracy-chart").className = "chart";
  new ResizeObserver(() => chart?.setSize({ width: byId("accuracy-chart").clientWidth, height: chart.height })).observe(place);
}

export function accuracy() {
  const seen = state.overview.seen;
  show(byId("accuracy-now"), el("h2", {}, text("liveAccuracy")), ...(seen ? now(seen) : [el("p", {}, text("noLook"))]));
  show(byId("accuracy-ranges"), el("div", { class: "row" }, RANGES.map(range)));
}

function now(seen) {
  const key = `state${seen.state[0].toUpperCase()}${seen.state.slice(1)}`;
  const blind = seen.blind_confirmed
    ? ` · ${text("blindOf", { share: percent(seen.blind_agreed / seen.blind_confirmed), confirmed: seen.blind_confirmed })}`
    : "";
  const interval = text("intervalOf", { low: percent(seen.low), high: percent(seen.high), confirmed: seen.confirmed });
  return [
    el("p", {}, el("strong", {}, `${seen.version} ${percent(seen.accuracy)} `), el("span", { class: `badge ${LOOKS[seen.state]}` }, text(key))),
    el("p", { class: "quiet" }, `${text("agreement")} · ${interval}${blind} · ${text("lookedAt", { at: moment(seen.at) })}`),
    el("p", {}, seen.decision),
  ];
}

function range(one) {
  const choose = () => {
    days = one;
    accuracy();
    readSightings();
  };
  return el("button", { type: "button", id: `range-${one}`, "aria-pressed": String(one === days), onclick: choose }, text("days", { days: one }));
}

export async function readSightings() {
  const asked = [state.kind, days];
  const answer = await ours("sightings", { model_type: state.kind, days });
  if (asked[0] !== state.kind || asked[1] !== days) return;
  found = answer;
  redraw();
}

export function redraw() {
  if (!found || !state.overview) return;
  const place = byId("accuracy-chart");
  chart?.destroy();
  chart = null;
  place.replaceChildren();
  if (found.looks.length) chart = draw(place, found, state.overview.bars, days);
  else place.append(el("p", { class: "quiet" }, text("noReadings")));
  const lines = [...found.marks].reverse().map((one) => el("li", {}, told(one)));
  show(byId("accuracy-changes"), lines.length > 0 && el("details", {}, el("summary", {}, text("changes")), el("ul", {}, lines)));
}

const told = (one) => text("change", { ...one, at: moment(one.at), kind: text(`kind_${one.kind}`), before: one.before ?? "–" });
