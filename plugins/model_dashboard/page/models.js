// Every model that was judged: its verdict with figures, why it was refused, and what may be done with it.

import { goOn, ours } from "./api.js";
import { button, decision, DECISIONS, openPanel } from "./acts.js";
import { byId, el, show } from "./dom.js";
import { count, duration, percent } from "./figures.js";
import { openElsewhere } from "./surroundings.js";
import { retrainingDag, state, whyNot } from "./state.js";
import { moment, text } from "./texts.js";

const PAGE = 20;
const DAG = "model_promotion";
let page = null;
let worth = {};
let skip = 0;
let opened = null;

export function makeModels(place) {
  // The panel stands by itself: whoever writes a reason there must not lose it to what goes on in the table.
  const parts = ["models-panel", "models-table", "models-pages"].map((id) => el("div", { id }));
  place.append(el("h2", { id: "models-head" }), ...parts);
}

export async function readModels() {
  const asked = [state.kind, skip];
  const found = await ours("judged", { model_type: state.kind, skip });
  if (asked[0] === state.kind && asked[1] === skip) page = found;
  const told = await ours("worth", { model_type: state.kind });
  if (asked[0] === state.kind) worth = told;
}

export function forgetModels() {
  page = opened = null;
  worth = {};
  skip = 0;
}

export function models() {
  byId("models-head").textContent = text("models");
  if (!page) {
    // Rows of another model type would take the act that was meant for this one.
    for (const id of ["models-table", "models-pages"]) byId(id).replaceChildren();
    return;
  }
  const heads = ["version", "judgedAt", "verdict", "accuracy", "f1", "auc"];
  const rows = page.judged.flatMap((one) => (one.run_id === opened ? [row(one), detail(one)] : [row(one)]));
  show(
    byId("models-table"),
    rows.length
      ? el("table", { class: "cards" }, el("thead", {}, el("tr", {}, heads.map((key) => el("th", { scope: "col" }, text(key))))), el("tbody", {}, rows))
      : el("p", {}, text("noModels")),
  );
  const turn = (by) => async () => {
    skip = Math.max(0, skip + by);
    opened = null;
    await readModels();
    models();
  };
  show(
    byId("models-pages"),
    el(
      "div",
      { class: "row" },
      skip > 0 && el("button", { type: "button", id: "newer", onclick: turn(-PAGE) }, text("newer")),
      page.more && el("button", { type: "button", id: "older", onclick: turn(PAGE) }, text("older")),
    ),
  );
}

function row(one) {
  const name = one.version ?? one.run_id;
  const shown = one.version ?? text("noNumber");
  const toggle = () => {
    opened = opened === one.run_id ? null : one.run_id;
    models();
  };
  const cell = (key, ...inside) => el("td", { "data-name": text(key) }, ...inside);
  return el(
    "tr",
    {},
    cell("version", el("button", { type: "button", class: "link", id: `model-${one.run_id}`, "aria-expanded": String(opened === one.run_id), "aria-label": text("details", { shown, name }), onclick: toggle }, shown), one.status && ` ${text(`status_${one.status}`)}`),
    cell("judgedAt", moment(one.at)),
    cell("verdict", ...verdict(one.verdict)),
    cell("accuracy", percent(one.accuracy)),
    cell("f1", percent(one.f1_score)),
    cell("auc", percent(one.auc)),
  );
}

function verdict(v) {
  if (!v) return ["–"];
  const look = v.may_go_live ? "good" : v.held ? "warm" : "bad";
  return [el("span", { class: `badge ${look}` }, text(v.held ? "held" : v.refused ? "verdict_reject" : `verdict_${v.verdict}`))];
}

function detail(one) {
  const v = one.verdict;
  return el(
    "tr",
    {},
    el(
      "td",
      { colspan: 6 },
      el("p", { class: "quiet" }, `${one.run_id} · ${one.dataset_id ?? "–"}`),
      v && reasons("why", v.reasons),
      v && reasons("doubts", v.doubts),
      v?.advice && el("p", {}, `${text("advice")}: ${v.advice}`),
      v?.override && el("p", {}, text("approved", { ...v.override, kind: text(`word_${v.override.kind}`) })),
      one.report && el("p", {}, el("button", { type: "button", class: "link", onclick: () => openElsewhere(one.report) }, text("report"))),
      worthOf(one),
      one.version && el("p", {}, el("a", { href: proof(one), download: "" }, text("proof"))),
      one.confusion && matrix(one),
      (one.version || forcible(one)) && el("div", { class: "row" }, acts(one)),
      v?.held && el("div", { class: "row" }, answers(one)),
    ),
  );
}

