import { useState } from "preact/hooks";
import type { Change } from "../definition/definition.ts";

export interface ChangesProps {
  readonly changes: readonly Change[];
  /** Fields whose values are shown only when that is asked for. */
  readonly isHidden?: (field: string) => boolean;
}

/** What is, and what would be. */
export function Changes({ changes, isHidden = () => false }: ChangesProps) {
  const [shown, setShown] = useState(false);
  const hides = changes.some(({ field }) => isHidden(field));
  const textOf = (field: string, value: string | undefined) =>
    value === undefined ? "–" : isHidden(field) && !shown ? "••••" : value === "" ? "(empty)" : value;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard */}
      <section class="table change-table" tabIndex={0} aria-label="What changes">
        <table>
          <caption class="hidden">What changes</caption>
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col">Now</th>
              <th scope="col">Then</th>
            </tr>
          </thead>
          <tbody>
            {changes.map(({ field, from, to }) => (
              <tr key={field}>
                <th scope="row">{field}</th>
                <td>
                  <del>
                    <bdi>{textOf(field, from)}</bdi>
                  </del>
                </td>
                <td>
                  <ins>
                    <bdi>{textOf(field, to)}</bdi>
                  </ins>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
      {hides && (
        <p>
          <button type="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
            {shown ? "Hide values" : "Show values"}
          </button>
        </p>
      )}
    </>
  );
}
