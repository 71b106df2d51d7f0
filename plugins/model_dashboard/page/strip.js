// One line on Airflow's home: what serves, how well, and how far the next retraining is. Airflow gives React; without it,
// or without an answer, there is no line.

import { percent } from "./figures.js";
import { knownAccuracy, knownShare } from "./known.js";
import { text } from "./texts.js";
import { ofRecords, seenOfChampion, stateWord } from "./wrong.js";

const React = globalThis.React;
const SELDOM_MS = 60_000;
const LOOKS = { ok: "#1c7a44", low: "#9a5b00", warn: "#9a5b00", failing: "#b3261e" };
const ours = new URL("../../api/", import.meta.url);
const base = ours.pathname.slice(0, ours.pathname.lastIndexOf("/model-dashboard/"));

async function ask(path) {
  const answer = await fetch(new URL(path, ours), { credentials: "same-origin" });
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.json();
}

async function everyOverview() {
  const { model_types: kinds } = await ask("person");
  return Promise.all(kinds.map((kind) => ask(`overview?${new URLSearchParams({ model_type: kind })}`)));
}

function words(o) {
  const seen = seenOfChampion(o);
  const rate = (key, of) => `${text(key)} ${percent(knownShare(seen?.[of], o.rates.min_people), [o.rates.bars[of].alert, o.rates.bars[of].most])}`;
  const rates = o.rates && [rate("wronglyRefused", "refused"), rate("wronglyAccepted", "accepted")].join(", ");
  const accuracy = `${rates ?? percent(knownAccuracy(seen), [o.bars.alert, o.bars.rollback])} ${stateWord(seen)}`;
  const r = o.retraining;
  const next = [text("correctionsOf", { n: r.corrections, needed: r.needed })];
  if (r.needed_people !== null) next.push(text("peopleOf", { n: r.people ?? 0, needed: r.needed_people }));
  if (r.days !== null) next.push(text("daysOf", { n: r.days, needed: r.min_days }));
  return { serves: o.champion ? o.champion.version : text("nothingServes"), accuracy, next: next.join(", "), state: seen?.state };
}

function line(o) {
  const h = React.createElement;
  const { serves, accuracy, next, state } = words(o);
  const part = (name, inside, style = {}) => h("span", { key: name, style: { marginRight: "1.2em", ...style } }, inside);
  // How the model does stands there already.
  const wrong = ofRecords(o).filter((one) => one.where !== "accuracy");
  return h(
    "div",
    { key: o.model_type, style: { padding: "2px 0" } },
    part("kind", h("a", { href: `${base}/plugin/models?${new URLSearchParams({ model_type: o.model_type })}`, style: { textDecoration: "underline" } }, o.model_type)),
    part("serves", h("strong", null, serves)),
    part("accuracy", accuracy, { color: LOOKS[state] }),
    part("next", next),
    ...wrong.map((one, i) => part(`wrong-${i}`, one.short ?? one.said, { color: one.look === "bad" ? LOOKS.failing : LOOKS.warn })),
  );
}

function Strip() {
  const [overviews, tell] = React.useState([]);
  React.useEffect(() => {
    const look = () => everyOverview().then(tell, () => tell([]));
    look();
    const timer = setInterval(look, SELDOM_MS);
    return () => clearInterval(timer);
  }, []);
  // A type whose models are made in another way has its line from its first model on.
  const shown = overviews.filter((o) => o.complete || o.champion);
  return shown.length ? React.createElement("div", { id: "models-strip" }, shown.map(line)) : null;
}

globalThis.AirflowPlugin = React?.useState && React?.useEffect ? Strip : () => null;
