import { clip } from "../clip.ts";
import { parseGoDuration } from "../duration.ts";

type Strings = Readonly<Record<string, string>>;

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
};
/** Longer than anything that is meant. */
const MAX_CHARS = 8 * 1024;
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Annotations of one function, read setting by setting; what is wrong with them is noted, and its value is undefined. */
export class PolicySettings {
  readonly problems: string[] = [];
  readonly #annotations: Strings;

  constructor(annotations: Strings) {
    this.#annotations = annotations;
  }

  /** Trimmed; undefined when it is not set. */
  text(name: string): string | undefined {
    return this.#annotations[name]?.trim();
  }

  /** Notes that the value of `name` breaks `rule`. */
  refuse(name: string, rule: string): undefined {
    const value = this.text(name);
    const quoted = value === undefined ? "" : `${JSON.stringify(clip(value, 100))} `;
    this.problems.push(`annotations.${name}: ${quoted}${rule}`);
    return undefined;
  }

  /** What `parse` makes of the value; what it gives undefined for breaks `rule`. */
  read<T>(name: string, rule: string, parse: (text: string) => T | undefined): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    return (text.length <= MAX_CHARS ? parse(text) : undefined) ?? this.refuse(name, rule);
  }

  /** As {@link read}; noted as missing when it is not set. */
  required<T>(name: string, rule: string, parse: (text: string) => T | undefined): T | undefined {
    if (this.text(name) === undefined) {
      this.problems.push(`annotations.${name}: is required, and ${rule}`);
      return undefined;
    }
    return this.read(name, rule, parse);
  }

  boolean(name: string): boolean {
    const flags: Readonly<Record<string, boolean>> = { true: true, false: false };
    return this.read(name, "must be true or false", (text) => flags[text]) ?? false;
  }

  bytes(name: string, most: number, mostText: string): number | undefined {
    return this.read(name, `must be a size such as 1048576, 1Mi or 500k, from 1 to ${mostText}`, (text) => {
      const [, count, unit] = /^(\d{1,15})(k|M|G|Ki|Mi|Gi)?$/.exec(text) ?? [];
      const value = Number(count) * (UNITS[unit ?? ""] as number);
      return value >= 1 && value <= most ? value : undefined;
    });
  }

  /** In milliseconds. */
  duration(name: string, most: string): number | undefined {
    return this.read(name, `must be a duration such as 30s or 5m, at most ${most}`, (text) => {
      const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : parseGoDuration(text);
      return ms !== undefined && ms <= (parseGoDuration(most) as number) ? Math.ceil(ms) : undefined;
    });
  }

  /** Notes each annotation that looks like one of these, and is not one of `known`. */
  refuseUnknown(looks: RegExp, known: ReadonlySet<string>): void {
    for (const name in this.#annotations) {
      if (!looks.test(name) || known.has(name)) continue;
      this.problems.push(`annotations.${clip(name, 100)}: there is no such setting`);
    }
  }
}

/** Items that commas separate; undefined for an empty one, too many, or one that `parse` does not take. */
export function parseList<T>(text: string, most: number, parse: (item: string) => T | undefined): T[] | undefined {
  const items = text.split(",");
  if (items.length > most) return undefined;
  const parsed: T[] = [];
  for (const item of items) {
    const value = parse(item.trim());
    if (value === undefined) return undefined;
    parsed.push(value);
  }
  return parsed;
}

/** A name as HTTP has it for headers and methods; undefined for anything else. */
export function parseToken(text: string): string | undefined {
  return text.length <= 100 && TOKEN.test(text) ? text : undefined;
}
