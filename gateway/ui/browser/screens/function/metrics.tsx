import { Equivalent } from "../../components/equivalent.tsx";
import { Empty } from "../../components/message.tsx";
import { SeriesCharts, seriesCommand } from "../../components/series-charts.tsx";
import { ColdStarts } from "./cold-starts.tsx";
import { commandName, type FunctionPart } from "./part.ts";

/** What a function did over time. */
export function FunctionMetrics(part: FunctionPart) {
  const { name, namespace } = part;
  const scope = { function: `${name}.${namespace}` };
  return (
    <>
      <SeriesCharts
        scope={scope}
        empty={
          <Empty command={`echo hello | faaslane invoke ${commandName(part)}`}>
            Nothing is known of {name} in this time: it has not been called.
          </Empty>
        }
      />
      <ColdStarts part={part} />
      <Equivalent
        cli={`faaslane describe ${commandName(part)}\nfaaslane scaling explain ${commandName(part)}`}
        curl={seriesCommand(scope)}
      />
    </>
  );
}
