import { parseForm } from "./form.mjs";

// As handlers of node18 and node20 know it.

/** `event.query`: `a[b]=1` nests. What cannot be nested, or is too much of it, is left out. */
export const parseQuery = (text) => {
  try {
    return parseForm(text);
  } catch {
    return {};
  }
};

/** `event.body` of a request without one. */
export const noBody = () => ({});
