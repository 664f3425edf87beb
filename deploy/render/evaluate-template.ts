import { type Command, type Node, type Operand, type Pipeline, TemplateError } from "./parse-template.ts";

export type TemplateFunction = (...args: unknown[]) => unknown;

export interface Scope {
  readonly dot: unknown;
  readonly root: unknown;
  readonly variables: Map<string, { value: unknown }>;
}

/** What templates call: functions by name, among them `include`, which gets at the templates themselves. */
export type Functions = Readonly<Record<string, TemplateFunction>>;

/** Whether Go's templates take a value for true. */
export function isTruthy(value: unknown): boolean {
  if (value === undefined || value === null) return false;
  if (Array.isArray(value)) return value.length > 0;
  return typeof value === "object" ? Object.keys(value).length > 0 : Boolean(value);
}

/** A value as an action prints it. */
function print(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "object") throw new TemplateError(`a map or list is printed: ${JSON.stringify(value)}`);
  return String(value);
}

/** @throws {TemplateError} for a field that does not exist: a typo in a value's name must not pass for an empty value */
function follow(value: unknown, path: readonly string[], whole: string): unknown {
  return path.reduce((at, name) => {
    if (typeof at !== "object" || at === null || !(name in at)) throw new TemplateError(`${whole}: has no ${name}`);
    return (at as Readonly<Record<string, unknown>>)[name];
  }, value);
}

export function execute(nodes: readonly Node[], scope: Scope, functions: Functions): string {
  return nodes.map((node) => executeNode(node, scope, functions)).join("");
}

function executeNode(node: Node, scope: Scope, functions: Functions): string {
  const value = (pipeline: Pipeline) => evaluate(pipeline, scope, functions);
  switch (node.kind) {
    case "text":
      return node.text;
    case "define":
      return "";
    case "print":
      return print(value(node.pipeline));
    case "set": {
      const now = value(node.pipeline);
      const known = scope.variables.get(node.name);
      if (node.declare || !known) scope.variables.set(node.name, { value: now });
      else known.value = now;
      return "";
    }
    case "if": {
      const branch = isTruthy(value(node.pipeline)) ? node.then : node.otherwise;
      return execute(branch, inner(scope), functions);
    }
    case "with": {
      const dot = value(node.pipeline);
      if (!isTruthy(dot)) return execute(node.otherwise, inner(scope), functions);
      return execute(node.then, { ...inner(scope), dot }, functions);
    }
    case "range":
      return executeRange(node, scope, functions);
  }
}

function inner(scope: Scope): Scope {
  return { ...scope, variables: new Map(scope.variables) };
}

function executeRange(node: Extract<Node, { kind: "range" }>, scope: Scope, functions: Functions): string {
  const over = evaluate(node.pipeline, scope, functions);
  if (!isTruthy(over)) return execute(node.otherwise, inner(scope), functions);
  const entries: [unknown, unknown][] = Array.isArray(over)
    ? over.map((item, index) => [index, item])
    : Object.entries(over as object).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries
    .map(([key, item]) => {
      const within = { ...inner(scope), dot: item };
      const values = node.variables.length === 2 ? [key, item] : [item];
      for (const [index, name] of node.variables.entries()) within.variables.set(name, { value: values[index] });
      return execute(node.then, within, functions);
    })
    .join("");
}

function evaluate(pipeline: Pipeline, scope: Scope, functions: Functions): unknown {
  return pipeline.reduce<unknown>((piped, command, index) => {
    return call(command, index === 0 ? [] : [piped], scope, functions);
  }, undefined);
}

function call(command: Command, piped: readonly unknown[], scope: Scope, functions: Functions): unknown {
  const [first, ...rest] = command as [Operand, ...Operand[]];
  const given = rest.map((operand) => operandValue(operand, scope, functions));
  if (first.kind === "function") {
    const run = functions[first.name];
    if (!run) throw new TemplateError(`there is no function ${first.name}`);
    return run(...given, ...piped);
  }
  const value = operandValue(first, scope, functions);
  if (given.length === 0 && piped.length === 0) return value;
  if (typeof value !== "function") throw new TemplateError("what is no function is given arguments");
  return (value as TemplateFunction)(...given, ...piped);
}

function operandValue(operand: Operand, scope: Scope, functions: Functions): unknown {
  switch (operand.kind) {
    case "literal":
      return operand.value;
    case "function":
      return call([operand], [], scope, functions);
    case "group":
      return evaluate(operand.pipeline, scope, functions);
    case "field": {
      const { root, path } = operand;
      const whole = [root === "." ? "" : root, ...path].join(".");
      if (root === ".") return follow(scope.dot, path, whole);
      if (root === "$") return follow(scope.root, path, whole);
      const variable = scope.variables.get(root);
      if (!variable) throw new TemplateError(`there is no variable ${root}`);
      return follow(variable.value, path, whole);
    }
  }
}
