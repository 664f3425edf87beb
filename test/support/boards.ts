import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "./platform.ts";

/** An expression of a board or of a rule, and where it is. */
export interface Placed {
  readonly where: string;
  readonly expression: string;
}

export interface Board {
  readonly uid: string;
  readonly title: string;
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: string | { readonly query: string } }[];
  };
  readonly panels: readonly Panel[];
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const FOLDER = join(ROOT, "deploy/grafana");
export const ALERTS_FILE = join(ROOT, "deploy/prometheus/alerts.yaml");

/** By file name. */
export const BOARDS: ReadonlyMap<string, Board> = new Map(
  readdirSync(FOLDER).map((file) => [file, JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as Board]),
);

export const RULES: readonly Rule[] = (
  parse(readFileSync(ALERTS_FILE, "utf8")) as { groups: { rules: Rule[] }[] }
).groups.flatMap(({ rules }) => rules);

/** Every expression, with those that fill the choices of variables. */
export function expressionsOf(file: string, { panels, templating }: Board): Placed[] {
  const choices = templating.list.flatMap(({ name, query }) => {
    const text = typeof query === "string" ? query : query.query;
    const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(text) ?? [];
    return metric ? [{ where: `${file}: $${name}`, expression: `count by (${label}) (${metric})` }] : [];
  });
  const drawn = panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ where: `${file}: ${title}`, expression: expr })),
  );
  return [...choices, ...drawn];
}

export const EXPRESSIONS: readonly Placed[] = [
  ...[...BOARDS].flatMap(([file, board]) => expressionsOf(file, board)),
  ...RULES.map(({ alert, expr }) => ({ where: `alerts.yaml: ${alert}`, expression: expr })),
];
