// What the desk looks like. Everything that comes from elsewhere is put in as text, never as markup.

const $ = (id) => document.getElementById(id);

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

function button(text, keys, act, className = "") {
  const made = element("button", `${text} `, className);
  made.type = "button";
  made.append(...keys.map((key) => element("kbd", key)));
  made.addEventListener("click", () => {
    act();
    // So that the next Enter is about the next photo.
    made.blur();
  });
  return made;
}

export function begin(desk) {
  $("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    const { reviewer, branch } = event.target.elements;
    desk.enter(reviewer.value.trim(), branch.value.trim());
  });
  $("why").addEventListener("submit", (event) => {
    event.preventDefault();
    if (reason()) {
      desk.send(desk.correcting, reason());
    }
  });
  $("cancel").addEventListener("click", () => desk.cancel());
  $("skip").addEventListener("click", () => desk.putAside());
  $("undo").addEventListener("click", () => desk.undo());
  $("leave").addEventListener("click", () => desk.leave());
  $("language").addEventListener("click", () => desk.speak(desk.words.language === "ko" ? "en" : "ko"));
  $("enter").hidden = false;
  $("enter").elements.reviewer.focus();
  speak(desk);
}

export function speak(desk) {
  const { words } = desk;
  document.documentElement.lang = words.language;
  document.title = words.say("title");
  document.querySelectorAll("[data-word]").forEach((one) => (one.textContent = words.say(one.dataset.word)));
  $("language").textContent = words.say("otherLanguage");
  $("language").lang = words.language === "ko" ? "en" : "ko";
  told(desk);
  away(desk);
  if (desk.helper) {
    enter(desk);
    day(desk);
    task(desk);
    if (desk.task) {
      photo(desk);
      ready(desk, desk.ready);
      why(desk);
    }
    said(desk);
  }
}

export function enter(desk) {
  $("enter").hidden = true;
  $("desk").hidden = false;
  $("leave").hidden = false;
  $("leave").textContent = desk.words.say("leave", { reviewer: desk.memory.reviewer });
}

export function askWho(desk) {
  $("enter").hidden = false;
  $("desk").hidden = true;
  $("leave").hidden = true;
}

// What became of the reviewer's last act: apart from whether photos come, which changes without them.
export function told({ words, told }) {
  const place = told?.word === "takenBack" ? "done" : "trouble";
  ["done", "trouble"].forEach((id) => write(id, told && id === place ? words.say(told.word, told.values) : ""));
}

export function away({ words, away }) {
  write("away", away ? words.say(away.word, away.values) : "");
}

function write(id, text) {
  $(id).hidden = !text;
  if ($(id).textContent !== text) {
    // Written anew it would be read aloud anew.
    $(id).textContent = text;
  }
}

export function day({ words, progress }) {
  if (!progress) {
    return;
  }
  const values = { waiting: progress.waiting, reviewed: progress.reviewedToday, corrected: progress.correctedToday };
  $("counts").textContent = words.say("counts", values);
  $("bar").value = progress.reviewedToday / Math.max(1, progress.reviewedToday + progress.waiting);
}

export function task(desk) {
  const { words, progress } = desk;
  $("work").hidden = !desk.task;
  $("nothing").hidden = Boolean(desk.task) || !progress;
  asking(null);
  said(desk);
  if (!desk.task) {
    const capped = progress && progress.branchToday >= progress.branchMost;
    $("nothing").textContent = capped ? words.say("capped", { most: progress.branchMost }) : words.say("nothing");
    return;
  }
  $("verdict").replaceChildren(...verdict(desk.task, words));
  $("choices").replaceChildren(...choices(desk));
  $("caption").textContent = words.say("loading");
}

function verdict(task, words) {
  if (task.verdictHidden) {
    return [element("p", words.say(task.opinion === "first" ? "hidden" : task.opinion), "hint")];
  }
  const found = [element("p", words.say("aiSays"), "hint"), element("p", words.label(task.aiResult), "label")];
  const known = [
    task.confidence === null ? "" : words.say("sure", { percent: words.percent(task.confidence) }),
    task.modelVersion ? words.say("by", { version: task.modelVersion }) : "",
  ];
  return [...found, element("p", known.filter(Boolean).join(" · "), "hint")];
}

function choices(desk) {
  const { words, labels } = desk;
  return labels.map((label, index) => {
    const key = String(index + 1);
    const confirms = label === desk.task.aiResult;
    const text = desk.task.verdictHidden
      ? words.label(label)
      : words.say(confirms ? "confirm" : "correct", { label: words.label(label) });
    const made = button(text, confirms ? ["Enter", key] : [key], () => desk.choose(label), confirms ? "main" : "");
    made.disabled = true;
    return made;
  });
}

export function photo({ words, task, image }) {
  image.alt = words.say("photoOf", { task: task.taskId });
  $("photo").replaceChildren(image);
}

export function ready(desk, seen) {
  $("caption").textContent = seen ? desk.task.taskId : desk.words.say("noPhoto");
  $("choices")
    .querySelectorAll("button")
    .forEach((one) => (one.disabled = !seen));
  $("verdict").focus({ preventScroll: true });
}

function asking(correcting) {
  $("why").hidden = !correcting;
  $("choices").hidden = Boolean(correcting);
  $("skip").hidden = Boolean(correcting);
}

export function why(desk) {
  const { words, correcting } = desk;
  asking(correcting);
  said(desk);
  if (!correcting) {
    $("verdict").focus({ preventScroll: true });
    return;
  }
  $("why-label").textContent = words.say("why", { label: words.label(correcting) });
  $("reasons").replaceChildren(
    ...desk.reasons.map(({ said, shown }, index) => button(shown, [String(index + 1)], () => desk.send(correcting, said))),
  );
  $("why").elements.reason.value = "";
  $("why").elements.reason.focus();
}

export function reason() {
  return $("why").elements.reason.value.trim();
}

export function submitWhy() {
  $("why").requestSubmit();
}

export function said({ words, undoable, correcting }) {
  // It would lie over the reasons, and Z is a letter there.
  const last = correcting ? null : undoable.at(-1);
  $("said").hidden = !last;
  if (last) {
    const key = last.corrected === null ? "said" : last.corrected ? "saidCorrected" : "saidConfirmed";
    const text = words.say(key, { label: words.label(last.label) });
    if ($("said-text").textContent !== text) {
      // Written anew it would be read aloud anew.
      $("said-text").textContent = text;
    }
    $("left").textContent = String(Math.ceil((last.until - performance.now()) / 1000));
  }
}

export function serving({ words }, found) {
  const all = found ? found.silent + Object.values(found.replicas).reduce((sum, count) => sum + count, 0) : 0;
  const told = Object.entries(found?.replicas ?? {}).map(([version, count]) =>
    words.say(count === all ? "onAll" : "onSome", { version, count, all }),
  );
  if (!told.length) {
    $("serving").textContent = found ? words.say("nobody") : "";
    return;
  }
  if (found.silent) {
    told.push(words.say("silent", { count: found.silent, all }));
  }
  $("serving").textContent = words.say("serving", { versions: told.join(", ") });
}

export function learned({ words }, found) {
  $("learned").hidden = !found?.corrections;
  if (found?.corrections) {
    const values = { corrections: found.corrections, version: found.modelVersion, since: words.time(found.since) };
    $("learned").textContent = words.say(found.corrections === 1 ? "learnedOne" : "learned", values);
  }
}