function worthOf({ version }) {
  const found = worth[version];
  if (!found) return null;
  const estimate = (key, of, how) =>
    of && el("li", { class: of.low > 0 ? "good" : of.high < 0 ? "bad" : "" }, text(key, { value: how(of.value), low: how(of.low), high: how(of.high) }), of.low <= 0 && of.high >= 0 ? ` ${text("notSure")}` : "");
  return [
    el("h3", {}, text("worth")),
    found.against && el("p", { class: "quiet" }, text("worthOf", found)),
    el("ul", {}, estimate("errorsAvoided", found.errors_avoided, count), estimate("timeSaved", found.seconds_saved, duration), found.open.map((why) => el("li", { class: "quiet" }, why))),
  ];
}

const proof = (one) => `api/proof?${new URLSearchParams({ model_type: state.kind, version: one.version })}`;

const reasons = (key, all) => all.length > 0 && [el("h3", {}, text(key)), el("ul", {}, all.map((said) => el("li", {}, said)))];

function matrix(one) {
  const line = (counts, i) => el("tr", {}, el("th", { scope: "row" }, one.labels[i] ?? String(i)), counts.map((n) => el("td", {}, String(n))));
  return [
    el("h3", {}, text("confusion")),
    el(
      "table",
      { class: "matrix" },
      el("thead", {}, el("tr", {}, el("td", {}), one.confusion.map((_, i) => el("th", { scope: "col" }, one.labels[i] ?? String(i))))),
      el("tbody", {}, one.confusion.map(line)),
    ),
  ];
}

function acts(one) {
  const o = state.overview;
  const full = notLive(one, o) ?? whyNot(DAG);
  const trial = (o.complete ? null : text("noCanary")) ?? notLive(one, o) ?? (o.trial ? text("trialRuns", o.trial) : whyNot(DAG));
  return [
    one.version && button(text("promote"), full, () => openPanel(byId("models-panel"), promotion(one, "full", "promoteNow")), "main"),
    one.version && button(text("startCanary"), trial, () => openPanel(byId("models-panel"), promotion(one, "canary", "canaryNow"))),
    forcible(one) && forceButton(one, o),
  ];
}

// A verdict that waits for a person wants that person's word, not force.
const forcible = (one) => state.overview.complete && one.verdict && !one.verdict.held && one.status !== "ACTIVE";

function forceButton(one, o) {
  const name = one.version ?? one.run_id;
  const untested = one.verdict.not_even_by_force.join("; ");
  const why = (o.freeze && text("frozenNow")) || (one.status === "ARCHIVED" && text("isArchived")) || untested || (whyNot(DECISIONS) ?? state.person.no_administrator);
  const words = { danger: true, explain: () => text("whatForcing"), confirm: () => text("forceNow", { name }), opener: () => byId(`model-${one.run_id}`) };
  return button(text("force"), why, () => openPanel(byId("models-panel"), decision("force_promote", name, words)), "danger");
}

function notLive(one, o) {
  if (one.status === "ACTIVE") return text("servesAlready");
  if (o.freeze) return text("frozenNow");
  if (one.status === "ARCHIVED") return text("isArchived");
  if (!one.verdict) return text("notJudged");
  if (one.verdict.held) return text("notAnswered");
  if (!one.verdict.may_go_live) return text("notAccepted");
  if (one.verdict.champion !== (o.champion?.version ?? null)) return text("otherChampion", { champion: one.verdict.champion ?? "–" });
  return null;
}

function promotion(one, rollout, key) {
  const { kind, overview } = state;
  return {
    confirm: () => text(key, { version: one.version }),
    request: () => [DAG, { version: one.version, rollout, model_type: kind }, overview.position],
    watch: rollout === "canary" ? async () => ({ done: true, lines: [] }) : null,
    done: () => (rollout === "canary" ? text("started") : text("runDone")),
    opener: () => byId(`model-${one.run_id}`),
  };
}

function answers(one) {
  const why = whyNot(DECISIONS);
  if (why) return [button(`${text("approve").replace("…", "")} / ${text("refuse").replace("…", "")}`, why)];
  const open = (act) => () => openPanel(byId("models-panel"), act(one));
  return [button(text("approve"), null, open(approval), "main"), button(text("refuse"), null, open(refusal), "danger")];
}

const refusal = (one) =>
  decision("refuse", one.run_id, { danger: true, confirm: () => text("refuseNow", { run: one.run_id }), opener: () => byId(`model-${one.run_id}`) });

// A person's word beside the verdict; the run then looks at it again.
function approval(one) {
  const words = { confirm: () => text("approveNow", { run: one.run_id }), opener: () => byId(`model-${one.run_id}`) };
  const dag = retrainingDag();
  const then = () => goOn(dag, one.run_id, "decide").then(
    (run) => el("p", {}, text(run ? "goesOn" : "noRun", { run: one.run_id })),
    (error) => el("p", { class: "bad" }, text("doesNotGoOn", { why: error.message })),
  );
  return { ...decision("approve", one.run_id, words), then };
}
