import type { FieldProblem } from "./status.ts";

/** Collects what is wrong with an object, in the words of the API server. */
export class Problems {
  readonly list: FieldProblem[] = [];

  invalid(field: string, value: unknown, why: string): void {
    this.list.push({ reason: "FieldValueInvalid", message: `Invalid value: ${JSON.stringify(value)}: ${why}`, field });
  }

  required(field: string, why = ""): void {
    this.list.push({
      reason: "FieldValueRequired",
      message: why === "" ? "Required value" : `Required value: ${why}`,
      field,
    });
  }

  unsupported(field: string, value: unknown, choices: readonly string[]): void {
    const supported = choices.map((choice) => JSON.stringify(choice)).join(", ");
    const message = `Unsupported value: ${JSON.stringify(value)}: supported values: ${supported}`;
    this.list.push({ reason: "FieldValueNotSupported", message, field });
  }

  duplicate(field: string, value: unknown): void {
    this.list.push({ reason: "FieldValueDuplicate", message: `Duplicate value: ${JSON.stringify(value)}`, field });
  }

  forbidden(field: string, why: string): void {
    this.list.push({ reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field });
  }

  missing(field: string, value: unknown): void {
    this.list.push({ reason: "FieldValueNotFound", message: `Not found: ${JSON.stringify(value)}`, field });
  }

  tooLong(field: string, limit: number): void {
    const message = `Too long: may not be more than ${limit} bytes`;
    this.list.push({ reason: "FieldValueTooLong", message, field });
  }
}
