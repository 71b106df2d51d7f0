// How right the champion is, and how that went.

import { ours } from "./api.js";
import { draw, ofAccuracy, ofRates } from "./chart.js";
import { byId, el, show } from "./dom.js";
import { exactPercent, percent } from "./figures.js";
import { state } from "./state.js";
import { moment, text } from "./texts.js";
import { stateWord } from "./wrong.js";

const RANGES = [7, 30, 90];
const LOOKS = { ok: "good", low: "warm", warn: "warm", failing: "bad", unknown: "quiet" };
let days = 7;
let found = null;
let chart = null;

export function makeAccuracy(place) {
  place.append(...["accuracy-now", "accuracy-ranges", "accuracy-chart", "accuracy-changes"].map((id) => el("div", { id })));
  byId("accuracy-chart").className = "chart";
  new ResizeObserver(() => chart?.setSize({ width: byId("accuracy-chart").clientWidth, height: chart.height })).observe(place);
}

export function accuracy() {
  const { seen, rates, bars } = state.overview;
  // Under another type's name its chart would be taken for that one's, until its own comes.
  if (found && found.kind !== state.kind) clear();
  const look = rates ? rates.seen : seen;
  const said = look ? (rates ? ofFaces(look, rates.bars) : now(look, [bars.alert, bars.rollback])) : [el("p", {}, text("noLook"))];
  show(byId("accuracy-now"), el("h2", {}, text(rates ? "liveRates" : "liveAccuracy")), ...said);
  show(byId("accuracy-ranges"), el("div", { class: "row" }, RANGES.map(range)));
}

const badge = (seen) => el("span", { class: `badge ${LOOKS[seen.state]}` }, stateWord(seen));

// Of face models people are counted: who was refused wrongly, and for whom somebody else was taken. What no bar decides about says so.
function ofFaces(seen, bars) {
  const rate = (key, one, bar) => {
    const said = (share) => percent(share, bar ? [bar.alert, bar.most] : []);
    const counted = one.share === null ? "" : ` · ${text("rateOf", { ...one, low: said(one.low), high: said(one.high) })}`;
    const compared = bar ? el("span", { class: "quiet" }, ` · ${text("rateBars", { alert: exactPercent(bar.alert), most: exactPercent(bar.most) })}`) : "";
    return el("li", {}, `${text(key)}: `, el("strong", {}, said(one.share)), counted, compared);
  };
  const ofSought = [["unnamed", seen.unnamed], ["misnamed", seen.misnamed]].filter(([, one]) => one.share !== null);
  return [
    el("p", {}, el("strong", {}, `${seen.version} `), badge(seen)),
    el("ul", { id: "face-rates" }, rate("wronglyRefused", seen.refused, bars.refused), rate("wronglyAccepted", seen.accepted, bars.accepted), ofSought.map(([key, one]) => rate(key, one))),
    el("p", { class: "quiet" }, text("lookedAt", { at: moment(seen.at) })),
    el("p", {}, seen.decision),
  ];
}

function now(seen, bars) {
  const said = (share) => percent(share, bars);
  const blind = seen.blind_confirmed
    ? ` · ${text("blindOf", { share: said(seen.blind_agreed / seen.blind_confirmed), confirmed: seen.blind_confirmed })}`
    : "";
  // Of none there is no share, and an interval of everything says nothing.
  const measured = [text("agreement"), text("intervalOf", { low: said(seen.low), high: said(seen.high), confirmed: seen.confirmed })];
  const about = [...(seen.confirmed ? measured : []), text("lookedAt", { at: moment(seen.at) })].join(" · ");
  return [
    el("p", {}, el("strong", {}, `${seen.version} ${seen.confirmed ? said(seen.accuracy) : ""} `), badge(seen)),
    el("p", { class: "quiet" }, about + blind),
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
  found = { ...answer, kind: state.kind };
  redraw();
}

function clear() {
  found = null;
  chart?.destroy();
  chart = null;
  byId("accuracy-chart").replaceChildren();
  show(byId("accuracy-changes"));
}

export function redraw() {
  if (!found || !state.overview) return;
  const place = byId("accuracy-chart");
  chart?.destroy();
  chart = null;
  place.replaceChildren();
  const { bars, rates } = state.overview;
  if (found.looks.length) chart = draw(place, found, rates ? ofRates(rates.bars, rates.min_people) : ofAccuracy(bars), days);
  else if (!rates) place.append(el("p", { class: "quiet" }, text("noReadings")));
  const lines = [...found.marks].reverse().map((one) => el("li", {}, told(one)));
  show(byId("accuracy-changes"), lines.length > 0 && el("details", {}, el("summary", {}, text("changes")), el("ul", {}, lines)));
}

const told = (one) => text("change", { ...one, at: moment(one.at), kind: text(`kind_${one.kind}`), before: one.before ?? "–" });
