// The version on trial, and what is known of it so far.

import { ours } from "./api.js";
import { byId, el, show } from "./dom.js";
import { state } from "./state.js";
import { moment, text } from "./texts.js";

let seen = null;

export async function readCanary() {
  const kind = state.kind;
  const found = state.overview?.trial ? await ours("canary", { model_type: kind }).catch((error) => ({ fault: error.message })) : null;
  if (kind === state.kind) seen = found;
}

export function canary() {
  const place = byId("canary");
  const trial = state.overview.trial;
  place.hidden = !trial;
  if (!trial) return;
  show(place, el("h2", {}, text("canary")), ...(seen?.version === trial.version ? known(seen) : [line(trial, "…"), seen?.fault && el("p", { class: "bad" }, seen.fault)]));
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
