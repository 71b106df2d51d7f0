// What is known to be wrong: whatever warns of something, and whatever says that all is well, asks here.

import { state } from "./state.js";
import { text } from "./texts.js";

const ALARMING = new Set(["low", "warn", "failing"]);

// What the monitor saw of the model that serves; null before it looked.
export function seenOfChampion(o) {
  const look = o.rates ? o.rates.seen : o.seen;
  return look && o.champion && look.version === o.champion.version ? look : null;
}

export const stateWord = (seen) => text(seen ? `state${seen.state[0].toUpperCase()}${seen.state.slice(1)}` : "stateUnknown");

// By the records, as {where, look, said, short}: which part of the page says it, how, and in how few words elsewhere.
export function ofRecords(o) {
  const seen = seenOfChampion(o);
  return [
    o.freeze && { where: "serving", look: "bad", said: text("frozen", o.freeze), short: text("frozenNow") },
    o.missing && { where: "serving", look: "bad", said: text("missingReplicas", { what: o.missing }) },
    o.failed_rollback && { where: "serving", look: "bad", said: text("failedRollback", o.failed_rollback) },
    o.registry_is_behind && { where: "serving", look: "", said: text("registryBehind") },
    seen && ALARMING.has(seen.state) && { where: "accuracy", look: "bad", said: stateWord(seen) },
    ...o.troubles.map((said) => ({ where: "operations", look: "bad", said })),
  ].filter(Boolean);
}

// By Airflow, the replicas and the queues as well.
export function wrong() {
  const o = state.overview;
  return [...ofRecords(o), ...ofAirflow(), ...ofReplicas(o), ...ofQueues(o)];
}

// Whether something that the page asks about was not answered.
export const isUnanswered = () => state.stale || [state.paused, state.replicas, state.letters, state.questions].includes(null);

function ofAirflow() {
  const at = (said) => ({ where: "operations", look: "bad", said });
  const dags = Object.entries(state.paused ?? {});
  return [
    ...state.ill.map((part) => at(text("partIll", { part }))),
    ...dags.filter(([, is]) => is).map(([dag]) => at(text("paused", { dag, what: state.person.always_on[dag] }))),
    ...dags.filter(([, is]) => is === null).map(([dag]) => at(text("isUnknown", { dag }))),
  ];
}

function ofReplicas(o) {
  const { replicas = [], fault } = state.replicas ?? {};
  const tried = [...(state.canary?.replicas ?? []), state.canary ?? {}].filter((one) => one.fault);
  const others = replicas.filter((one) => one.fault || one.version !== (o.champion?.version ?? null));
  return [
    ...[fault, ...others.map((one) => one.fault || one.version)].filter(Boolean).map((said) => ({ where: "replicas", look: "bad", said })),
    ...tried.map((one) => ({ where: "canary", look: "bad", said: one.fault })),
  ];
}

// What waits for somebody.
function ofQueues(o) {
  const { waiting, fault } = state.letters ?? {};
  return [...(state.questions ?? []), o.unpublished.events, waiting, fault].filter(Boolean).map((said) => ({ where: "queues", look: "warm", said }));
}
