import { createRequire } from "node:module";
import { join } from "node:path";
import { parseParameters } from "./contract.mjs";

/** Whether a function is an Express application, or another one of that kind: a listener that middleware can be put into. */
export function isApplication(value) {
  return typeof value === "function" && typeof value.use === "function" && typeof value.handle === "function";
}

/** Whether a handler is `(config) => …` or `({ app }) => …`, which sets up the application that it gets. */
export function takesApplication(handler) {
  const [first, ...more] = parseParameters(Function.prototype.toString.call(handler));
  return first !== undefined && more.length === 0 && (first.name === undefined || /^(?:config|app)$/.test(first.name));
}

/**
 * An application with the usual parsers of bodies, set up by the handler.
 * @param folder of the handler, which brings Express
 * @throws {Error} without Express
 */
export async function openService(handler, folder, { body: { raw, limits } }) {
  const express = requireExpress(folder);
  const app = express();
  app.disable("x-powered-by");
  if (raw) app.use(express.raw({ type: "*/*", limit: limits.raw.bytes }));
  else {
    app.use(express.text({ type: "text/*", limit: limits.text.bytes }));
    app.use(express.json({ limit: limits.json.bytes }));
    app.use(express.urlencoded({ extended: true, limit: limits.text.bytes }));
  }
  const [first] = parseParameters(Function.prototype.toString.call(handler));
  const made = await handler(first?.name === "app" ? app : { app });
  return isApplication(made) ? made : app;
}

function requireExpress(folder) {
  try {
    return createRequire(join(folder, "handler.js"))("express");
  } catch (cause) {
    throw new Error("the handler's package.json must list express: npm install express", { cause });
  }
}
