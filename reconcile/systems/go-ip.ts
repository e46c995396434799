/** IP addresses as Go's net package parses and prints them: no leading zeros, no zones. */

/** `net.ParseIP`: 4 or 16 bytes, undefined where Go returns nil. */
export function parseIp(text: string): readonly number[] | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

/** Whether `net.ParseCIDR` takes the text. */
export function isCidr(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash < 0) return false;
  const address = parseIp(text.slice(0, slash));
  const length = text.slice(slash + 1);
  return address !== undefined && /^[0-9]+$/.test(length) && Number(length) <= address.length * 8;
}

/** `net.IP.String` of an address; undefined for what is none. IPv4 in IPv6 prints as IPv4. */
export function canonicalIp(text: string): string | undefined {
  const bytes = parseIp(text);
  if (bytes === undefined) return undefined;
  if (bytes.length === 4) return bytes.join('.');
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return mapped ? bytes.slice(12).join('.') : printIpv6(bytes);
}

function parseIpv4(text: string): readonly number[] | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)) {
    return undefined;
  }
  return parts.map(Number);
}

function parseIpv6(text: string): readonly number[] | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const [head, tail] = [parseFields(halves[0] ?? '', halves.length === 1), parseFields(halves[1] ?? '', true)];
  if (head === undefined || tail === undefined) return undefined;
  if (halves.length === 1) return head.length === 16 ? head : undefined;
  // The ellipsis stands for one field at least.
  const missing = 16 - head.length - tail.length;
  return missing < 2 ? undefined : [...head, ...new Array<number>(missing).fill(0), ...tail];
}

/** Bytes of a run of fields; only the run that ends an address may end in dotted IPv4. */
function parseFields(text: string, last: boolean): readonly number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const fields = text.split(':');
  for (const [index, field] of fields.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(field)) {
      const value = Number.parseInt(field, 16);
      bytes.push(value >> 8, value & 0xff);
      continue;
    }
    const dotted = last && index === fields.length - 1 ? parseIpv4(field) : undefined;
    if (dotted === undefined) return undefined;
    bytes.push(...dotted);
  }
  return bytes;
}

function printIpv6(bytes: readonly number[]): string {
  const fields = Array.from({ length: 8 }, (_, index) => ((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0));
  let [start, length] = [-1, 1];
  for (let at = 0; at < 8; at += 1) {
    let end = at;
    while (end < 8 && fields[end] === 0) end += 1;
    if (end - at > length) [start, length] = [at, end - at];
  }
  const hex = fields.map((field) => field.toString(16));
  return start < 0 ? hex.join(':') : `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}
