// Elements of text: nothing that came from outside is ever read as markup.

export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "class") made.className = value;
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// Nothing moves under a person's hands: what is the same stays, and so does the focus.
export function show(place, ...children) {
  const next = el("div", {}, ...children);
  if (place.dataset.shown === next.innerHTML && place.childNodes.length) return false;
  const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.dataset.shown = next.innerHTML;
  place.replaceChildren(...next.childNodes);
  if (focused) document.getElementById(focused)?.focus();
  return true;
}

export const byId = (id) => document.getElementById(id);
