import { useEffect, useState } from "preact/hooks";
import { plainLine } from "../../../ansi.ts";
import { StateChip } from "../../../components/state-chip.tsx";
import { formatMs, formatSize } from "../../../format.ts";
import type { Answer } from "./answer.ts";
import { MAX_ANSWER_BYTES, textOf } from "./read-answer.ts";

export interface AnswerViewProps {
  readonly answer: Answer;
  /** Of the function. */
  readonly name: string;
  /** It was given before: how long it takes to get it says nothing. */
  readonly isKept?: boolean;
}

/** What a function answered: as text, or to be taken away. Nothing of it is run or shown as anything else. */
export function AnswerView({ answer, name, isKept }: AnswerViewProps) {
  const { status, headers, bytes, isCut, headMs, ms } = answer;
  const text = textOf(answer);
  return (
    <>
      <p>
        <StateChip tone={status < 400 ? "good" : "bad"}>{String(status)}</StateChip> {formatSize(bytes.length)}
        {!isKept && ` in ${formatMs(ms)}, its headers after ${formatMs(headMs)}`}
      </p>
      {isCut && <p>There was more of it: it is cut at {formatSize(MAX_ANSWER_BYTES)}.</p>}
      <details class="answer-headers" open>
        <summary>Headers</summary>
        <dl>
          {headers.map(([header, value]) => (
            <>
              <dt key={header}>{header}</dt>
              <dd>
                <bdi>{plainLine(value)}</bdi>
              </dd>
            </>
          ))}
        </dl>
      </details>
      {text === undefined && <p>It is no text.</p>}
      {text === "" && <p>Its body is empty.</p>}
      {text !== undefined && text !== "" && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
        <pre class="log" tabIndex={0}>
          {text.split("\n").map(plainLine).join("\n")}
        </pre>
      )}
      {bytes.length > 0 && <Download bytes={bytes} name={`${name}-answer.${text === undefined ? "bin" : "txt"}`} />}
    </>
  );
}

/** Browsers are not to guess what it is: it is bytes. */
function Download({ bytes, name }: { readonly bytes: Uint8Array<ArrayBuffer>; readonly name: string }) {
  const [url, setUrl] = useState<string>();
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [bytes]);
  if (url === undefined) return null;
  return (
    <p>
      <a href={url} download={name}>
        Download the body
      </a>
    </p>
  );
}
