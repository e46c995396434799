/** The times of Leases: Go reads a MicroTime only with six decimals, and JavaScript writes three. */
export function microTime(time: Date): string {
  return time.toISOString().replace('Z', '000Z');
}
