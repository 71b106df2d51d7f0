// Words beside the lines of a chart, such that none lies on another one or on another one's line.

const GAP = 3;
export const ROW = 15;

// `bars`: {text, look, y}; `marks`: {text, look, x}, oldest first; both in pixels of `place`, whose plot begins at its top
// edge: the words of marks stand in `rows` above it. A mark that finds no room has none. → for each mark how far its line
// reaches up.
export function label(place, bars, marks, rows) {
  const width = place.clientWidth;
  place.querySelectorAll(".label").forEach((one) => one.remove());
  const words = new Map([...bars, ...marks].map((one) => [one, word(place, one)]));
  // Measured together, before any is moved.
  const sizes = new Map([...words].map(([one, made]) => [one, [made.offsetWidth, made.offsetHeight]]));
  const taken = [];
  const put = (one, found) => {
    taken.push(...found.boxes);
    Object.assign(words.get(one).style, { left: `${found.boxes[0].left}px`, top: `${found.boxes[0].top}px` });
  };
  const room = (one, places) => places.find(({ boxes }) => inside(boxes[0], width) && !boxes.some((box, i) => taken.some((other) => meet(box, other, i))));
  const tops = new Map();
  for (const one of [...bars, ...[...marks].reverse()]) {
    const places = "y" in one ? besideBar(one, sizes.get(one), width) : besideMark(one, sizes.get(one), rows);
    const found = room(one, places);
    if (found) put(one, found);
    else words.get(one).remove();
    tops.set(one, found?.top ?? 0);
  }
  return marks.map((one) => tops.get(one));
}

function word(place, { text, look }) {
  const made = document.createElement("span");
  made.className = `label ${look}`;
  made.textContent = text;
  place.append(made);
  return made;
}

const box = (left, top, width, height) => ({ left, top, right: left + width, bottom: top + height });
const inside = (one, width) => one.left >= 0 && one.right <= width;
// Lines may cross, and stand on each other: only a word needs its place to itself.
const meet = (one, other, isLine) =>
  !(isLine && other.isLine) && one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

function besideBar({ y }, [width, height], whole) {
  const lefts = [GAP, whole - width - GAP];
  return lefts.flatMap((left) => [y - height - 1, y + 2].map((top) => ({ boxes: [box(left, top, width, height)], top: 0 })));
}

// Like a flag on its pole, right of it where there is room; of two at one moment the later one stands lower.
function besideMark({ x }, [width, height], rows) {
  const tops = Array.from({ length: rows }, (_, row) => -(row + 1) * ROW);
  return [x + GAP, x - GAP - width].flatMap((left) =>
    tops.map((top) => ({ boxes: [box(left, top, width, height), { ...box(x - 0.5, top, 1, -top), isLine: true }], top })),
  );
}
