import { useEffect, useRef, useState } from "preact/hooks";

const MAX_LINES = 2_000;

export interface BuildLogState {
  readonly lines: readonly string[];
  add(line: string): void;
  clear(): void;
}

/** Lines of a build, of many the last ones. */
export function useBuildLog(): BuildLogState {
  const [lines, setLines] = useState<readonly string[]>([]);
  return {
    lines,
    add: (line) => setLines((before) => [...before.slice(1 - MAX_LINES), line]),
    clear: () => setLines([]),
  };
}

export function BuildLog({ lines }: { readonly lines: readonly string[] }) {
  const box = useRef<HTMLPreElement>(null);
  const count = lines.length;
  useEffect(() => {
    const element = box.current;
    if (element && count > 0) element.scrollTop = element.scrollHeight;
  }, [count]);
  if (count === 0) return null;
  return (
    <section class="panel" aria-label="Build log">
      <h2>Build log</h2>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <pre class="log" ref={box} tabIndex={0}>
        {lines.join("\n")}
      </pre>
    </section>
  );
}
