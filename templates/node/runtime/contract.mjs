/** Which contract a handler keeps: its parameters decide, by their names where their number does not. */
export const CONTRACTS =
  "(event, context), (event, context, callback), or (context, callback), which gets the request's body as text";

const CALLBACK = /^(?:callback|cb|done)$/;

/**
 * `event`: what is returned is the answer. `text`: OpenFaaS's classic node template, whose first parameter is the body.
 * @throws {Error} for what cannot be called by either
 */
export function contractOf(handler) {
  return decideContract(Function.prototype.toString.call(handler));
}

/** The same for a function's source. */
export function decideContract(source) {
  if (/^class\b/.test(source)) throw new Error(`the handler is a class: it must be a function of ${CONTRACTS}`);
  const parameters = parseParameters(source);
  if (parameters.filter(({ optional }) => !optional).length > 3) {
    const shown = parameters.map(({ name }) => name ?? "{…}").join(", ");
    throw new Error(`the handler's parameters (${shown}) fit no contract: they must be ${CONTRACTS}`);
  }
  const [first, second] = parameters.map(({ name }) => name);
  if (parameters.length === 2 && CALLBACK.test(second)) return "text";
  return parameters.length === 1 && first === "context" ? "text" : "event";
}

/** The end of a parameter list further down would be no help to anybody. */
const LONGEST_LIST = 4096;

const NAME = "[A-Za-z_$\\u0080-\\uffff][\\w$\\u0080-\\uffff]*";
const ONE_NAME = new RegExp(`^(?:async\\s+)?(${NAME})\\s*=>`, "u");
const PARAMETER = new RegExp(`^\\s*(\\.\\.\\.\\s*)?(${NAME})?\\s*(=)?`, "u");
const STRING_OR_COMMENT = /("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

/**
 * A function's parameters, in order; none for one that is not written in JavaScript.
 * @returns `{ name, optional }` for each; the name is undefined for one that is taken apart
 */
export function parseParameters(source) {
  const text = source
    .slice(0, LONGEST_LIST)
    .replace(STRING_OR_COMMENT, (_, string) => (string === undefined ? " " : '""'))
    .trim();
  const alone = ONE_NAME.exec(text);
  if (alone !== null) return [{ name: alone[1], optional: false }];
  const start = text.indexOf("(");
  if (start === -1) return [];
  return splitList(text.slice(start + 1)).map((parameter) => {
    const [, rest, name, hasDefault] = PARAMETER.exec(parameter);
    return { name, optional: rest !== undefined || hasDefault !== undefined };
  });
}

/** The parts between commas, up to the bracket that closes the list. */
function splitList(text) {
  const parts = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if ("([{".includes(char)) depth++;
    else if (depth > 0 && ")]}".includes(char)) depth--;
    else if (depth === 0 && (char === "," || char === ")")) {
      const part = text.slice(from, at);
      if (part.trim() !== "") parts.push(part);
      if (char === ")") break;
      from = at + 1;
    }
  }
  return parts;
}
