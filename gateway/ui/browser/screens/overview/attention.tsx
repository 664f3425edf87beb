import { Panel } from "../../components/field.tsx";
import { Link } from "../../components/link.tsx";
import { Short } from "../../components/short.tsx";
import { StateChip } from "../../components/state-chip.tsx";
import { formatNumber } from "../../format.ts";
import { live } from "../../state/live.ts";
import { attentionOf } from "./attention.ts";

/** What somebody should look at, above everything else. */
export function NeedsAttention() {
  const { functions, queue, events, platform } = live;
  const found = attentionOf({
    functions: functions.value.rows?.values() ?? [],
    queue: queue.value.rows?.values() ?? [],
    events: events.value.rows?.values() ?? [],
    platform: platform.value.rows?.values() ?? [],
  });
  if (found.length === 0) {
    return (
      <p>
        <StateChip tone="good">Nothing needs attention</StateChip>
      </p>
    );
  }
  return (
    <Panel title="Needs attention">
      <ul class="attention">
        {found.map(({ title, tone, items, count, all }) => (
          <li key={title}>
            <h3>
              <StateChip tone={tone}>{title}</StateChip> {count > 1 && formatNumber(count)}
            </h3>
            <ul>
              {items.map(({ key, what, to, why }) => (
                <li key={key}>
                  <Link to={to}>
                    <Short text={what} />
                  </Link>
                  : <bdi>{why}</bdi>
                </li>
              ))}
              {count > items.length && (
                <li>
                  {all === undefined ? (
                    `and ${formatNumber(count - items.length)} more`
                  ) : (
                    <Link to={all}>{`and ${formatNumber(count - items.length)} more`}</Link>
                  )}
                </li>
              )}
            </ul>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
