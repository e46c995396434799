/** Reading JSON whose shape is not known: what is of another type reads as missing. */

export type Fields = Readonly<Record<string, unknown>>;

/** The fields of an object; none of anything else. */
export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** The elements of an array; none of anything else. */
export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A string that is not empty. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function numeric(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

/** Whether something is there at all; JSON null is not. */
export function present(value: unknown): boolean {
  return value !== undefined && value !== null;
}
