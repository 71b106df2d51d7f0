// What serves on every replica, and the way back.

import { ours } from "./api.js";
import { button, decision, DECISIONS, openPanel } from "./acts.js";
import { byId, el, show } from "./dom.js";
import { state, whyNot } from "./state.js";
import { moment, text } from "./texts.js";
import { withholdButton } from "./withholding.js";
import { ofRecords } from "./wrong.js";

const DAG = "model_rollback";

export function serving() {
  const o = state.overview;
  show(byId("serving-now"), el("h2", {}, text("serves")), ...champion(o), ...warnings(o));
  show(byId("serving-replicas"), el("h3", {}, text("replicas")), ...replicaList(o.champion?.version));
  show(byId("serving-acts"), el("div", { class: "row" }, rollbackButton(), o.freeze && freezeButton(), o.complete && withholdButton(byId("serving-panel"))));
}

function champion(o) {
  if (!o.champion) return [el("p", { class: "version" }, "–"), el("p", {}, text("nothingServes"))];
  const { version, since, actor, reason } = o.champion;
  return [el("p", { class: "version" }, version), el("p", {}, text("sinceBy", { since: moment(since), actor, reason }))];
}

const warnings = (o) => ofRecords(o).filter((one) => one.where === "serving").map((one) => el("p", { class: `notice ${one.look}` }, one.said));

function replicaList(version) {
  if (!state.replicas) return [el("p", { class: "quiet" }, text("askingReplicas"))];
  const { replicas, skipped, fault } = state.replicas;
  if (fault) return [el("p", { class: "bad" }, fault)];
  return [
    el("ul", { class: "replicas" }, replicas.map((one) => replicaItem(one, version))),
    skipped.length > 0 && el("p", { class: "quiet" }, text("outOfRotation", { replicas: skipped.join(", ") })),
  ];
}

function replicaItem(one, version) {
  const look = one.fault ? "fault" : one.version === version ? "same" : "other";
  return el("li", { class: look }, `${one.replica}: `, el("strong", {}, one.fault || one.version || text("replicaNothing")));
}

const possible = () => state.overview.destinations.filter((one) => !one.why_not);

function rollbackButton() {
  const why = possible().length ? whyNot(DAG) : text("nowhereBack");
  return button(text("rollBack"), why, () => openPanel(byId("serving-panel"), rollback(state.overview)), "danger");
}

function freezeButton() {
  const words = () => ({ confirm: () => text("clearFreezeNow"), opener: () => byId("serving-acts").querySelectorAll("button")[1] });
  return button(text("clearFreeze"), whyNot(DECISIONS) ?? state.person.no_administrator, () => openPanel(byId("serving-panel"), decision("clear_freeze", state.overview.freeze.id, words())));
}

function rollback(o) {
  const { kind } = state;
  const label = (one) => text("servedUntil", { version: one.version, until: moment(one.until) });
  const named = (one) => (one.version === o.previous ? text("previousOne", { what: label(one) }) : label(one));
  const first = (one) => (one.version === o.previous ? 0 : 1);
  return {
    choiceLabel: text("rollBackTo"),
    choices: possible().sort((a, b) => first(a) - first(b)).map((one) => ({ value: one.version, label: named(one) })),
    danger: true,
    explain: (version) => text("whatHappens", { version, from: o.champion.version }),
    confirm: (version) => text("rollBackNow", { version }),
    request: (version) => [DAG, { target: version, model_type: kind }, o.position],
    // Whoever looks at another model type meanwhile follows this one all the same.
    watch: (version) => watchReplicas(version, kind),
    done: (version, seconds) => text("rolledBack", { version, seconds }),
    opener: () => byId("serving-acts").querySelector("button"),
  };
}

// A run that succeeded is no proof: each replica says what it serves.
async function watchReplicas(version, kind) {
  const { replicas, fault } = await readReplicas(kind);
  const others = replicas.filter((one) => one.version !== version).map((one) => one.replica);
  const waiting = others.length ? el("p", { class: "quiet" }, text("stillWaiting", { replicas: others.join(", ") })) : null;
  const unknown = Boolean(fault) || !replicas.length;
  return { done: !unknown && !others.length, unknown, lines: [...replicaList(version), waiting] };
}

export async function readReplicas(kind = state.kind) {
  const found = await ours("replicas", { model_type: kind }).catch((error) => ({ replicas: [], skipped: [], fault: error.message }));
  if (kind === state.kind) state.replicas = found;
  return found;
}

export function makeServing(place) {
  place.append(...["serving-now", "serving-replicas", "serving-acts", "serving-panel"].map((id) => el("div", { id })));
}
