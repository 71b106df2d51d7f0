// Two clicks: the first opens a panel that says what will happen, the second asks Airflow and follows what comes of it.

import { airflow, Refused, trigger } from "./api.js";
import { el, show } from "./dom.js";
import { state, whyNot } from "./state.js";
import { goTo } from "./surroundings.js";
import { text } from "./texts.js";

const LOOK_MS = 200;
// Where replicas tell what became of it, Airflow is left to its work: of the run only a failure is news.
const LOOKS_PER_STATE = 5;
const ENDED = new Set(["success", "failed"]);
const LEAST_REASON = 3;

// A button, or why there is none.
export function button(what, why, open, look = "") {
  if (why) return el("p", { class: "quiet" }, text("whyNot", { what: what.replace("…", ""), why }));
  return el("button", { type: "button", class: look, onclick: open }, what);
}

// `act`: {choices, explain(choice), confirm(choice), danger, request(choice) → [dagId, asked, once], watch}. It is made when its
// panel is opened, of what the page knows then. Without `once` each panel asks anew.
export function openPanel(place, act) {
  const id = `${place.id}-reason`;
  const opening = Math.random().toString(36).slice(2);
  const choice = act.choices
    ? el("select", { id: `${place.id}-choice` }, act.choices.map((one) => el("option", { value: one.value }, one.label)))
    : { value: null, addEventListener() {} };
  const reason = el("input", { id, maxlength: 500, autocomplete: "off", placeholder: text("reasonHint") });
  const explanation = el("p", { class: "quiet" });
  const confirm = el("button", { type: "submit", class: act.danger ? "danger" : "main" });
  const shape = () => {
    explanation.textContent = act.explain?.(choice.value) ?? "";
    confirm.textContent = act.confirm(choice.value);
    confirm.disabled = reason.value.trim().length < LEAST_REASON;
  };
  const close = () => {
    place.replaceChildren();
    act.opener?.()?.focus();
  };
  const form = el(
    "form",
    { class: "panel" },
    act.choices && el("label", {}, act.choiceLabel, choice),
    el("label", { for: id }, text(act.reason ?? "reason"), reason),
    explanation,
    el("div", { class: "row" }, confirm, el("button", { type: "button", onclick: close }, text("cancel"))),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (confirm.disabled) return;
    confirm.disabled = true;
    ask(place, act, choice.value, reason.value.trim(), opening);
  });
  form.addEventListener("keydown", (event) => event.key === "Escape" && close());
  choice.addEventListener("change", shape);
  reason.addEventListener("input", shape);
  shape();
  place.replaceChildren(form);
  (act.choices ? choice : reason).focus();
}

async function ask(place, act, choice, reason, opening) {
  const clicked = performance.now();
  const [dagId, wanted, once = opening] = act.request(choice);
  const told = el("div", { class: "panel", role: "status", "aria-live": "polite" });
  // Whatever else is opened meanwhile, the result says what it is of.
  const head = el("p", { class: "quiet" }, act.confirm(choice));
  place.replaceChildren(el("div", {}, head, told));
  show(told, el("p", {}, text("askedFor")));
  let asked = null;
  try {
    asked = await trigger(dagId, wanted, once, reason);
    await follow(place, told, act, { dagId, ...asked, choice, clicked });
  } catch (error) {
    const why = error instanceof Refused ? error.message : String(error);
    end(place, told, dagId, asked?.run, el("p", { class: "bad" }, asked ? text("outOfSight", { why }) : why));
  }
}

async function follow(place, told, act, about) {
  const { dagId, run, before, choice, clicked } = about;
  const head = before ? text("askedBefore", { who: before }) : text("askedFor");
  for (let now = run.state, look = 1; ; look += 1) {
    const over = ENDED.has(now);
    const watched = act.watch?.(choice);
    if (!over && !(watched && look % LOOKS_PER_STATE)) now = await stateOf(dagId, run, now);
    const seen = (await watched) ?? { done: ENDED.has(now), lines: [] };
    if (seen.done && (act.watch || now === "success")) {
      if (act.then) seen.lines.push(await act.then());
      const seconds = ((performance.now() - clicked) / 1000).toFixed(1);
      end(place, told, dagId, run, el("p", { class: "good" }, act.done?.(choice, seconds) ?? text("runDone")), ...seen.lines);
      return;
    }
    // What was looked at after the end of the run stays as it is.
    if (now === "failed" || (over && !seen.unknown)) {
      const why = now === "failed" ? await noteOf(dagId, run) : [];
      end(place, told, dagId, run, el("p", { class: "bad" }, text(now === "failed" ? "runFailed" : "otherwiseMeanwhile")), ...why, ...seen.lines);
      return;
    }
    const held = now === "queued" && whyNot(dagId);
    show(told, el("p", {}, head), held && el("p", { class: "bad" }, held), ...seen.lines, runLink(dagId, run));
    await new Promise((later) => setTimeout(later, LOOK_MS));
  }
}

// Who was signed out is told so; while Airflow does not answer, what it said last counts.
const stateOf = (dagId, run, last) =>
  airflow(`dags/${dagId}/dagRuns/${encodeURIComponent(run.dag_run_id)}`).then(
    (found) => found.state,
    (error) => (error.status === 401 ? Promise.reject(error) : last),
  );

// What the run itself says of its end, below the reason that was given for it.
const noteOf = (dagId, run) =>
  airflow(`dags/${dagId}/dagRuns/${encodeURIComponent(run.dag_run_id)}`).then(
    ({ note, conf }) => {
      const said = (note ?? "").slice(note?.startsWith(conf?.reason ?? "") ? (conf?.reason ?? "").length : 0).trim();
      return said ? [el("p", { class: "quiet" }, said)] : [];
    },
    () => [],
  );

function end(place, told, dagId, run, ...said) {
  document.dispatchEvent(new Event("acted"));
  const close = el("button", { type: "button", onclick: () => place.replaceChildren() }, text("close"));
  show(told, ...said, el("div", { class: "row" }, run && runLink(dagId, run)));
  told.append(close);
}

// A decision of a person: one DAG carries all of them out. What may come back, as a dead letter does, is decided `again`
// with each panel that is opened.
export const DECISIONS = "model_decision";
export function decision(act, about, { again, ...words }) {
  const { kind, overview } = state;
  return { ...words, request: () => [DECISIONS, { act, about, model_type: kind }, again ? undefined : overview.position] };
}

export const runLink = (dagId, run) =>
  el("button", { type: "button", class: "link", onclick: () => goTo(`/dags/${dagId}/runs/${encodeURIComponent(run.dag_run_id)}`) }, text("openRun"));
