import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { query, setQuery } from "../router.ts";
import { keepOrder, type Order, rowWindow, STRIDE, sortRows } from "./row-window.ts";

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
  /** The same array each time where rows are many: rows that have not changed are left alone then. */
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  /** Prefix of its settings in the address, where a screen has several. */
  readonly id?: string;
  /** Column that it is sorted by unless the address says another; as the rows come without one. */
  readonly sortedBy?: string;
}

/** Until one has been measured. */
const ROW_PX = 41;
/** Shorter ones are shown whole. */
const WHOLE_ROWS = 100;
/** A table by numbers that change is put in order anew so often, and not while somebody is at one of its rows. */
const ORDER_MS = 5_000;

/** A table that can be sorted; of a long one only the rows that can be seen are there. */
export function Table<Row>({ caption, columns, rows, keyOf, id = "", sortedBy = "" }: TableProps<Row>) {
  const wanted = query.value.get(`${id}sort`) ?? sortedBy;
  const descends = wanted.startsWith("-");
  const column = columns.find((each) => each.id === wanted.replace(/^-/, ""));
  const box = useRef<HTMLElement>(null);
  const body = useRef<HTMLTableSectionElement>(null);
  const sorted = useOrder(rows, keyOf, { by: column?.sort, descends }, wanted, body);
  const isLong = sorted.length > WHOLE_ROWS;
  const { top, visible, rowPx } = useScrolled(box, body, isLong);
  const [focused, setFocused] = useState<string>();
  const pinned = focused === undefined || !isLong ? undefined : sorted.findIndex((row) => keyOf(row) === focused);
  const pieces = isLong
    ? rowWindow({ count: sorted.length, top, visible, pinned })
    : [{ kind: "rows" as const, from: 0, to: sorted.length }];
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls has to be reached by keyboard
    <section class={isLong ? "table long" : "table"} ref={box} tabIndex={0} aria-label={caption}>
      <table aria-rowcount={sorted.length + 1}>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr aria-rowindex={1}>
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
        <tbody
          ref={body}
          onFocusIn={(event) => setFocused(keyAt(event.target, sorted, keyOf))}
          onFocusOut={({ relatedTarget }) => {
            // Between two rows both are needed: the second is there only because of the first.
            if (!body.current?.contains(relatedTarget as Node | null)) setFocused(undefined);
          }}
        >
          {pieces.flatMap((piece, place) =>
            piece.kind === "space"
              ? [
                  <Space
                    key={place === 0 ? " above" : ` below ${place}`}
                    px={piece.rows * rowPx}
                    columns={columns.length}
                  />,
                ]
              : sorted
                  .slice(piece.from, piece.to)
                  .map((row, at) => (
                    <TableRow key={keyOf(row)} row={row} index={piece.from + at + 2} columns={columns} />
                  )),
          )}
        </tbody>
      </table>
    </section>
  );
}

function keyAt<Row>(target: EventTarget | null, rows: readonly Row[], keyOf: (row: Row) => string): string | undefined {
  const index = (target as Element | null)?.closest("tr")?.ariaRowIndex;
  const row = index ? rows[Number(index) - 2] : undefined;
  return row === undefined ? undefined : keyOf(row);
}

interface RowProps<Row> {
  readonly row: Row;
  readonly index: number;
  readonly columns: readonly Column<Row>[];
}

/** Left alone while its row is the same object: a thousand of them are told of each second. */
class TableRow<Row> extends Component<RowProps<Row>> {
  override shouldComponentUpdate({ row, index, columns }: RowProps<Row>, state: object): boolean {
    // Another state: a signal that one of its cells has read is another now.
    return (
      state !== this.state || row !== this.props.row || index !== this.props.index || columns !== this.props.columns
    );
  }

  override render({ row, index, columns }: RowProps<Row>) {
    return (
      <tr aria-rowindex={index}>
        {columns.map((each) => (
          <td key={each.id} class={each.numeric ? "number" : undefined}>
            {each.cell(row)}
          </td>
        ))}
      </tr>
    );
  }
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

interface Ordered<Row> {
  readonly rows: readonly Row[];
  readonly wanted: string;
  readonly at: number;
  readonly sorted: readonly Row[];
  readonly keys: readonly string[];
}

/** Rows in their order. Rows that change do not run away from who reads them: they keep their places for a while. */
function useOrder<Row>(
  rows: readonly Row[],
  keyOf: (row: Row) => string,
  order: Order<Row>,
  wanted: string,
  body: { readonly current: HTMLElement | null },
): readonly Row[] {
  const last = useRef<Ordered<Row>>(undefined);
  const before = last.current;
  if (!order.by) return rows;
  if (before?.rows === rows && before.wanted === wanted) return before.sorted;
  const now = performance.now();
  const isHeld = body.current?.matches(":hover, :focus-within") ?? false;
  const kept =
    before?.wanted === wanted && (isHeld || now - before.at < ORDER_MS)
      ? keepOrder(rows, keyOf, before.keys)
      : undefined;
  const sorted = kept ?? sortRows(rows, order);
  last.current = kept
    ? { ...(before as Ordered<Row>), rows, sorted }
    : { rows, wanted, at: now, sorted, keys: sorted.map(keyOf) };
  return sorted;
}

/** Which rows can be seen, and how high they are. */
function useScrolled(
  box: { readonly current: HTMLElement | null },
  body: { readonly current: HTMLElement | null },
  isLong: boolean,
): { readonly top: number; readonly visible: number; readonly rowPx: number } {
  const [seen, setSeen] = useState({ top: 0, visible: 25, rowPx: ROW_PX });
  useEffect(() => {
    const element = box.current;
    if (!element || !isLong) return;
    const look = () => {
      const row = body.current?.querySelector<HTMLElement>("tr[aria-rowindex]");
      const rowPx = row?.getBoundingClientRect().height || ROW_PX;
      const top = Math.floor(element.scrollTop / rowPx / STRIDE) * STRIDE;
      const visible = Math.ceil(element.clientHeight / rowPx);
      setSeen((was) =>
        was.top === top && was.visible === visible && was.rowPx === rowPx ? was : { top, visible, rowPx },
      );
    };
    look();
    element.addEventListener("scroll", look, { passive: true });
    const resized = new ResizeObserver(look);
    resized.observe(element);
    return () => {
      element.removeEventListener("scroll", look);
      resized.disconnect();
    };
  }, [isLong]);
  return seen;
}
