/** The part of Go's text/template that the chart uses, as a tree. @see https://pkg.go.dev/text/template */

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipeline: Pipeline }
  | { readonly kind: "set"; readonly name: string; readonly pipeline: Pipeline; readonly declare: boolean }
  | {
      readonly kind: "if";
      readonly pipeline: Pipeline;
      readonly then: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | {
      readonly kind: "with";
      readonly pipeline: Pipeline;
      readonly then: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | {
      readonly kind: "range";
      readonly variables: readonly string[];
      readonly pipeline: Pipeline;
      readonly then: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | { readonly kind: "define"; readonly name: string; readonly body: readonly Node[] };

/** Commands, each given the one before as its last argument. */
export type Pipeline = readonly Command[];
export type Command = readonly Operand[];

export type Operand =
  | { readonly kind: "literal"; readonly value: string | number | boolean | undefined }
  | { readonly kind: "function"; readonly name: string }
  /** `.a.b`, `$.a.b` or `$name.a`: `root` is `.`, `$` or the variable. */
  | { readonly kind: "field"; readonly root: string; readonly path: readonly string[] }
  | { readonly kind: "group"; readonly pipeline: Pipeline; readonly path: readonly string[] };

export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

interface Piece {
  readonly action: boolean;
  readonly text: string;
  readonly line: number;
}

const ACTION = /\{\{(- )?(?:\/\*[\s\S]*?\*\/|((?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^"`])*?))( -)?\}\}/g;

/** Text and actions in turn; the dashes have taken their white space with them. Comments are gone. */
function split(source: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trimNext = false;
  const pushText = (text: string, trimEnd: boolean) => {
    const start = trimNext ? text.trimStart() : text;
    pieces.push({ action: false, text: trimEnd ? start.trimEnd() : start, line: 0 });
  };
  for (const match of source.matchAll(ACTION)) {
    const [whole, trimBefore, action, trimAfter] = match;
    pushText(source.slice(at, match.index), trimBefore !== undefined);
    at = match.index + whole.length;
    trimNext = trimAfter !== undefined;
    const line = source.slice(0, match.index).split("\n").length;
    if (action !== undefined) pieces.push({ action: true, text: action.trim(), line });
  }
  pushText(source.slice(at), false);
  return pieces;
}

const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*")|(`[^`]*`)|(:=|=|\||\(|\)|,)|((?:\$\w*|\.)?(?:\.?\w[\w]*(?:\.\w+)*)|\$|\.)|(-?\d[\w.]*))/y;

function tokens(text: string, fail: (why: string) => never): string[] {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) return text.slice(at).trim() === "" ? found : fail(`cannot read ${text.slice(at)}`);
    found.push(match[0].trim());
  }
  return found;
}

/** Reads a pipeline from `words`, up to a closing bracket or the end. */
function parsePipeline(words: string[], fail: (why: string) => never): Pipeline {
  const commands: Operand[][] = [[]];
  while (words.length > 0 && words[0] !== ")") {
    const word = words.shift() as string;
    if (word === "|") commands.push([]);
    else (commands.at(-1) as Operand[]).push(parseOperand(word, words, fail));
  }
  if (commands.some((command) => command.length === 0)) fail("a command is empty");
  return commands;
}

function parseOperand(word: string, words: string[], fail: (why: string) => never): Operand {
  if (word === "(") {
    const pipeline = parsePipeline(words, fail);
    if (words.shift() !== ")") fail("a bracket is not closed");
    // A field right behind the bracket would be of its result; the chart has no need of that.
    return { kind: "group", pipeline, path: [] };
  }
  if (word.startsWith('"')) return { kind: "literal", value: JSON.parse(word) as string };
  if (word.startsWith("`")) return { kind: "literal", value: word.slice(1, -1) };
  if (/^-?\d/.test(word)) return { kind: "literal", value: Number(word) };
  if (word === "true" || word === "false") return { kind: "literal", value: word === "true" };
  if (word === "nil") return { kind: "literal", value: undefined };
  if (word.startsWith(".")) return { kind: "field", root: ".", path: word.split(".").filter(Boolean) };
  if (word.startsWith("$")) {
    const [root = "$", ...path] = word.split(".");
    return { kind: "field", root, path };
  }
  if (/^\w+$/.test(word)) return { kind: "function", name: word };
  return fail(`cannot read ${word}`);
}

/**
 * @param name of the file, for messages
 * @throws {TemplateError} with file and line
 */
export function parseTemplate(source: string, name: string): Node[] {
  const pieces = split(source);
  const [nodes, end] = parseNodes(pieces, name, []);
  if (end !== undefined) throw new TemplateError(`${name}: {{ ${end} }} has no beginning`);
  return nodes;
}

/** Nodes up to one of `ends`, which is taken away and handed back; undefined at the end of the file. */
function parseNodes(pieces: Piece[], name: string, ends: readonly string[]): [nodes: Node[], end: string | undefined] {
  const nodes: Node[] = [];
  for (let piece = pieces.shift(); piece !== undefined; piece = pieces.shift()) {
    if (!piece.action) {
      if (piece.text !== "") nodes.push({ kind: "text", text: piece.text });
      continue;
    }
    const { text, line } = piece;
    const fail = (why: string): never => {
      throw new TemplateError(`${name}:${line}: ${why} in {{ ${text} }}`);
    };
    const keyword = /^\w+/.exec(text)?.[0] ?? "";
    if (keyword === "end" || keyword === "else") {
      if (!ends.includes(keyword)) fail(`${keyword} has no beginning`);
      return [nodes, text];
    }
    nodes.push(parseAction(keyword, text, { pieces, name, fail }));
  }
  if (ends.length > 0) throw new TemplateError(`${name}: {{ end }} is missing`);
  return [nodes, undefined];
}

interface Around {
  readonly pieces: Piece[];
  readonly name: string;
  readonly fail: (why: string) => never;
}

function parseAction(keyword: string, text: string, around: Around): Node {
  const { pieces, name, fail } = around;
  const whole = (source: string): Pipeline => {
    const words = tokens(source, fail);
    const pipeline = parsePipeline(words, fail);
    return words.length === 0 ? pipeline : fail("there is too much");
  };
  const rest = text.slice(keyword.length);
  switch (keyword) {
    case "if":
    case "with":
      return { kind: keyword, pipeline: whole(rest), ...parseBranches(around) };
    case "range": {
      const [, list, source = rest] = /^\s*((?:\$\w+\s*,\s*)?\$\w+)\s*:=(.*)$/s.exec(rest) ?? [];
      const variables = list?.split(",").map((variable) => variable.trim()) ?? [];
      return { kind: "range", variables, pipeline: whole(source), ...parseBranches(around) };
    }
    case "define": {
      const [body] = parseNodes(pieces, name, ["end"]);
      return { kind: "define", name: JSON.parse(rest.trim()) as string, body };
    }
    default: {
      const assignment = /^(\$\w+)\s*(:?=)(.*)$/s.exec(text);
      if (!assignment) return { kind: "print", pipeline: whole(text) };
      const [, variable = "", operator, source = ""] = assignment;
      return { kind: "set", name: variable, pipeline: whole(source), declare: operator === ":=" };
    }
  }
}

function parseBranches({ pieces, name, fail }: Around): { then: Node[]; otherwise: Node[] } {
  const [then, end = ""] = parseNodes(pieces, name, ["else", "end"]);
  if (end === "end") return { then, otherwise: [] };
  const condition = /^else\s+if\s+(.*)$/s.exec(end)?.[1];
  if (condition === undefined) return { then, otherwise: parseNodes(pieces, name, ["end"])[0] };
  const words = tokens(condition, fail);
  const chained: Node = {
    kind: "if",
    pipeline: parsePipeline(words, fail),
    ...parseBranches({ pieces, name, fail }),
  };
  return { then, otherwise: [chained] };
}
