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
  // Most are as they should be, and each is looked at in every layer.
  if (/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(text)) return text;
  return parseMac(text)?.map(hex).join(':') ?? text.toLowerCase();
}

/** Whether two spellings mean one address. */
export function sameMac(one: string, other: string): boolean {
  return normaliseMac(one) === normaliseMac(other);
}

/** `aa:bb:cc:dd:ee:ff`, `aa-bb-cc-dd-ee-ff` or `aabb.ccdd.eeff`, any case: a NIC's address, in the spellings that people use. */
export const macPattern =
  /^(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2})$/;

/** Why an address that is well formed can not be that of a NIC; KubeVirt admits all of these and breaks later. */
export function macFault(mac: string): string | undefined {
  const normal = normaliseMac(mac);
  if (normal === 'ff:ff:ff:ff:ff:ff') return 'is the broadcast address';
  if (normal === '00:00:00:00:00:00') return 'is the zero address';
  if (normal === '02:00:00:00:00:00') return "is reserved for KubeVirt's bridge in the pod";
  if ((Number.parseInt(normal.slice(0, 2), 16) & 1) === 1) return 'is a multicast address';
  return undefined;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
