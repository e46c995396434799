/** The NICs of a VM template, a VMI spec and a VMI status. */

import { type Fields, fields, items, present, text } from '../systems/json-shape.ts';
import { normaliseMac } from '../systems/mac.ts';
import type { LinkState, ObjectName } from '../vocabulary.ts';
import type { LiveBinding, SpecNic, StatusNic } from './model.ts';

/**
 * Joins the interfaces of a VM template or VMI spec with the networks of their names, in the order of the interfaces.
 * @param spec `spec.template.spec` of a VM or `spec` of a VMI
 * @param namespace of the object: a NAD without a namespace of its own is there
 */
export function specNics(spec: unknown, namespace: string): readonly SpecNic[] {
  const { domain, networks } = fields(spec);
  const { devices } = fields(domain);
  const byName = new Map(items(networks).map((network) => [text(fields(network).name), fields(network)]));
  const nics: SpecNic[] = [];
  for (const iface of items(fields(devices).interfaces).map(fields)) {
    const name = text(iface.name);
    if (name === undefined) continue;
    const network = byName.get(name) ?? {};
    const multus = fields(network.multus);
    const networkName = text(multus.networkName);
    const mac = text(iface.macAddress);
    const model = text(iface.model);
    const plugin = text(fields(iface.binding).name);
    nics.push({
      name,
      binding: bindingOf(iface),
      state: iface.state === 'absent' || iface.state === 'down' ? iface.state : 'up',
      ...(mac === undefined ? {} : { mac: normaliseMac(mac) }),
      ...(model === undefined ? {} : { model }),
      ...(plugin === undefined ? {} : { plugin }),
      ...(networkName === undefined ? {} : { network: qualify(networkName, namespace) }),
      isDefault: present(network.pod) || multus.default === true,
    });
  }
  return nics;
}

/** NICs of `status.interfaces`; those without a name are of the guest's own making. */
export function statusNics(status: unknown): readonly StatusNic[] {
  const nics: StatusNic[] = [];
  for (const iface of items(fields(status).interfaces).map(fields)) {
    const name = text(iface.name);
    if (name === undefined) continue;
    const mac = text(iface.mac);
    const podInterfaceName = text(iface.podInterfaceName);
    const guestInterfaceName = text(iface.interfaceName);
    const linkState = linkStateOf(iface.linkState);
    nics.push({
      name,
      ...(mac === undefined ? {} : { mac: normaliseMac(mac) }),
      ...(podInterfaceName === undefined ? {} : { podInterfaceName }),
      ...(guestInterfaceName === undefined ? {} : { guestInterfaceName }),
      sources: sourcesOf(iface.infoSource),
      ...(linkState === undefined ? {} : { linkState }),
    });
  }
  return nics;
}

const knownSources = ['domain', 'guest-agent', 'multus-status'] as const;

/** `infoSource` is joined by `, ` in no fixed order: read as a set, written in one order. */
function sourcesOf(infoSource: unknown): StatusNic['sources'] {
  const found = new Set((text(infoSource) ?? '').split(',').map((source) => source.trim()));
  return knownSources.filter((source) => found.has(source));
}

function bindingOf(iface: Fields): LiveBinding {
  if (present(iface.bridge)) return 'bridge';
  if (present(iface.sriov)) return 'sriov';
  if (present(iface.masquerade)) return 'masquerade';
  return text(fields(iface.binding).name) === undefined ? 'other' : 'plugin';
}

/** KubeVirt splits `namespace/name` on the first slash. */
function qualify(networkName: string, namespace: string): ObjectName {
  const slash = networkName.indexOf('/');
  return slash === -1
    ? { namespace, name: networkName }
    : { namespace: networkName.slice(0, slash), name: networkName.slice(slash + 1) };
}

function linkStateOf(value: unknown): LinkState | undefined {
  return value === 'up' || value === 'down' ? value : undefined;
}
