/** MAC addresses as the parties write them: any case, colons, dashes or dotted quads. */

/** Byte lengths that Go's net.ParseMAC takes: EUI-48, EUI-64 and IP over InfiniBand. */
const lengths = [6, 8, 20];

/**
 * Bytes of a hardware address, by the rules of Go's `net.ParseMAC`, which Multus and KubeVirt both use: pairs joined by
 * `:` or by `-`, or groups of four digits joined by `.`; undefined for anything else.
 */
export function parseMac(text: string): readonly number[] | undefined {
  const form = /^[0-9A-Fa-f]{2}(?:(?::[0-9A-Fa-f]{2})+|(?:-[0-9A-Fa-f]{2})+)$|^[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4})+$/;
  if (!form.test(text)) return undefined;
  const bytes = (text.replaceAll(/[:.-]/g, '').match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
  return lengths.includes(bytes.length) ? bytes : undefined;
}

/** Lower case with colons, so that equal addresses compare equal; text that is no address comes back lower-cased. */
export function normaliseMac(text: string): string {
  return parseMac(text)?.map(hex).join(':') ?? text.toLowerCase();
}

/** Whether two spellings mean one address. */
export function sameMac(one: string, other: string): boolean {
  return normaliseMac(one) === normaliseMac(other);
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
