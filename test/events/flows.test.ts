import { describeFlows } from "./flow-suite.ts";

describeFlows("flows");
