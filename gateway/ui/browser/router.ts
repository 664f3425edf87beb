import { computed, signal } from "@preact/signals";

/** Below which all screens are, with a slash at its end; the gateway may be below a path itself. */
export const BASE = document.querySelector<HTMLMetaElement>('meta[name="faaslane-base"]')?.content ?? "/ui/";

const location_ = signal({ path: window.location.pathname, search: window.location.search });

/** Path of the screen, starting with `/`. */
export const path = computed(() => `/${location_.value.path.slice(BASE.length)}`);
export const query = computed(() => new URLSearchParams(location_.value.search));

/** Screens that somebody has come to since the page is open, and whether the last one was come back to. */
export const arrivals = signal({ count: 0, isBack: false });

window.addEventListener("popstate", () => {
  const { path: before, search } = location_.peek();
  if (before !== window.location.pathname || search !== window.location.search) arrive(true);
  update();
});

function arrive(isBack: boolean): void {
  arrivals.value = { count: arrivals.peek().count + 1, isBack };
}

function update(): void {
  location_.value = { path: window.location.pathname, search: window.location.search };
}

/** Address of a screen, for links. @param to starting with `/`, with its query */
export function href(to: string): string {
  return BASE + to.slice(1);
}

/** Goes to a screen. @param how `replace` for what is no step back, such as a filter that is being typed */
export function navigate(to: string, how: "push" | "replace" = "push"): void {
  const { state } = window.history;
  if (how === "push") {
    window.history.pushState(state, "", href(to));
    arrive(false);
  } else window.history.replaceState(state, "", href(to));
  update();
}

/** Address of the screen that is shown with other values of the query, for links; empty ones are left out. */
export function withQuery(values: Readonly<Record<string, string>>): string {
  const next = new URLSearchParams(query.value);
  for (const [name, value] of Object.entries(values)) {
    if (value === "") next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString();
  return path.value + (text === "" ? "" : `?${text}`);
}

/** Sets one value of the query, so that the address says what is seen; an empty one is left out. */
export function setQuery(name: string, value: string): void {
  navigate(withQuery({ [name]: value }), "replace");
}

/** Parts of a path by their names. @returns undefined when it does not fit */
export function match(pattern: string, given: string): Record<string, string> | undefined {
  const wanted = pattern.split("/");
  const parts = given.replace(/\/$/, "").split("/");
  const found: Record<string, string> = {};
  for (const [at, name] of wanted.entries()) {
    const part = parts[at];
    if (name.startsWith(":")) {
      const optional = name.endsWith("?");
      if (part === undefined || part === "") {
        if (!optional) return undefined;
        continue;
      }
      try {
        found[optional ? name.slice(1, -1) : name.slice(1)] = decodeURIComponent(part);
      } catch {
        return undefined;
      }
    } else if (name !== (part ?? "")) return undefined;
  }
  return parts.length <= wanted.length ? found : undefined;
}
