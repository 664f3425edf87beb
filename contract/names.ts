const DNS_LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const QUEUE_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** A label as Kubernetes takes it: at most 63 of a-z, 0-9 and -, which neither begins nor ends it. @see RFC 1123 §2.1 */
export function isDnsLabel(name: string): boolean {
  return DNS_LABEL.test(name);
}

/** Labels joined by dots, at most 253 characters. @see RFC 1123 §2.1 */
export function isDnsSubdomain(name: string): boolean {
  return name.length <= 253 && DNS_SUBDOMAIN.test(name);
}

/** What may name a queue of asynchronous calls. */
export function isQueueName(name: string): boolean {
  return QUEUE_NAME.test(name);
}
