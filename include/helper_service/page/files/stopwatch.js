// How long a photo was in sight: time in which the page was hidden does not count.

export class Stopwatch {
  constructor() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.#go()));
    this.start();
  }

  start() {
    this.startedAt = performance.now();
    this.milliseconds = 0;
    this.since = document.hidden ? null : performance.now();
  }

  // By the clock of now: it may have been set since.
  get shownAt() {
    return new Date(Date.now() - (performance.now() - this.startedAt));
  }

  get seconds() {
    const running = this.since === null ? 0 : performance.now() - this.since;
    return (this.milliseconds + running) / 1000;
  }

  #pause() {
    this.milliseconds = this.seconds * 1000;
    this.since = null;
  }

  #go() {
    this.since = performance.now();
  }
}
