import { parse } from "node:querystring";

// What handlers of different ages expect; templates that extend this one lay another file over it.

/** `event.query`: flat, a repeated name gives an array. */
export const parseQuery = (text) => ({ ...parse(text) });

/** `event.body` of a request without one. */
export const noBody = () => undefined;
