// What does not work, and what waits for somebody.

import { button, decision, DECISIONS, openPanel } from "./acts.js";
import { airflow, ours } from "./api.js";
import { byId, el, show } from "./dom.js";
import { state, whyNot } from "./state.js";
import { goTo } from "./surroundings.js";
import { moment, text } from "./texts.js";
import { isUnanswered, wrong } from "./wrong.js";

const OVER = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);
// Those that somebody wanted to see, with how many waited then: reading them moves them in the queue.
let opened = null;

// What runs of ours ask people; whoever may not see questions is told of none.
export async function readQuestions() {
  const asked = await airflow("dags/~/dagRuns/~/hitlDetails?response_received=false&limit=100").catch(() => ({ hitl_details: [] }));
  state.questions = asked.hitl_details.filter(({ task_instance: ti }) => ti.dag_id in state.person.always_on && !OVER.has(ti.state));
}

export function makeOperations(place) {
  place.append(...["operations-now", "operations-panel"].map((id) => el("div", { id })));
}

export async function readLetters() {
  state.letters = await ours("dead-letters/waiting").then((waiting) => ({ waiting }), (error) => ({ fault: error.message }));
  if (opened && opened.waiting !== state.letters.waiting) opened = null;
}

async function openLetters() {
  const { waiting } = state.letters;
  try {
    opened = { waiting, letters: await ours("dead-letters") };
  } catch (error) {
    state.letters = { fault: error.message };
  }
  operations();
}

export function operations() {
  const all = wrong();
  show(
    byId("operations-now"),
    el("h2", {}, text("operations")),
    ...all.filter((one) => one.where === "operations").map((one) => el("p", { class: `notice ${one.look}` }, one.said)),
    all.length === 0 && (isUnanswered() ? el("p", { class: "quiet" }, text("loading")) : el("p", { class: "good" }, text("allWell"))),
    ...(state.questions ?? []).map(question),
    outbox(state.overview.unpublished),
    ...deadLetters(),
  );
}

const outbox = ({ events, since }) =>
  el("p", { class: events ? "warm" : "quiet" }, events ? text("outbox", { n: events, since: moment(since) }) : text("outboxEmpty"));

function deadLetters() {
  const { letters } = state;
  if (!letters) return [];
  if (letters.fault) return [el("p", { class: "quiet" }, text("lettersUnknown", { why: letters.fault }))];
  const head = el("p", { class: letters.waiting ? "warm" : "quiet" }, text("letters", { n: letters.waiting }));
  if (opened) return [head, el("ul", {}, opened.letters.map((one) => letter(one)))];
  return [head, letters.waiting > 0 && button(text("showLetters"), null, openLetters)];
}

function letter(one) {
  const open = (act, words) => () => openPanel(byId("operations-panel"), decision(act, one.id, { ...words, again: true }));
  const why = whyNot(DECISIONS);
  return el(
    "li",
    {},
    `${one.id}: ${one.reason}`,
    why
      ? el("p", { class: "quiet" }, why)
      : el(
          "div",
          { class: "row" },
          button(text("requeue"), null, open("requeue_letter", { reason: "reasonLogged", confirm: () => text("requeueNow", one) })),
          button(text("discard"), null, open("discard_letter", { reason: "reasonLogged", danger: true, confirm: () => text("discardNow", one) }), "danger"),
        ),
  );
}

const question = ({ subject, task_instance: { dag_id: dag, dag_run_id: run } }) =>
  el(
    "p",
    { class: "notice" },
    `${text("question", { subject })} `,
    el("button", { type: "button", class: "link", onclick: () => goTo(`/dags/${dag}/runs/${encodeURIComponent(run)}/required_actions`) }, text("answerIt")),
  );
