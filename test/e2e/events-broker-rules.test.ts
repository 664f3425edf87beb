import { describeBrokerRules } from "../support/events/broker-rules.ts";
import { embeddedPlace } from "../support/events/event-stack.ts";

describeBrokerRules("rules of brokers, in a file", embeddedPlace);
