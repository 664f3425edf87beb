/** A metric of an expression, and the labels that are asked of it. */
export interface Selector {
  readonly metric: string;
  readonly labels: readonly string[];
}

export interface Expression {
  readonly selectors: readonly Selector[];
  /** Of `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`. */
  readonly grouping: readonly string[];
}

const TOKEN = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[a-zA-Z_:][\w:]*|\d[\w.]*|=~|!~|!=|==|<=|>=|\S/g;
const IDENTIFIER = /^[a-zA-Z_:][\w:]*$/;
const GROUPING = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);
const WORDS = new Set(["and", "or", "unless", "offset", "bool", "atan2", "inf", "nan"]);

/**
 * Reads as much of PromQL as tells which series an expression needs. Whether it is sound is for `promtool`.
 * @param text with Grafana's variables, which stand for durations outside of quotes
 * @see https://prometheus.io/docs/prometheus/latest/querying/basics/
 */
export function readExpression(text: string): Expression {
  const tokens: readonly string[] = text.replaceAll(/\[\$__\w+\]/g, "[5m]").match(TOKEN) ?? [];
  const selectors: Selector[] = [];
  const grouping: string[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at] as string;
    const next = tokens[at + 1];
    if (token === "[") at = tokens.indexOf("]", at);
    else if (GROUPING.has(token) && next === "(") {
      const end = tokens.indexOf(")", at);
      grouping.push(...tokens.slice(at + 2, end).filter((each) => each !== ","));
      at = end;
    } else if (IDENTIFIER.test(token) && !isWord(token, next)) {
      const end = next === "{" ? tokens.indexOf("}", at) : at;
      selectors.push({ metric: token, labels: labelsOf(tokens.slice(at + 2, end)) });
      at = end;
    }
  }
  return { selectors, grouping };
}

/** A function, an aggregation before its parenthesis or its `by`, or a word of the language. */
function isWord(token: string, next: string | undefined): boolean {
  return next === "(" || next === "by" || next === "without" || GROUPING.has(token) || WORDS.has(token.toLowerCase());
}

/** Names before an operator. */
function labelsOf(matchers: readonly string[]): string[] {
  return matchers.filter((_token, at) => /^(=|=~|!=|!~)$/.test(matchers[at + 1] ?? ""));
}

/** What is exported: the labels of each metric. */
export type Exported = ReadonlyMap<string, ReadonlySet<string>>;

/** Set by Prometheus. */
const OF_PROMETHEUS = ["job", "instance"];

/** What an expression asks for and nobody exports, in words. */
export function missingFrom(exported: Exported, text: string): string[] {
  const { selectors, grouping } = readExpression(text);
  const labelsFor = (metric: string) => new Set([...(exported.get(metric) ?? []), ...OF_PROMETHEUS]);
  const known = selectors.filter(({ metric }) => metric === "up" || exported.has(metric));
  return [
    ...selectors.filter((each) => !known.includes(each)).map(({ metric }) => `no metric ${metric}`),
    ...known.flatMap(({ metric, labels }) =>
      labels.filter((label) => !labelsFor(metric).has(label)).map((label) => `no label ${label} of ${metric}`),
    ),
    ...grouping
      .filter((label) => known.length > 0 && !known.some(({ metric }) => labelsFor(metric).has(label)))
      .map((label) => `no label ${label} to group by`),
  ];
}
