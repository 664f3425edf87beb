import { useId, useState } from "preact/hooks";
import type { Pair } from "../definition/form.ts";

export interface PairsFieldProps {
  readonly label: string;
  readonly pairs: readonly Pair[];
  readonly onChange: (pairs: readonly Pair[]) => void;
  readonly hint?: string | undefined;
  readonly error?: string | undefined;
  /** Values are shown when that is asked for. */
  readonly isHidden?: boolean;
  /** What names are called; `Name` unless given. */
  readonly keyLabel?: string;
}

/** Names with their values, a row each. */
export function PairsField({ label, pairs, onChange, hint, error, isHidden, keyLabel = "Name" }: PairsFieldProps) {
  const id = useId();
  const [shown, setShown] = useState(!isHidden);
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const change = (at: number, next: Partial<Pair>) =>
    onChange(pairs.map((pair, n) => (n === at ? { ...pair, ...next } : pair)));
  return (
    <fieldset class="pair-field" aria-describedby={described}>
      <legend>{label}</legend>
      {pairs.map((pair, at) => (
        <div class="pair-row" key={at}>
          <input
            value={pair.key}
            aria-label={`${label}: ${keyLabel.toLowerCase()} ${at + 1}`}
            aria-invalid={error ? true : undefined}
            placeholder={keyLabel}
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => change(at, { key: event.currentTarget.value })}
          />
          <ValueInput
            label={`${label}: value ${at + 1}`}
            value={pair.value}
            isShown={shown}
            onInput={(value) => change(at, { value })}
          />
          <button
            type="button"
            aria-label={`${label}: remove ${pair.key || `row ${at + 1}`}`}
            onClick={() => onChange(pairs.filter((_, n) => n !== at))}
          >
            Remove
          </button>
        </div>
      ))}
      {hint && (
        <p id={`${id}-hint`} class="hint">
          {hint}
        </p>
      )}
      {error && (
        <p id={`${id}-error`} class="error">
          {error}
        </p>
      )}
      <p class="acts">
        <button type="button" onClick={() => onChange([...pairs, { key: "", value: "" }])}>
          Add<span class="hidden"> to {label}</span>
        </button>
        {isHidden && pairs.length > 0 && (
          <button type="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
            {shown ? "Hide values" : "Show values"}
          </button>
        )}
      </p>
    </fieldset>
  );
}

interface ValueInputProps {
  readonly label: string;
  readonly value: string;
  readonly isShown: boolean;
  readonly onInput: (value: string) => void;
}

/** An input would lose the ends of lines. */
function ValueInput({ label, value, isShown, onInput }: ValueInputProps) {
  const common = { value, "aria-label": label, placeholder: "Value", autocomplete: "off", spellcheck: false } as const;
  const input = (event: { readonly currentTarget: { readonly value: string } }) => onInput(event.currentTarget.value);
  if (isShown && value.includes("\n")) return <textarea {...common} rows={3} onInput={input} />;
  if (!isShown && value.includes("\n")) return <input {...common} value="••••" disabled />;
  return <input {...common} type={(isShown ? "text" : "password") as "text"} onInput={input} />;
}
