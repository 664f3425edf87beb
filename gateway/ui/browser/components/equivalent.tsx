import { useState } from "preact/hooks";

export interface EquivalentProps {
  /** As `faaslane …`. */
  readonly cli: string;
  /** As `curl …`; `$GATEWAY` and `$PASSWORD` stand for what the reader knows. */
  readonly curl?: string;
}

/** How to do the same without the page. */
export function Equivalent({ cli, curl }: EquivalentProps) {
  return (
    <details class="equivalent">
      <summary>As a command</summary>
      <Command text={cli} />
      {curl && <Command text={curl} />}
    </details>
  );
}

function Command({ text }: { readonly text: string }) {
  const [copied, setCopied] = useState(false);
  return (
    <div class="command">
      <pre>
        <code>{text}</code>
      </pre>
      <button
        type="button"
        onClick={() => {
          navigator.clipboard?.writeText(text).then(
            () => setCopied(true),
            () => setCopied(false),
          );
        }}
      >
        {copied ? "Copied" : "Copy"}
      </button>
    </div>
  );
}
