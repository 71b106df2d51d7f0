// Photos that are fetched before they are needed, each ready when a person could see it.

export class Photos {
  constructor() {
    this.known = new Map();
  }

  // An element whose `ready` becomes true when it is decoded, and false when it cannot be.
  of(task) {
    if (!this.known.has(task.taskId)) {
      const image = new Image();
      image.src = task.photo;
      const ready = image.decode().then(() => true, () => false);
      this.known.set(task.taskId, { image, ready });
    }
    return this.known.get(task.taskId);
  }

  keepOnly(tasks) {
    const wanted = new Set(tasks.map((task) => task.taskId));
    [...this.known.keys()].filter((task) => !wanted.has(task)).forEach((task) => this.known.delete(task));
  }
}
