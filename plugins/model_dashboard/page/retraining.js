// What stands between now and the next retraining, and the one that runs.

import { button, openPanel } from "./acts.js";
import { byId, el, show } from "./dom.js";
import { retrainingDag, state, whyNot } from "./state.js";
import { moment, text } from "./texts.js";
import { withheld } from "./withholding.js";

export function makeRetraining(place) {
  place.append(...["retraining-now", "retraining-acts", "retraining-panel"].map((id) => el("div", { id })));
}

export function retraining() {
  const r = state.overview.retraining;
  show(
    byId("retraining-now"),
    el("h2", {}, text("retraining")),
    running(r),
    bar("correctionsOf", r.corrections, r.needed),
    r.needed_people === null ? null : bar("peopleOf", r.people ?? 0, r.needed_people),
    r.days === null ? el("p", {}, text("neverTrained")) : r.min_days ? bar("daysOf", r.days, r.min_days) : null,
    el("p", { class: "quiet" }, text(r.urgent === null ? "beginsAtNight" : "begins", { cheap: r.cheap, urgent: r.urgent })),
    ...(state.overview.complete ? withheld(byId("retraining-panel")) : []),
    el("h3", {}, text("lastAnswers")),
    r.answers.length ? el("ul", { class: "plain" }, r.answers.map(answer)) : el("p", { class: "quiet" }, text("noAnswers")),
  );
  const first = state.overview.complete || state.overview.champion ? null : text("firstFace");
  const why = r.running ? text("runsAlready") : (first ?? whyNot(retrainingDag()));
  show(byId("retraining-acts"), el("div", { class: "row" }, button(text("retrainNow"), why, open)));
}

function bar(key, n, needed) {
  const said = text(key, { n, needed });
  return el("p", {}, said, el("progress", { max: needed || 1, value: Math.min(n, needed || 1), "aria-label": said }));
}

function running(r) {
  if (!r.running) return null;
  const stage = state.running ? ` · ${text("stage", { stage: state.running })}` : "";
  return el("p", { class: "notice" }, text("runningNow", { run: r.running.run_id, since: moment(r.running.since) }) + stage);
}

const answer = (one) =>
  el("li", {}, el("span", { class: `badge ${one.due ? "good" : "quiet"}` }, text(one.due ? "due" : "notDue")), ` ${one.reason} `, el("span", { class: "quiet" }, `${moment(one.at)} · ${one.asked_by}`));

function open() {
  const o = state.overview;
  const dag = retrainingDag();
  openPanel(byId("retraining-panel"), {
    confirm: () => text("retrainSure"),
    request: () => [dag, { force: true }, `${o.retraining.answers[0]?.at ?? ""}~${o.position}`],
    watch: async () => ({ done: true, lines: [] }),
    done: () => text("started"),
    opener: () => byId("retraining-acts").querySelector("button"),
  });
}
