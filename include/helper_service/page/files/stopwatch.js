// How long a photo was in sight: time in which the page was hidden does not count.

export class Stopwatch {
  constructor() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#pause() : this.#go()));
    this.start();
  }

  start() {
    this.shownAt = new Date();
    this.milliseconds = 0;
    this.since = document.hidden ? null : performance.now();
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
