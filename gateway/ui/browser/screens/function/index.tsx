import { Tabs } from "../../components/tabs.tsx";
import { live } from "../../state/live.ts";
import { NotFound } from "../not-found.tsx";
import type { Params } from "../screen.ts";
import { FunctionCalls } from "./calls.tsx";
import { FunctionEvents } from "./events.tsx";
import { FunctionInvoke } from "./invoke/index.tsx";
import { FunctionLogs } from "./logs.tsx";
import { FunctionMetrics } from "./metrics.tsx";
import { FunctionOverview } from "./overview.tsx";
import { FunctionScaling } from "./scaling/index.tsx";
import { FunctionSettings } from "./settings.tsx";
import { FunctionVersions } from "./versions/index.tsx";

const TABS = [
  { id: "", title: "Overview", component: FunctionOverview },
  { id: "calls", title: "Calls", component: FunctionCalls },
  { id: "logs", title: "Logs", component: FunctionLogs },
  { id: "metrics", title: "Metrics", component: FunctionMetrics },
  { id: "invoke", title: "Invoke", component: FunctionInvoke },
  { id: "scaling", title: "Scaling", component: FunctionScaling },
  { id: "versions", title: "Versions", component: FunctionVersions },
  { id: "events", title: "Events", component: FunctionEvents },
  { id: "settings", title: "Settings", component: FunctionSettings },
] as const;

/** A function, by its tabs. */
export function FunctionScreen({ params }: { readonly params: Params }) {
  const { namespace = "", name = "", tab = "" } = params;
  const shown = TABS.find(({ id }) => id === tab);
  if (!shown) return <NotFound />;
  const base = `/functions/${namespace}/${name}`;
  const isGone = live.functions.value.rows?.has(`${name}.${namespace}`) === false;
  const Content = shown.component;
  return (
    <>
      <h1>
        {name}
        <span class="unit"> in {namespace}</span>
      </h1>
      {isGone && <p role="status">There is no such function, or it has been removed.</p>}
      <Tabs
        label={`Parts of ${name}`}
        tabs={TABS.map(({ id, title }) => ({ to: id === "" ? base : `${base}/${id}`, title, exact: id === "" }))}
      />
      <Content key={`${base}/${tab}`} name={name} namespace={namespace} />
    </>
  );
}
