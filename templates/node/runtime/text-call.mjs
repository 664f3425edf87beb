import { AsyncLocalStorage } from "node:async_hooks";
import { readText } from "./body.mjs";
import { Answer } from "./context.mjs";
import { encode } from "./reply.mjs";

/** What one call may print into its answer; the rest goes to the log. */
const MAX_PRINTED_BYTES = 64 * 1024 ** 2;

/**
 * The contract of OpenFaaS's classic node template: `handler(context, callback)` gets the body as text, and what it prints
 * and calls back with is the answer. The rest of the request is in `Http_*` variables. There each call has a process of its
 * own; here `process.stdout` and `process.env` show each call what is its own. To be called once.
 * @param limit of the body, as `{ name, bytes }`
 */
export function createTextListener(handler, limit, refuse) {
  const calls = new AsyncLocalStorage();
  shareEnvironment(calls);
  shareOutput(calls);
  const callsBack = handler.length > 1;

  function run(req, res, text) {
    const call = { variables: variablesOf(req), printed: [], printedBytes: 0 };
    const answer = new Answer(res);
    const context = { statusCode: 200, headerValues: {} };
    const succeed = (value) => answer.succeed(context, value, (result) => encodeText(call, result));
    const callback = (error, value) => (error ? answer.fail(context, error) : succeed(value));
    const onValue = (value) => {
      if (value !== undefined || !(answer.settled || callsBack)) succeed(value);
    };
    const onError = (error) => answer.crash(context, error);
    try {
      const result = calls.run(call, handler, text, callback);
      if (typeof result?.then !== "function") return onValue(result);
      // As there, a promise is an answer whatever it brings.
      return Promise.resolve(result).then((value) => {
        if (!answer.settled || value !== undefined) succeed(value);
      }, onError);
    } catch (error) {
      onError(error);
    }
  }

  return (req, res) =>
    readText(req, limit).then(
      (text) => run(req, res, text),
      (error) => refuse(res, error),
    );
}

/** What was printed, and the value as the template prints it. Without a type, which is guessed from the content. */
function encodeText({ printed }, value) {
  const { payload, type, ...more } = encode(value ?? "");
  if (payload === undefined) return { payload, type, ...more };
  const line = typeof value === "object" && value !== null && !Buffer.isBuffer(value) ? "\n" : "";
  const bytes = typeof payload === "string" ? Buffer.from(payload + line) : payload;
  return { payload: printed.length === 0 ? bytes : Buffer.concat([...printed, bytes]), type: undefined };
}

function variablesOf(req) {
  const variables = {};
  for (const [name, value] of Object.entries(req.headers)) {
    const canonical = name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()).replaceAll("-", "_");
    variables[`Http_${canonical}`] = String(value);
  }
  const { url, headers } = req;
  const mark = url.indexOf("?");
  const length = headers["content-length"] ?? (headers["transfer-encoding"] === undefined ? "0" : "-1");
  variables.Http_Method = req.method;
  variables.Http_ContentLength = length;
  variables.Http_Content_Length = length;
  if (mark !== -1 && mark + 1 < url.length) variables.Http_Query = url.slice(mark + 1);
  variables.Http_Path = decodePath(mark === -1 ? url : url.slice(0, mark));
  return variables;
}

function decodePath(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // not UTF-8
  }
}

/** Shows each call its own variables in front of everybody's; programs that it starts inherit them. */
function shareEnvironment(calls) {
  const own = () => calls.getStore()?.variables;
  const has = (name) => typeof name === "string" && own() !== undefined && Object.hasOwn(own(), name);
  process.env = new Proxy(process.env, {
    get: (shared, name) => (has(name) ? own()[name] : shared[name]),
    has: (shared, name) => has(name) || name in shared,
    ownKeys: (shared) => [...new Set([...Reflect.ownKeys(shared), ...Object.keys(own() ?? {})])],
    getOwnPropertyDescriptor: (shared, name) =>
      has(name)
        ? { value: own()[name], writable: true, enumerable: true, configurable: true }
        : Reflect.getOwnPropertyDescriptor(shared, name),
  });
}

/** What a call prints is its answer. */
function shareOutput(calls) {
  const write = process.stdout.write.bind(process.stdout);
  process.stdout.write = (chunk, encoding, done) => {
    const call = calls.getStore();
    const bytes =
      typeof chunk === "string" ? Buffer.from(chunk, typeof encoding === "string" ? encoding : "utf8") : chunk;
    if (call === undefined || call.printedBytes + bytes.length > MAX_PRINTED_BYTES) return write(chunk, encoding, done);
    call.printed.push(Buffer.from(bytes));
    call.printedBytes += bytes.length;
    const callback = typeof encoding === "function" ? encoding : done;
    if (callback !== undefined) process.nextTick(callback);
    return true;
  };
}
