import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "../../api.ts";
import { Equivalent } from "../../components/equivalent.tsx";
import { Field } from "../../components/field.tsx";
import { Empty, Failure } from "../../components/message.tsx";
import { readLines } from "../../read-lines.ts";
import { query, setQuery } from "../../router.ts";
import { filterLines, LogBuffer, type LogLines, logMessageOf } from "../../state/log-lines.ts";
import { commandName, type FunctionPart } from "./part.ts";

const SHOW_EVERY_MS = 250;
const TAIL = 500;
const AGAIN_MS = 2_000;

export function FunctionLogs(part: FunctionPart) {
  const { name, namespace } = part;
  const [{ lines, skipped }, setLines] = useState<LogLines>({ lines: [], skipped: 0 });
  const [paused, setPaused] = useState(false);
  const [error, setError] = useState<unknown>();
  const pausedNow = useRef(paused);
  pausedNow.current = paused;
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const leaving = new AbortController();
    const buffer = new LogBuffer();
    let isNew = false;
    const timer = setInterval(() => {
      if (!isNew || pausedNow.current) return;
      isNew = false;
      setLines(buffer.read());
    }, SHOW_EVERY_MS);
    let lastAt = "";
    const read = async () => {
      const from: Record<string, string> = lastAt === "" ? { tail: String(TAIL) } : { since: lastAt };
      const search = new URLSearchParams({ name, namespace, follow: "true", ...from });
      const answer = await ask(`/system/logs?${search}`, { signal: leaving.signal });
      setError(undefined);
      const known = lastAt;
      for await (const line of readLines(answer)) {
        const message = logMessageOf(line);
        if (!message || message.timestamp <= known) continue;
        if (message.timestamp > lastAt) lastAt = message.timestamp;
        buffer.take(message, Date.now());
        isNew = true;
      }
    };
    // A gateway that is replaced ends what it tells; the next one goes on.
    const follow = async () => {
      while (!leaving.signal.aborted) {
        await read().catch((caught: unknown) => leaving.signal.aborted || setError(caught));
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    };
    void follow();
    return () => {
      clearInterval(timer);
      leaving.abort();
    };
  }, [name, namespace]);
  const filter = {
    level: query.value.get("level") ?? "",
    instance: query.value.get("instance") ?? "",
    text: query.value.get("text") ?? "",
  };
  const shown = filterLines(lines, filter);
  const instances = [...new Set(lines.map(({ instance }) => instance))].sort();
  useEffect(() => {
    const element = box.current;
    if (element && !paused) element.scrollTop = element.scrollHeight;
  }, [shown.length, paused]);
  return (
    <>
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <Field label="Search" type="search" value={filter.text} onInput={(value) => setQuery("text", value)} />
        <Field
          label="Level"
          value={filter.level}
          options={["", "warn", "error"]}
          onInput={(value) => setQuery("level", value)}
        />
        <Field
          label="Replica"
          value={filter.instance}
          options={["", ...instances]}
          onInput={(value) => setQuery("instance", value)}
        />
        <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? "Go on" : "Pause"}
        </button>
      </form>
      {error !== undefined && <Failure error={error} />}
      {skipped > 0 && <p role="status">{skipped} lines came too fast and were skipped.</p>}
      {lines.length === 0 ? (
        <Empty command={`faaslane logs ${commandName(part)}`}>It has written nothing yet.</Empty>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        <pre class="log" ref={box} tabIndex={0} role="log" aria-live="off" aria-label={`Log of ${name}`}>
          {shown.map(({ key, at, instance, text }) => (
            <div key={key}>
              <span class="unit">{at.replace("T", " ").replace(/\.\d+Z$/, "Z")}</span>{" "}
              {filter.instance === "" && instances.length > 1 && <span class="unit">{instance.slice(-6)} </span>}
              <bdi>{text}</bdi>
            </div>
          ))}
        </pre>
      )}
      <Equivalent
        cli={`faaslane logs ${commandName(part)} --follow`}
        curl={`curl -Nu admin:$PASSWORD "$GATEWAY/system/logs?name=${name}&namespace=${namespace}&follow=true"`}
      />
    </>
  );
}
