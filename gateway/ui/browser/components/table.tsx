import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { query, setQuery } from "../router.ts";

export interface Column<Row> {
  /** In the address, where it is sorted by. */
  readonly id: string;
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** It can be sorted by this. */
  readonly sort?: (row: Row) => number | string;
  readonly numeric?: boolean;
}

export interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** Prefix of its settings in the address, where a screen has several. */
  readonly id?: string;
}

const ROW_PX = 41;
/** Shorter ones are shown whole. */
const WHOLE_ROWS = 100;
const BEYOND = 20;

/** A table that can be sorted; of a long one only the rows that can be seen are there. */
export function Table<Row>({ caption, columns, rows, keyOf, id = "" }: TableProps<Row>) {
  const wanted = query.value.get(`${id}sort`) ?? "";
  const descends = wanted.startsWith("-");
  const column = columns.find((each) => each.id === wanted.replace(/^-/, ""));
  const sorted = column?.sort ? sortBy(rows, column.sort, descends) : rows;
  const box = useRef<HTMLDivElement>(null);
  const range = useVisible(box, sorted.length);
  const above = range.from * ROW_PX;
  const below = (sorted.length - range.to) * ROW_PX;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <section class={sorted.length > WHOLE_ROWS ? "table long" : "table"} ref={box} tabIndex={0} aria-label={caption}>
      <table aria-rowcount={sorted.length + 1}>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map((each) => (
              <th
                key={each.id}
                scope="col"
                class={each.numeric ? "number" : undefined}
                aria-sort={each === column ? (descends ? "descending" : "ascending") : undefined}
              >
                {each.sort ? (
                  <button
                    type="button"
                    class="sort"
                    onClick={() => setQuery(`${id}sort`, each === column && !descends ? `-${each.id}` : each.id)}
                  >
                    {each.title}
                    <span aria-hidden="true">{each === column ? (descends ? " ↓" : " ↑") : ""}</span>
                  </button>
                ) : (
                  each.title
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {above > 0 && <Space px={above} columns={columns.length} />}
          {sorted.slice(range.from, range.to).map((row, at) => (
            <tr key={keyOf(row)} aria-rowindex={range.from + at + 2}>
              {columns.map((each) => (
                <td key={each.id} class={each.numeric ? "number" : undefined}>
                  {each.cell(row)}
                </td>
              ))}
            </tr>
          ))}
          {below > 0 && <Space px={below} columns={columns.length} />}
        </tbody>
      </table>
    </section>
  );
}

function Space({ px, columns }: { readonly px: number; readonly columns: number }) {
  const cell = useRef<HTMLTableCellElement>(null);
  useEffect(() => {
    // By the object model: the page's policy allows no style in markup.
    cell.current?.style.setProperty("height", `${px}px`);
  }, [px]);
  return (
    <tr>
      <td ref={cell} class="space" colSpan={columns} />
    </tr>
  );
}

function useVisible(box: { readonly current: HTMLElement | null }, count: number): { from: number; to: number } {
  const [top, setTop] = useState(0);
  const isLong = count > WHOLE_ROWS;
  useEffect(() => {
    const element = box.current;
    if (!element || !isLong) return;
    const scrolled = () => setTop(Math.floor(element.scrollTop / ROW_PX));
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => element.removeEventListener("scroll", scrolled);
  }, [box, isLong]);
  if (!isLong) return { from: 0, to: count };
  const shown = Math.ceil((box.current?.clientHeight ?? 800) / ROW_PX);
  const from = Math.max(0, Math.min(top, count - shown) - BEYOND);
  return { from, to: Math.min(count, top + shown + BEYOND) };
}

function sortBy<Row>(rows: readonly Row[], by: (row: Row) => number | string, descends: boolean): Row[] {
  const factor = descends ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [x, y] = [by(a), by(b)];
    return factor * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  });
}
