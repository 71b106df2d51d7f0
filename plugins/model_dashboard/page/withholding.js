// What people said that later datasets shall not take: data goes back as models do.

import { button, decision, DECISIONS, openPanel } from "./acts.js";
import { ours } from "./api.js";
import { el } from "./dom.js";
import { state, whyNot } from "./state.js";
import { moment, text } from "./texts.js";

const what = ({ scope, name }) => text(`scope_${scope}`, { name });

export function withholdButton(place) {
  return button(text("withhold"), whyNot(DECISIONS), () => choose(place));
}

async function choose(place) {
  const { kind } = state;
  let voices;
  try {
    voices = await ours("voices", { model_type: kind });
  } catch (error) {
    place.replaceChildren(el("p", { class: "bad" }, error.message));
    return;
  }
  // Whoever looks at another model type meanwhile is not asked about this one.
  if (kind !== state.kind) return;
  if (voices.length) openPanel(place, withholding(voices));
  else place.replaceChildren(el("p", {}, text("noVoices")));
}

function withholding(voices) {
  const { kind } = state;
  const known = new Map(voices.map((one) => [`${one.scope}:${one.name}`, one]));
  return {
    choiceLabel: text("withholdOf"),
    choices: [...known].map(([value, one]) => ({ value, label: text("voice", { what: what(one), n: one.corrections }) })),
    explain: () => text("whatWithholding"),
    confirm: (about) => text("withholdNow", { what: what(known.get(about)) }),
    danger: true,
    request: (about) => [DECISIONS, { act: "withhold", about, model_type: kind }],
  };
}

export function withheld(place) {
  const all = state.overview.withheld;
  if (!all.length) return [];
  return [el("h3", {}, text("setAside")), el("ul", {}, all.map((one) => item(one, place)))];
}

function item(one, place) {
  const open = () => openPanel(place, decision("give_back", one.id, { confirm: () => text("giveBackNow", { what: what(one) }) }));
  const said = text("setAsideBy", { ...one, what: what(one), n: one.corrections, at: moment(one.at) });
  return el("li", {}, said, el("div", { class: "row" }, button(text("giveBack"), whyNot(DECISIONS), open)));
}
