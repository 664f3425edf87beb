import { useState } from "preact/hooks";
import { decodeWarnings, WARNING_HEADER } from "../../../../../contract/warnings.ts";
import { ApiError, ask } from "../../api.ts";
import type { Definition } from "../../definition/definition.ts";
import { type DefinitionForm, type FieldProblems, formProblems, problemsOf } from "../../definition/form.ts";

export interface Deployed {
  readonly name: string;
  readonly namespace: string;
  /** What of it does not hold here. */
  readonly warnings: readonly string[];
}

export interface Deploying {
  readonly problems: FieldProblems;
  readonly error: unknown;
  readonly done: Deployed | undefined;
  /** What can be seen without asking. @returns whether it may be sent */
  check(form: DefinitionForm): boolean;
  /** @returns whether it was accepted */
  send(definition: Definition, method: "POST" | "PUT"): Promise<boolean>;
  fail(error: unknown): void;
  /** For another try. */
  reset(): void;
}

/** Sends definitions, and says what became of them. */
export function useDeploy(): Deploying {
  const [problems, setProblems] = useState<FieldProblems>({});
  const [error, setError] = useState<unknown>();
  const [done, setDone] = useState<Deployed>();
  const fail = (caught: unknown) => {
    setError(caught);
    if (caught instanceof ApiError && [400, 404].includes(caught.status)) show(problemsOf(caught.message));
  };
  const show = (found: FieldProblems) => {
    setProblems(found);
    // Once they can be seen.
    setTimeout(() => document.querySelector<HTMLElement>('main [aria-invalid="true"]')?.focus());
  };
  const reset = () => {
    setProblems({});
    setError(undefined);
    setDone(undefined);
  };
  return {
    problems,
    error,
    done,
    fail,
    reset,
    check: (form) => {
      const found = formProblems(form);
      setError(undefined);
      show(found);
      return Object.keys(found).length === 0;
    },
    send: async (definition, method) => {
      reset();
      try {
        const answer = await ask("/system/functions", { method, body: definition });
        const warnings = decodeWarnings(answer.headers.get(WARNING_HEADER) ?? undefined);
        setDone({ name: definition.service, namespace: String(definition.namespace ?? ""), warnings });
        return true;
      } catch (caught) {
        fail(caught);
        return false;
      }
    },
  };
}
