/** What most triggers say, as people fill it in. */
export interface TriggerForm {
  readonly broker: string;
  /** `order.created`, `order.*` or `*.created`; any when empty. */
  readonly type: string;
  readonly source: string;
  /** CESQL. */
  readonly filter: string;
  /** `NAME`, `NAME@v3`, `broker/NAME`, `sink/NAME` or a URL. */
  readonly to: string;
  readonly retry: string;
}

export const EMPTY_FORM: TriggerForm = { broker: "", type: "", source: "", filter: "", to: "", retry: "" };

/** The declaration that the form stands for. */
export function specOf({ broker, type, source, filter, to, retry }: TriggerForm): Record<string, unknown> {
  const filters = [
    ...attributeFilter("type", type),
    ...attributeFilter("source", source),
    ...(filter.trim() === "" ? [] : [{ cesql: filter }]),
  ];
  return {
    ...(broker !== "" && { broker }),
    ...(filters.length > 0 && { filters }),
    subscriber: subscriberOf(to),
    ...(/^\d+$/.test(retry) && { delivery: { retry: Number(retry) } }),
  };
}

function attributeFilter(name: string, text: string): object[] {
  if (text === "") return [];
  if (text.length > 1 && text.endsWith("*")) return [{ prefix: { [name]: text.slice(0, -1) } }];
  if (text.length > 1 && text.startsWith("*")) return [{ suffix: { [name]: text.slice(1) } }];
  return [{ exact: { [name]: text } }];
}

function subscriberOf(to: string): Record<string, string> {
  const [kind = "", name] = to.split("/", 2);
  if (/^https?:\/\//.test(to)) return { uri: to };
  return (kind === "broker" || kind === "sink") && name !== undefined ? { [kind]: name } : { function: to };
}
