// Photos that are fetched before they are needed, each ready when a person could see it.

export class Photos {
  constructor() {
    this.known = new Map();
  }

  // An element whose `ready` becomes true when it is decoded, and false when it cannot be: then it is fetched anew when
  // it is needed again.
  of(task) {
    const found = this.known.get(task.taskId);
    if (found) {
      return found;
    }
    const image = new Image();
    image.src = task.photo;
    const made = { image };
    made.ready = image.decode().then(() => true, () => this.#forget(task.taskId, made));
    this.known.set(task.taskId, made);
    return made;
  }

  #forget(taskId, failed) {
    if (this.known.get(taskId) === failed) {
      this.known.delete(taskId);
    }
    return false;
  }

  keepOnly(tasks) {
    const wanted = new Set(tasks.map((task) => task.taskId));
    [...this.known.keys()].filter((task) => !wanted.has(task)).forEach((task) => this.known.delete(task));
  }
}
