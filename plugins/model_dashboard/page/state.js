// What the page knows, and whether an act can work now: asked before a button is shown.

import { text } from "./texts.js";

export const state = {
  kind: null,
  person: null,
  overview: null,
  replicas: null,
  // Of Airflow: whether each DAG is paused (null: Airflow does not know it), parts that do not work, runs going on.
  paused: null,
  ill: [],
  running: null,
  // The version on trial; of messages that could not be used how many wait; what people are asked. Null: not answered yet.
  canary: null,
  letters: null,
  questions: null,
  // Whether something did not answer when it was asked last.
  stale: false,
};

export const retrainingDag = () => `${state.kind.toLowerCase()}_model_retraining`;

export function whyNot(dagId) {
  if (!state.person || !state.paused) return text("airflowUnasked");
  if (!state.person.may_trigger[dagId]) return text("mayNot", { dag: dagId });
  if (state.paused[dagId] === null || state.paused[dagId] === undefined) return text("isUnknown", { dag: dagId });
  if (state.paused[dagId]) return text("isPaused", { dag: dagId });
  if (state.ill.includes("scheduler")) return text("schedulerIll");
  return null;
}
