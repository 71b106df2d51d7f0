// One reviewer's desk: the photo in front, the next ones behind it, and the words that can still be taken back.

import { Helper } from "./helper.js";
import { keep, recall } from "./memory.js";
import { Photos } from "./photos.js";
import { Stopwatch } from "./stopwatch.js";
import * as view from "./view.js";
import { Words } from "./words.js";

const AHEAD = 3;
const AGAIN_MILLISECONDS = 3000;
const SERVING_MILLISECONDS = 4000;
const LEARNED_MILLISECONDS = 30000;
// The service takes a queue's question with at most 500 photos that the desk has already.
const MOST_ASIDE = 400;
// Statuses of a word that was not taken because nothing more is to be said of the photo.
const SETTLED = { 404: "gone", 409: "taken" };

class Desk {
  constructor() {
    this.memory = recall();
    this.words = new Words(this.memory.language ?? navigator.language.slice(0, 2));
    this.photos = new Photos();
    this.stopwatch = new Stopwatch();
    this.helper = null;
    this.tasks = [];
    this.later = new Set();
    this.undoable = [];
    this.labels = [];
    this.correcting = null;
    this.ready = false;
    this.busy = false;
    // What became of the last thing that the reviewer did, until the next one.
    this.told = null;
    // Why no photos come, while none do.
    this.away = null;
  }

  remember(values) {
    this.memory = { ...this.memory, ...values };
    keep(this.memory);
  }

  get task() {
    return this.tasks[0] ?? null;
  }

  // What may be the reason of the correction: what the model finds likeliest, then what there always is.
  get reasons() {
    return this.words.reasons(this.correcting, this.task?.likeliestReasons ?? []);
  }

  tell(word, values = {}) {
    this.told = word && { word, values };
    view.told(this);
  }

  // Who reviews

  enter(reviewer, branch) {
    this.tell(null);
    this.remember({ reviewer, branch });
    this.helper = new Helper(reviewer, branch);
    view.enter(this);
    this.refresh();
    this.learn();
  }

  leave() {
    this.remember({ reviewer: undefined, branch: undefined });
    // Without what the address says: a name in it would come in again.
    location.replace(location.pathname);
  }

  speak(language) {
    this.remember({ language });
    this.words = new Words(language);
    view.speak(this);
    this.lookAtServing();
    if (this.helper) {
      this.learn();
    }
  }

  // What lies on the desk

  async refresh() {
    clearTimeout(this.again);
    try {
      const held = [...this.tasks.map((task) => task.taskId), ...this.later];
      const found = await this.helper.queue(Math.max(0, AHEAD + 1 - this.tasks.length), held);
      this.away = null;
      this.take(found);
    } catch (error) {
      if (error.isAbout("reviewerId", "branchId")) {
        this.helper = null;
        view.askWho(this);
        this.tell("badName");
        return;
      }
      this.away = error.mayPass ? { word: "away" } : { word: "noQueue", values: { reason: error.message } };
    }
    view.away(this);
    // New photos come, and the day's numbers move, while a person does nothing.
    this.lookAgain();
  }

  lookAgain() {
    clearTimeout(this.again);
    this.again = setTimeout(() => (document.hidden ? this.lookAgain() : this.refresh()), AGAIN_MILLISECONDS);
  }

  take(found) {
    Object.assign(this, { labels: found.labels, undoSeconds: found.undoSeconds, progress: found.progress });
    const before = this.task;
    const held = new Set([...this.tasks.map((task) => task.taskId), ...this.undoable.map((one) => one.task.taskId)]);
    const fresh = found.tasks.filter((task) => !held.has(task.taskId));
    this.tasks.push(...fresh);
    if (!this.task && this.later.size) {
      this.later.clear();
      this.refresh();
    }
    fresh.forEach((task) => this.photos.of(task));
    view.day(this);
    if (this.task !== before || !this.task) {
      this.show();
    }
  }

  async show() {
    const task = this.task;
    this.ready = false;
    this.correcting = null;
    view.task(this);
    if (!task) {
      return;
    }
    const photo = this.photos.of(task);
    this.image = photo.image;
    view.photo(this);
    const seen = await photo.ready;
    if (this.task !== task) {
      return;
    }
    this.ready = seen;
    this.stopwatch.start();
    view.ready(this, seen);
    this.photos.keepOnly([...this.tasks, ...this.undoable.map((one) => one.task)]);
  }

  // What the reviewer says

  confirm() {
    if (this.task?.aiResult) {
      this.choose(this.task.aiResult);
    }
  }

