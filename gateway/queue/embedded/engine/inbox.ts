import type { Ask, Change, KeyClaim, SettlementMessage, ToWorker, WireSettlement } from "../protocol.ts";

export type Batch = Extract<ToWorker, { kind: "batch" }>;
/** About giving out calls. */
export type Order =
  | Extract<ToWorker, { kind: "consume" | "pause" }>
  | { readonly kind: "claim"; readonly claims: readonly KeyClaim[] };

/** Messages by what is to be done for them, each kind in the order of arrival. */
export interface Inbox {
  readonly orders: readonly Order[];
  /** With calls to store. */
  readonly batches: readonly Batch[];
  readonly settlements: readonly SettlementMessage[];
  readonly changes: readonly { readonly question: number; readonly ask: Change }[];
  readonly questions: readonly { readonly question: number; readonly ask: Exclude<Ask, Change> }[];
}

export function sortInbox(messages: readonly ToWorker[]): Inbox {
  const orders: Order[] = [];
  const batches: Batch[] = [];
  const settlements: SettlementMessage[] = [];
  const changes: { question: number; ask: Change }[] = [];
  const questions: { question: number; ask: Exclude<Ask, Change> }[] = [];
  for (const message of messages) {
    switch (message.kind) {
      case "batch":
        if (message.calls.length > 0) batches.push(message);
        for (const wire of message.settlements) settlements.push(unpack(wire, message.bodies));
        if (message.claims.length > 0) orders.push({ kind: "claim", claims: message.claims });
        break;
      case "consume":
      case "pause":
        orders.push(message);
        break;
      case "ask": {
        const { question, ask } = message;
        if (isChange(ask)) changes.push({ question, ask });
        else questions.push({ question, ask });
        break;
      }
      case "close":
        break; // the thread's business
      default:
        throw new Error(`unknown message ${(message satisfies never as ToWorker).kind}`);
    }
  }
  return { orders, batches, settlements, changes, questions };
}

const CHANGES: ReadonlySet<string> = new Set<Change["kind"]>(["cancel", "callBack", "replay", "drop", "purge"]);

function isChange(ask: Ask): ask is Change {
  return CHANGES.has(ask.kind);
}

function unpack({ settlement, result }: WireSettlement, bodies: ArrayBuffer): SettlementMessage {
  if (!result || !("outcome" in settlement) || !settlement.outcome) return settlement;
  const { headers, bodyAt, bodyBytes } = result;
  const body = new Uint8Array(bodies, bodyAt, bodyBytes);
  return { ...settlement, outcome: { ...settlement.outcome, result: { headers, body } } };
}
