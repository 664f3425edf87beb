import { DeployScreen } from "./deploy/index.tsx";
import { BrokersScreen } from "./events/brokers.tsx";
import { EventsScreen } from "./events/index.tsx";
import { EventScreen } from "./events/one.tsx";
import { ReplayScreen, ReplaysScreen } from "./events/replays.tsx";
import { SinksScreen } from "./events/sinks.tsx";
import { SourcesScreen } from "./events/sources.tsx";
import { TriggerScreen } from "./events/trigger.tsx";
import { TriggersScreen } from "./events/triggers.tsx";
import { FlowScreen } from "./flows/flow.tsx";
import { FlowsScreen } from "./flows/index.tsx";
import { RunScreen } from "./flows/run.tsx";
import { FunctionScreen } from "./function/index.tsx";
import { NamespacesScreen } from "./namespaces.tsx";
import { NotFound } from "./not-found.tsx";
import { Overview } from "./overview/index.tsx";
import { PlatformScreen } from "./platform/index.tsx";
import { QueueScreen } from "./queue/index.tsx";
import { CallScreen } from "./queue/one.tsx";
import type { Screen } from "./screen.ts";
import { SecretsScreen } from "./secrets.tsx";

/** All screens, by their addresses. */
export const SCREENS: readonly Screen[] = [
  { pattern: "/", title: () => "Overview", component: Overview },
  {
    pattern: "/functions/:namespace/:name/:tab?",
    title: ({ name, tab }) => (tab ? `${name}: ${tab}` : (name as string)),
    component: FunctionScreen,
  },
  { pattern: "/deploy/:way?", title: () => "Deploy", component: DeployScreen },
  { pattern: "/queue", title: () => "Queue", component: QueueScreen },
  { pattern: "/queue/:id", title: ({ id }) => `Call ${id}`, component: CallScreen },
  { pattern: "/events", title: () => "Events", component: EventsScreen },
  { pattern: "/events/brokers", title: () => "Brokers", component: BrokersScreen },
  { pattern: "/events/triggers", title: () => "Triggers", component: TriggersScreen },
  { pattern: "/events/triggers/:id", title: ({ id }) => `Trigger ${id}`, component: TriggerScreen },
  { pattern: "/events/sources", title: () => "Sources", component: SourcesScreen },
  { pattern: "/events/sinks", title: () => "Sinks", component: SinksScreen },
  { pattern: "/events/replays", title: () => "Replays", component: ReplaysScreen },
  { pattern: "/events/replays/:name", title: ({ name }) => `Replay ${name}`, component: ReplayScreen },
  { pattern: "/events/:ref", title: ({ ref }) => `Event ${ref}`, component: EventScreen },
  { pattern: "/flows", title: () => "Flows", component: FlowsScreen },
  { pattern: "/flows/:name", title: ({ name }) => `Flow ${name}`, component: FlowScreen },
  { pattern: "/flows/:name/:run", title: ({ run }) => `Run ${run}`, component: RunScreen },
  { pattern: "/secrets", title: () => "Secrets", component: SecretsScreen },
  { pattern: "/namespaces/:name?", title: ({ name }) => name ?? "Namespaces", component: NamespacesScreen },
  { pattern: "/platform", title: () => "Platform", component: PlatformScreen },
];

export const NOT_FOUND: Screen = { pattern: "", title: () => "Not found", component: NotFound };

/** Places in the navigation. */
export const PLACES: readonly { readonly to: string; readonly title: string }[] = [
  { to: "/", title: "Overview" },
  { to: "/deploy", title: "Deploy" },
  { to: "/queue", title: "Queue" },
  { to: "/events", title: "Events" },
  { to: "/flows", title: "Flows" },
  { to: "/secrets", title: "Secrets" },
  { to: "/namespaces", title: "Namespaces" },
  { to: "/platform", title: "Platform" },
];
