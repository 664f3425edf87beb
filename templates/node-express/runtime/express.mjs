import { createRequire } from "node:module";
import { join } from "node:path";
import { carriesEvent } from "./cloud-event.mjs";
import { parseParameters } from "./contract.mjs";
import { giveEvents } from "./express-events.mjs";

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
  for (const [events, bytes] of [
    [false, "bytes"],
    [true, "eventBytes"],
  ]) {
    for (const parser of parsersOf(express, raw, limits, events, bytes)) {
      app.use((req, res, next) => (carriesEvent(req.headers) === events ? parser(req, res, next) : next()));
    }
  }
  giveEvents(app);
  const [first] = parseParameters(Function.prototype.toString.call(handler));
  const made = await handler(first?.name === "app" ? app : { app });
  return isApplication(made) ? made : app;
}

/** The data of an event may be of any type, and a JSON scalar. */
function parsersOf(express, raw, limits, events, bytes) {
  const rest = express.raw({ type: events ? () => true : "*/*", limit: limits.raw[bytes] });
  if (raw) return [rest];
  const parsers = [
    express.text({ type: "text/*", limit: limits.text[bytes] }),
    express.json({ limit: limits.json[bytes], ...(events && { strict: false, type: ["json", "+json"] }) }),
    express.urlencoded({ extended: true, limit: limits.text[bytes] }),
  ];
  return events ? [...parsers, rest] : parsers;
}

function requireExpress(folder) {
  try {
    return createRequire(join(folder, "handler.js"))("express");
  } catch (cause) {
    throw new Error("the handler's package.json must list express: npm install express", { cause });
  }
}