  choose(label) {
    if (!this.ready || this.busy) {
      return;
    }
    this.tell(null);
    if (this.task.aiResult && label !== this.task.aiResult) {
      this.correcting = label;
      view.why(this);
    } else {
      this.send(label, null);
    }
  }

  cancel() {
    this.correcting = null;
    view.why(this);
  }

  async send(label, reason) {
    if (!this.ready || this.busy) {
      return;
    }
    const task = this.task;
    this.busy = true;
    this.tell(null);
    try {
      const review = await this.helper.say(task.taskId, label, reason, this.stopwatch);
      const until = performance.now() + this.undoSeconds * 1000;
      this.undoable.push({ ...review, task, label, until });
      this.tasks.shift();
    } catch (error) {
      if (!this.clears(error)) {
        return;
      }
    } finally {
      this.busy = false;
    }
    this.show();
    this.refresh();
  }

  // Whether photos leave the desk for this word that was not taken. Where it was not saved, its photo stays.
  clears(error) {
    if (error.status === 429) {
      // The branch has had its number for the day, on this desk and others: nothing more lies here.
      this.tasks = [];
    } else if (error.status in SETTLED) {
      this.tasks.shift();
      this.tell(SETTLED[error.status]);
    } else {
      this.notSaved(error);
      return false;
    }
    return true;
  }

  notSaved(error) {
    const never = error.isAbout("shownAt") ? "wrongClock" : "refused";
    this.tell(error.mayPass ? "notSaved" : never, { reason: error.message, now: this.words.time(Date.now()) });
  }

  putAside() {
    if (this.task && !this.busy) {
      this.tell(null);
      this.later.add(this.tasks.shift().taskId);
      if (this.later.size > MOST_ASIDE) {
        // The one that was put aside first comes again.
        this.later.delete(this.later.values().next().value);
      }
      this.show();
      this.refresh();
    }
  }

  async undo() {
    const last = this.undoable.at(-1);
    if (!last || this.busy) {
      return;
    }
    this.busy = true;
    this.tell(null);
    try {
      await this.helper.takeBack(last.reviewId);
      this.undoable.pop();
      this.tasks.unshift(last.task);
      this.tell("takenBack");
    } catch (error) {
      if (error.status !== 409) {
        this.notSaved(error);
        return;
      }
      this.undoable.pop();
      this.tell("tooLate");
    } finally {
      this.busy = false;
    }
    this.show();
    this.refresh();
  }

  letGo() {
    this.undoable = this.undoable.filter((one) => one.until > performance.now());
    view.said(this);
  }

  // What became of it

  async lookAtServing() {
    const found = await new Helper("").serving().catch(() => null);
    view.serving(this, found);
  }

  async learn() {
    view.learned(this, await this.helper.learned().catch(() => null));
  }
}

function keys(desk) {
  const acts = { Enter: () => desk.confirm(), NumpadEnter: () => desk.confirm(), KeyZ: () => desk.undo(), ArrowRight: () => desk.putAside() };
  const number = (event) => Number(/^(?:Digit|Numpad)([1-9])$/.exec(event.code)?.[1] ?? 0);
  document.addEventListener("keydown", (event) => {
    // A key held down is one press; and Korean letters are put together with Enter.
    if (!desk.helper || event.repeat || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) {
      return;
    }
    if (desk.correcting) {
      whileCorrecting(desk, event, number(event));
      return;
    }
    const onControl = event.target.closest("button, input, textarea, a");
    const label = desk.labels[number(event) - 1];
    const act = label ? () => desk.choose(label) : acts[event.code];
    // Enter on a button presses that button.
    if (act && !(onControl && event.code.endsWith("Enter"))) {
      event.preventDefault();
      act();
    }
  });
}

function whileCorrecting(desk, event, number) {
  const reason = desk.reasons[number - 1];
  if (event.code === "Escape") {
    desk.cancel();
  } else if (reason && view.reason() === "") {
    event.preventDefault();
    desk.send(desk.correcting, reason.said);
  } else if (event.code.endsWith("Enter") && !event.shiftKey && event.target.matches("textarea")) {
    event.preventDefault();
    view.submitWhy();
  }
}

const desk = new Desk();
view.begin(desk);
keys(desk);
const asked = new URLSearchParams(location.search);
const reviewer = asked.get("reviewer") ?? desk.memory.reviewer;
if (reviewer) {
  desk.enter(reviewer, asked.get("branch") ?? desk.memory.branch ?? "");
}
setInterval(() => desk.letGo(), 250);
setInterval(() => document.hidden || desk.lookAtServing(), SERVING_MILLISECONDS);
setInterval(() => desk.helper && !document.hidden && desk.learn(), LEARNED_MILLISECONDS);
desk.lookAtServing();
