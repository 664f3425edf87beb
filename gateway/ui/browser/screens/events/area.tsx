import type { ComponentChildren } from "preact";
import { withQuery } from "../../act.ts";
import { Notice } from "../../components/message.tsx";
import { Tabs } from "../../components/tabs.tsx";
import { query } from "../../router.ts";
import { live } from "../../state/live.ts";
import { session } from "../../state/session.ts";
import "../../styles/run.css";

const PARTS = [
  { to: "/events", title: "Events", exact: true },
  { to: "/events/brokers", title: "Brokers" },
  { to: "/events/triggers", title: "Triggers" },
  { to: "/events/sources", title: "Sources" },
  { to: "/events/sinks", title: "Sinks" },
  { to: "/events/replays", title: "Replays" },
] as const;

/** The namespace that the address names; the gateway's own when it names none. */
export function askedNamespace(): string | undefined {
  return query.value.get("namespace") || undefined;
}

/** What all screens about events have. @param title of the screen, its heading */
export function EventsArea({
  title,
  children,
}: {
  readonly title: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  if (session.value?.features.events === false) {
    return (
      <>
        <h1>{title}</h1>
        <Notice>{live.events.value.problem ?? "This gateway has no events (events=none)."}</Notice>
      </>
    );
  }
  const namespace = askedNamespace();
  return (
    <>
      <h1>
        {title}
        {namespace !== undefined && <span class="unit"> in {namespace}</span>}
      </h1>
      <Tabs label="Parts of events" tabs={PARTS.map((part) => ({ ...part, to: withQuery(part.to, { namespace }) }))} />
      {children}
    </>
  );
}
