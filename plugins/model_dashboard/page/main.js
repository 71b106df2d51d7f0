// Keeps the page up to date; what fails is said, and what was known stays.

import { accuracy, makeAccuracy, readSightings, redraw } from "./accuracy.js";
import { airflow, ours, Refused } from "./api.js";
import { canary, makeCanary, readCanary } from "./canary.js";
import { byId, el, show } from "./dom.js";
import { forgetModels, makeModels, models, readModels } from "./models.js";
import { makeOperations, operations, readLetters, readQuestions } from "./operations.js";
import { makeRetraining, retraining } from "./retraining.js";
import { makeServing, readReplicas, serving } from "./serving.js";
import { retrainingDag, state } from "./state.js";
import { isDark, language, onChange, signIn, wanted } from "./surroundings.js";
import { moment, text } from "./texts.js";

const OFTEN_MS = 5_000;
const SELDOM_MS = 30_000;
let turn = 0;

function dress() {
  document.documentElement.lang = language();
  document.documentElement.classList.toggle("dark", isDark());
  document.title = text("title");
}

function paint() {
  byId("title").textContent = text("title");
  byId("loading").textContent = state.overview ? "" : text("loading");
  byId("main").hidden = !state.overview;
  if (!state.person) return;
  show(byId("kinds"), el("div", { class: "row" }, state.person.model_types.map(kind)));
  if (!state.overview) return;
  byId("fresh").textContent = text("fresh", { at: moment(state.overview.at) });
  for (const part of [serving, accuracy, canary, retraining, operations, models]) part();
}

function kind(name) {
  return el("button", { type: "button", id: `kind-${name}`, "aria-pressed": String(name === state.kind), onclick: () => choose(name) }, name);
}

async function choose(name) {
  Object.assign(state, { kind: name, overview: null, replicas: null, running: null, canary: null });
  history.replaceState(null, "", `?model_type=${name}`);
  forgetModels();
  for (const panel of document.querySelectorAll("[id$='-panel']")) panel.replaceChildren();
  paint();
  await everything();
}

async function readOverview() {
  const asked = state.kind;
  const found = await ours("overview", { model_type: asked });
  if (asked === state.kind) state.overview = found;
}

async function readAirflow() {
  const dags = Object.keys(state.person.always_on);
  const paused = (dag) => airflow(`dags/${dag}`).then((found) => found.is_paused, (error) => (error.status === 404 ? null : Promise.reject(error)));
  const [health, ...all] = await Promise.all([airflow("monitor/health"), ...dags.map(paused)]);
  state.ill = Object.keys(health).filter((part) => health[part].status && health[part].status !== "healthy");
  state.paused = Object.fromEntries(dags.map((dag, i) => [dag, all[i]]));
}

// Which step of the retraining is at work.
async function readStage() {
  state.running = null;
  if (!state.overview?.retraining?.running) return;
  const { dag_runs: runs } = await airflow(`dags/${retrainingDag()}/dagRuns?state=running&limit=1&order_by=-start_date`);
  if (!runs.length) return;
  const { task_instances: tasks } = await airflow(`dags/${retrainingDag()}/dagRuns/${encodeURIComponent(runs[0].dag_run_id)}/taskInstances?state=running&state=deferred&state=queued&limit=20`);
  state.running = [...new Set(tasks.map((task) => task.task_id))].join(", ") || null;
}

async function all(...questions) {
  const failed = (await Promise.allSettled(questions.map((ask) => ask()))).flatMap((one) => one.reason ?? []);
  complain(failed);
  paint();
}

function complain(failed) {
  state.stale = failed.length > 0;
  const said = failed.map((error) => {
    if (!(error instanceof Refused)) return el("p", { class: "notice bad" }, text("away", { why: String(error) }));
    if (error.status === 401) return el("p", { class: "notice bad" }, `${text("signedOut")} `, el("button", { type: "button", id: "sign-in", onclick: signIn }, text("signIn")));
    if (error.status === 403) return el("p", { class: "notice bad" }, text("mayNotSee"));
    return el("p", { class: "notice bad" }, text("away", { why: error.message }));
  });
  const once = [...new Map(said.map((one) => [one.textContent, one])).values()];
  show(byId("notices"), ...once);
}

async function everything() {
  await all(readOverview);
  await all(readPerson, readAirflow, readModels, readSightings, readCanary, readStage, readReplicas, readLetters, readQuestions);
}

// Another person may have signed in since, in another window.
async function readPerson() {
  state.person = await ours("person");
}

async function again() {
  if (!document.hidden && state.person) {
    turn = (turn + 1) % (SELDOM_MS / OFTEN_MS);
    if (turn) await all(readOverview, readAirflow, readReplicas);
    else await everything();
  } else if (!state.person) await begin();
  setTimeout(again, OFTEN_MS);
}

async function begin() {
  try {
    await readPerson();
  } catch (error) {
    complain([error]);
    return;
  }
  const kind = wanted("model_type");
  await choose(state.person.model_types.includes(kind) ? kind : state.person.model_types[0]);
}

dress();
makeServing(byId("serving"));
makeAccuracy(byId("accuracy"));
makeCanary(byId("canary"));
makeRetraining(byId("retraining"));
makeOperations(byId("operations"));
makeModels(byId("models"));
paint();
document.addEventListener("acted", everything);
onChange(() => {
  dress();
  paint();
  redraw();
});
await begin();
setTimeout(again, OFTEN_MS);
