/** Results of CNI plugins, of every version of the specification, as entries of network-status. Pure. */
import { type Fields, fields, items, numeric, text } from '../../reconcile/systems/json-shape.ts';
import type { NetworkStatus } from '../../reconcile/systems/multus-status.ts';

/**
 * An entry for each interface that the plugin made in the pod, as the NAD client writes them: addresses without prefix, `dns`
 * always there. A result that names no such interface, as those before CNI 0.3, gives one entry without interface.
 * @param name what network-status calls the network
 */
export function statusOfResult(result: unknown, name: string, isDefault: boolean): readonly NetworkStatus[] {
  const { interfaces, dns, routes } = fields(result);
  const gateways = items(routes).flatMap((route) => defaultGateway(fields(route)));
  const common = {
    ...(isDefault && { default: true }),
    dns: fields(dns),
    ...(gateways.length > 0 && { gateway: gateways }),
  };
  const inPod = items(interfaces)
    .map(fields)
    .map((nic, index) => ({ nic, index }))
    .filter(({ nic }) => text(nic.sandbox) !== undefined);
  if (inPod.length === 0) return [{ name, ...addresses(allAddresses(fields(result))), ...common }];
  return inPod.map(({ nic, index }) => {
    const own = items(fields(result).ips).map(fields);
    const here = inPod.length === 1 ? own : own.filter((ip) => ip.interface === index);
    const [mac, mtu] = [text(nic.mac), numeric(nic.mtu)];
    return {
      name,
      interface: text(nic.name) ?? '',
      ...addresses(here.map((ip) => text(ip.address) ?? '')),
      ...(mac !== undefined && { mac }),
      ...(mtu !== undefined && mtu !== 0 && { mtu }),
      ...common,
    };
  });
}

/** Of results that name no interface: `ips`, or `ip4` and `ip6` of the first versions. */
function allAddresses(result: Fields): readonly string[] {
  const listed = items(result.ips).map((ip) => text(fields(ip).address) ?? '');
  return [...listed, ...[result.ip4, result.ip6].map((ip) => text(fields(ip).ip) ?? '')];
}

function addresses(cidrs: readonly string[]): { readonly ips?: readonly string[] } {
  const ips = cidrs.map((cidr) => cidr.split('/')[0] ?? '').filter((ip) => ip !== '');
  return ips.length === 0 ? {} : { ips };
}

function defaultGateway({ dst, gw }: Fields): readonly string[] {
  const gateway = text(gw);
  return gateway !== undefined && (dst === '0.0.0.0/0' || dst === '::/0') ? [gateway] : [];
}
