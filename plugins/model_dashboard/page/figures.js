// Numbers as people read them: rounded, and never onto or over a bar that they are compared with.

import { text } from "./texts.js";

const MOST_DIGITS = 10;
const HOUR = 3600;
const MINUTE = 60;
// Without what binary fractions add: 0.29 is 29, not 28.999999999999996.
const hundredfold = (share) => Number((share * 100).toPrecision(12));

// With the fewest decimals, from `digits` on, that leave `value` on its side of each of `bars`.
export function figure(value, digits, bars) {
  const sides = (one) => bars.map((bar) => Math.sign(one - bar)).join();
  for (let more = digits; more < MOST_DIGITS; more += 1) {
    const shown = value.toFixed(more);
    if (sides(Number(shown)) === sides(value)) return shown;
  }
  return value.toFixed(MOST_DIGITS);
}

// None and all are bars, too: 100 % is all.
export const percent = (share, bars = []) =>
  share === null || share === undefined ? "–" : `${figure(hundredfold(share), 1, [0, 100, ...bars.map(hundredfold)])} %`;

// A bar has the decimals that somebody gave it.
export const exactPercent = (share) => `${hundredfold(share)} %`;

// What is less than nothing, or nothing, says so.
export const count = (value) => figure(value, 0, [0]);

export function duration(seconds) {
  const size = Math.abs(seconds);
  const [key, unit] = size >= HOUR ? ["hours", HOUR] : size >= MINUTE ? ["minutes", MINUTE] : ["secondsOf", 1];
  const next = unit === HOUR ? [] : [-MINUTE, MINUTE];
  return text(key, { n: figure(seconds / unit, unit === 1 ? 0 : 1, [0, ...next]) });
}
