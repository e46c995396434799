/** What `ip -j -d address show` of iproute2 prints: the interfaces of a network namespace. */
import { fields, items, numeric, text } from './json-shape.ts';
import { normaliseMac } from './mac.ts';

export interface Link {
  readonly name: string;
  /** `info_kind`, such as `veth`, `bridge`, `tun`, `macvlan`; undefined for hardware. */
  readonly kind?: string;
  /** `info_data.mode`, of a macvlan. */
  readonly mode?: string;
  /** Lower case with colons. */
  readonly mac: string;
  readonly mtu: number;
  /** The bridge that it is a port of. */
  readonly master?: string;
  readonly up: boolean;
  /** The other end is there; of a tap: a process holds it. Only known while the interface is up. */
  readonly carrier: boolean;
  /** The free text that Linux keeps with an interface. */
  readonly note?: string;
  /** With prefix length, in the order in which the kernel lists them. */
  readonly addresses: readonly string[];
}

/** Undefined where the text is not what iproute2 prints: one of BusyBox knows no JSON. */
export function parseLinks(output: string): readonly Link[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(output);
  } catch {
    return undefined;
  }
  // iproute2 prints empty objects for what a filter leaves out.
  return Array.isArray(parsed) ? parsed.flatMap(readLink) : undefined;
}

function readLink(value: unknown): Link[] {
  const link = fields(value);
  const name = text(link.ifname);
  if (name === undefined) return [];
  const info = fields(link.linkinfo);
  const flags = items(link.flags);
  const kind = text(info.info_kind);
  const mode = text(fields(info.info_data).mode);
  const master = text(link.master);
  const note = text(link.ifalias);
  return [
    {
      name,
      ...(kind === undefined ? {} : { kind }),
      ...(mode === undefined ? {} : { mode }),
      mac: normaliseMac(text(link.address) ?? ''),
      mtu: numeric(link.mtu) ?? 0,
      ...(master === undefined ? {} : { master }),
      up: flags.includes('UP'),
      carrier: flags.includes('LOWER_UP'),
      ...(note === undefined ? {} : { note }),
      addresses: items(link.addr_info).flatMap((entry) => {
        const { local, prefixlen } = fields(entry);
        return typeof local === 'string' && typeof prefixlen === 'number' ? [`${local}/${prefixlen}`] : [];
      }),
    },
  ];
}
