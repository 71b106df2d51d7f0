// The page stands in a frame of Airflow's: its language, its light, and its links are Airflow's.

const PLACE = "/model-dashboard/";
export const base = location.pathname.slice(0, location.pathname.lastIndexOf(PLACE));

function outside() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
}

// What the address says after `?`. Airflow hands its own on to no frame, and drops it once the frame is there.
const [here, above] = [location.search, outside()?.location.search].map((words) => new URLSearchParams(words));

export const wanted = (name) => here.get(name) ?? above.get(name);

export function language() {
  const told = outside()?.document.documentElement.lang || localStorage.getItem("i18nextLng") || navigator.language;
  return told.toLowerCase().startsWith("ko") ? "ko" : "en";
}

export function isDark() {
  const above = outside()?.document.documentElement.classList;
  if (above?.contains("dark")) return true;
  if (above?.contains("light")) return false;
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

export function onChange(act) {
  const above = outside();
  if (above) {
    new MutationObserver(act).observe(above.document.documentElement, { attributes: true, attributeFilter: ["class", "lang"] });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", act);
}

// Inside the frame Airflow's pages would nest; the frame may neither open windows nor leave itself.
export function goTo(path) {
  const above = outside();
  if (!above) {
    location.href = base + path;
    return;
  }
  above.history.pushState({}, "", base + path);
  above.dispatchEvent(new PopStateEvent("popstate", { state: {} }));
}

// The frame may not lead its parent anywhere; a link that stands in the parent may.
function follow(address, target) {
  const there = (outside() ?? window).document;
  const link = there.createElement("a");
  link.href = address;
  link.target = target;
  link.rel = "noopener noreferrer";
  there.body.append(link);
  link.click();
  link.remove();
}

export function openElsewhere(address) {
  if (/^https?:\/\//.test(address)) follow(address, "_blank");
}

export function signIn() {
  // Airflow hands on what stands in this address, the page's own state, so that a person comes back to the same model.
  const back = (outside() ? "/plugin/models" : PLACE) + location.search;
  follow(`${base}/auth/login?next=${encodeURIComponent(base + back)}`, "_self");
}
