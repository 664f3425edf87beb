import { DeployScreen } from "./deploy/index.tsx";
import { EventsScreen } from "./events/index.tsx";
import { EventScreen } from "./events/one.tsx";
import { FunctionScreen } from "./function/index.tsx";
import { NamespacesScreen } from "./namespaces.tsx";
import { NotFound } from "./not-found.tsx";
import { Overview } from "./overview/index.tsx";
import { PlatformScreen } from "./platform.tsx";
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
  { pattern: "/events/:ref", title: ({ ref }) => `Event ${ref}`, component: EventScreen },
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
  { to: "/secrets", title: "Secrets" },
  { to: "/namespaces", title: "Namespaces" },
  { to: "/platform", title: "Platform" },
];
