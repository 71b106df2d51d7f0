// What the browser keeps for this page from one visit to the next: input like any other, and some keep nothing.

const KEY = "review";

export function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY));
    return kept !== null && typeof kept === "object" ? kept : {};
  } catch {
    return {};
  }
}

export function keep(values) {
  try {
    localStorage.setItem(KEY, JSON.stringify(values));
  } catch (error) {
    console.warn(`nothing is kept for the next visit: ${error.message}`);
  }
}
