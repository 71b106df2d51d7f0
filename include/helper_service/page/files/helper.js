// The Helper service's HTTP interface, as the page uses it.

const PATIENCE_MILLISECONDS = 15000;

// `status` is 0 when there was no answer at all; `detail` is a sentence, or a list of what is wrong with the request.
export class Refused extends Error {
  constructor(status, detail) {
    const faults = Array.isArray(detail) ? detail.map(({ loc, msg }) => ({ field: loc.at(-1), msg })) : [];
    const listed = faults.map(({ field, msg }) => `${field}: ${msg}`).join("; ");
    super(typeof detail === "string" ? detail : listed || `HTTP ${status}`);
    this.status = status;
    this.fields = faults.map(({ field }) => field);
  }

  isAbout(...fields) {
    return fields.some((field) => this.fields.includes(field));
  }

  get mayPass() {
    return this.status === 0 || this.status >= 500;
  }
}

async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body ? JSON.stringify(body) : undefined,
      signal: AbortSignal.timeout(PATIENCE_MILLISECONDS),
    });
  } catch (error) {
    throw new Refused(0, error.message);
  }
  if (answer.status === 204) {
    return null;
  }
  const said = await answer.json().catch(() => undefined);
  if (!answer.ok) {
    throw new Refused(answer.status, said?.detail);
  }
  if (said === undefined) {
    throw new Refused(0, "the answer broke off");
  }
  return said;
}

export class Helper {
  constructor(reviewer, branch) {
    this.who = branch ? { reviewerId: reviewer, branchId: branch } : { reviewerId: reviewer };
  }

  queue(limit, besides) {
    const query = new URLSearchParams({ ...this.who, limit });
    besides.forEach((task) => query.append("besides", task));
    return call("GET", `/helper/reviews/queue?${query}`);
  }

  say(task, finalResult, reason, stopwatch) {
    return call("POST", `/helper/tasks/${encodeURIComponent(task)}/reviews`, {
      ...this.who,
      finalResult,
      correctionReason: reason,
      reviewSeconds: stopwatch.seconds,
      shownAt: stopwatch.shownAt.toISOString(),
    });
  }

  // A word that is not there has been taken back: the answer to that may have got lost.
  async takeBack(review) {
    const query = new URLSearchParams({ reviewerId: this.who.reviewerId });
    try {
      await call("DELETE", `/helper/reviews/${encodeURIComponent(review)}?${query}`);
    } catch (error) {
      if (error.status !== 404) {
        throw error;
      }
    }
  }

  serving() {
    return call("GET", "/helper/reviews/serving");
  }

  learned() {
    return call("GET", `/helper/reviews/learned?${new URLSearchParams({ reviewerId: this.who.reviewerId })}`);
  }
}
