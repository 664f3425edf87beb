/** What an evaluator is asked. */
export interface EvaluatorRequest {
  readonly id: number;
  readonly expression: string;
  /** JSON; the expression is only read when absent. */
  readonly input?: string;
  /** A JSON object: variables of the expression, by name without `$`. */
  readonly variables?: string;
  readonly timeLimitMs: number;
  readonly maxResultChars: number;
}

export type EvaluatorAnswer =
  | { readonly kind: "ready" }
  /** @property text JSON; absent when the expression gives nothing, or was only read */
  | { readonly kind: "value"; readonly id: number; readonly text?: string }
  | {
      readonly kind: "failed";
      readonly id: number;
      readonly message: string;
      /** As JSONata numbers what goes wrong. */
      readonly code?: string;
      /** Of what is wrong in the expression, in characters from its start. */
      readonly position?: number;
    };
