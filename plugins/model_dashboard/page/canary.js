// The version on trial, and what is known of it so far.

import { button, decision, DECISIONS, openPanel } from "./acts.js";
import { ours } from "./api.js";
import { byId, el, show } from "./dom.js";
import { state, whyNot } from "./state.js";
import { moment, text } from "./texts.js";

export function makeCanary(place) {
  place.append(...["canary-now", "canary-acts", "canary-panel"].map((id) => el("div", { id })));
}

export async function readCanary() {
  const kind = state.kind;
  const found = state.overview?.trial ? await ours("canary", { model_type: kind }).catch((error) => ({ fault: error.message })) : null;
  if (kind === state.kind) state.canary = found;
}

export function canary() {
  const { canary: seen, overview: { trial } } = state;
  // How an abort ended is still to be read there.
  byId("canary").hidden = !trial && !byId("canary-panel").childElementCount;
  if (!trial) return;
  show(byId("canary-now"), el("h2", {}, text("canary")), ...(seen?.version === trial.version ? known(seen) : [line(trial, "…"), seen?.fault && el("p", { class: "bad" }, seen.fault)]));
  show(byId("canary-acts"), el("div", { class: "row" }, button(text("abortCanary"), whyNot(DECISIONS), abort, "danger")));
}

function abort() {
  const { version } = state.overview.trial;
  const words = { danger: true, confirm: () => text("abortNow", { version }), opener: () => byId("canary-acts").querySelector("button") };
  openPanel(byId("canary-panel"), decision("abort_canary", version, words));
}

const line = (trial, percent) => el("p", {}, text("canaryOf", { ...trial, percent, since: moment(trial.since) }));

function known(found) {
  const counts = { a: found.canary.agreed, b: found.canary.confirmed, c: found.stable.agreed, d: found.stable.confirmed };
  return [
    line(found, found.percent),
    el("p", {}, el("span", { class: "badge" }, text(`decision_${found.decision}`)), ` ${found.why}`),
    el("p", { class: "quiet" }, text("evidence", counts)),
    el("ul", { class: "replicas" }, found.replicas.map(replica)),
  ];
}

const replica = (one) =>
  el("li", { class: one.fault ? "fault" : one.running ? "same" : "other" }, `${one.replica}: `, one.fault || text("requests", one), one.running ? "" : ` ${one.reason}`);
