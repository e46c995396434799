/**
 * What virt-api v1.9 checks of networks and interfaces, in its order and its words. Whatever it lets through, such as
 * multicast MACs or networks without a NetworkAttachmentDefinition, passes here too.
 */
import { type Fields, fields, items, present, text } from '../../reconcile/systems/json-shape.ts';
import { nicModels } from '../../reconcile/vocabulary.ts';
import type { StatusCause } from '../api/contract.ts';

/** Where a VMI spec stands: `spec.template.spec` in a VM, `spec` in a VMI. */
export type SpecPath = 'spec.template.spec' | 'spec';

const bindings = ['bridge', 'masquerade', 'sriov', 'binding', 'passtBinding'] as const;

interface Spec {
  readonly path: SpecPath;
  readonly interfaces: readonly Fields[];
  readonly networks: readonly Fields[];
}

export function invalid(field: string, message: string): StatusCause {
  return { reason: 'FieldValueInvalid', message, field };
}

function required(field: string, message: string): StatusCause {
  return { reason: 'FieldValueRequired', message, field };
}

function duplicate(field: string, message: string): StatusCause {
  return { reason: 'FieldValueDuplicate', message, field };
}

function read(vmiSpec: unknown, path: SpecPath): Spec {
  const spec = fields(vmiSpec);
  return {
    path,
    interfaces: items(fields(fields(spec.domain).devices).interfaces).map(fields),
    networks: items(spec.networks).map(fields),
  };
}

function interfacePath(spec: Spec, index: number): string {
  return `${spec.path}.domain.devices.interfaces[${index}]`;
}

/** Bindings that can no longer be asked for; checked at creation alone. The field is told without the template. */
export function discontinuedBindings(vmiSpec: unknown): readonly StatusCause[] {
  return read(vmiSpec, 'spec').interfaces.flatMap((entry, index) => {
    const field = `spec.domain.devices.interfaces[${index}]`;
    return [
      ...(present(entry.slirp)
        ? [invalid(`${field}.slirp`, 'Slirp interface support has been discontinued since v1.3')]
        : []),
      ...(present(entry.passt)
        ? [invalid(`${field}.passt`, 'Passt network binding has been discontinued since v1.3')]
        : []),
      ...(present(entry.macvtap)
        ? [invalid(`${field}.macvtap`, 'Macvtap network binding has been discontinued since v1.3')]
        : []),
    ];
  });
}

/** All causes against the networks and interfaces of a VMI spec. */
export function networkCauses(vmiSpec: unknown, path: SpecPath): readonly StatusCause[] {
  const spec = read(vmiSpec, path);
  if (spec.networks.some((network) => present(network.resourceClaim))) {
    const message = 'vmi.spec.networks contains DRA networks but NetworkDevicesWithDRA feature gate is not enabled';
    return [invalid(`${path}.networks`, message)];
  }
  return [
    ...podNetworkCauses(spec),
    ...sourceCauses(spec),
    ...multusCauses(spec),
    ...stateCauses(spec),
    ...bindingCauses(spec),
    ...podBindingCauses(spec),
    ...missingInterfaceCauses(spec),
    ...networkNameCauses(spec),
    ...missingNetworkCauses(spec),
    ...interfaceNameCauses(spec),
    ...spec.interfaces.flatMap((entry, index) => interfaceCauses(entry, interfacePath(spec, index))),
  ];
}

function isDefault(network: Fields): boolean {
  return present(network.pod) || fields(network.multus).default === true;
}

function podNetworkCauses({ networks, path }: Spec): readonly StatusCause[] {
  const pods = networks.filter((network) => present(network.pod));
  if (pods.length < 2) return [];
  const field = `${path}.interfaces`;
  return [duplicate(field, `more than one interface is connected to a pod network in ${field}`)];
}

function sourceCauses({ networks, path }: Spec): readonly StatusCause[] {
  return networks.flatMap((network, index) => {
    const kinds = [network.pod, network.multus].filter(present).length;
    const field = `${path}.networks[${index}]`;
    if (kinds === 0) return [required(field, 'should have a network type')];
    return kinds === 1 ? [] : [required(field, 'should have only one network type')];
  });
}

function multusCauses({ networks, path }: Spec): readonly StatusCause[] {
  const defaults = networks.filter((network) => fields(network.multus).default === true).length;
  const unnamed = networks.flatMap((network, index) =>
    present(network.multus) && text(fields(network.multus).networkName) === undefined
      ? [required(`${path}.networks[${index}]`, 'CNI delegating plugin must have a networkName')]
      : [],
  );
  const field = `${path}.networks`;
  return [
    ...unnamed,
    ...(defaults > 1 ? [invalid(field, 'Multus CNI should only have one default network')] : []),
    ...(defaults > 0 && networks.some((network) => present(network.pod))
      ? [invalid(field, 'Pod network cannot be defined when Multus default network is defined')]
      : []),
  ];
}

function stateCauses(spec: Spec): readonly StatusCause[] {
  return spec.interfaces.flatMap((entry, index) => {
    const state = text(entry.state);
    const field = `${interfacePath(spec, index)}.state`;
    if (state === undefined) return [];
    if (!['up', 'down', 'absent'].includes(state))
      return [invalid(field, `logical ${entry.name} interface state value is unsupported: ${state}`)];
    const named = `${goQuoted(entry.name)} interface's state ${goQuoted(state)}`;
    if (state !== 'absent')
      return present(entry.sriov) ? [invalid(field, `${named} is not supported for SR-IOV NICs`)] : [];
    const network = spec.networks.find(({ name }) => name === entry.name);
    return [
      ...(present(entry.bridge) ? [] : [invalid(field, `${named} is supported only for bridge binding`)]),
      ...(network && isDefault(network) ? [invalid(field, `${named} is not supported on default networks`)] : []),
    ];
  });
}

function goQuoted(value: unknown): string {
  return JSON.stringify(String(value ?? ''));
}

function bindingCauses(spec: Spec): readonly StatusCause[] {
  return spec.interfaces.flatMap((entry, index) => {
    if (bindings.filter((binding) => present(entry[binding])).length === 1) return [];
    const message = `logical ${entry.name} interface must have exactly one binding method or binding plugin`;
    return [invalid(interfacePath(spec, index), message)];
  });
}

/** Bindings that work on the pod network alone. */
function podBindingCauses(spec: Spec): readonly StatusCause[] {
  return spec.interfaces.flatMap((entry, index) => {
    const path = interfacePath(spec, index);
    const onPod = spec.networks.some((network) => network.name === entry.name && present(network.pod));
    const causes: StatusCause[] = [];
    if (present(entry.masquerade) && !onPod)
      causes.push(invalid(`${path}.name`, 'Masquerade interface only implemented with pod network'));
    if (present(entry.masquerade) && onPod && text(entry.macAddress)?.toLowerCase() === '02:00:00:00:00:00') {
      const message = 'The requested MAC address is reserved for the in-pod bridge. Please choose another one.';
      causes.push(invalid(`${path}.macAddress`, message));
    }
    if (present(entry.passtBinding) && !onPod)
      causes.push(invalid(`${path}.name`, 'PasstBinding interface only implemented with pod network'));
    return causes;
  });
}

function missingInterfaceCauses({ networks, interfaces, path }: Spec): readonly StatusCause[] {
  const names = new Set(interfaces.map(({ name }) => name));
  return networks.flatMap(({ name }, index) => {
    const field = `${path}.networks[${index}].name`;
    return names.has(name) ? [] : [required(field, `${field} '${name ?? ''}' not found.`)];
  });
}

function missingNetworkCauses(spec: Spec): readonly StatusCause[] {
  const names = new Set(spec.networks.map(({ name }) => name));
  return spec.interfaces.flatMap(({ name }, index) => {
    const field = `${interfacePath(spec, index)}.name`;
    return names.has(name) ? [] : [invalid(field, `${field} '${name ?? ''}' not found.`)];
  });
}

function networkNameCauses({ networks, path }: Spec): readonly StatusCause[] {
  return repeated(networks).map(({ name, index }) =>
    duplicate(
      `${path}.networks[${index}].name`,
      `Network with name ${goQuoted(name)} already exists, every network must have a unique name`,
    ),
  );
}

function interfaceNameCauses(spec: Spec): readonly StatusCause[] {
  return repeated(spec.interfaces).map(({ index }) =>
    duplicate(`${interfacePath(spec, index)}.name`, 'Only one interface can be connected to one specific network'),
  );
}

/** Entries whose name stood earlier in the list. */
function repeated(entries: readonly Fields[]): readonly { readonly name: unknown; readonly index: number }[] {
  return entries.flatMap(({ name }, index) =>
    entries.slice(0, index).some((earlier) => earlier.name === name) ? [{ name, index }] : [],
  );
}

const interfaceName = /^[A-Za-z0-9-_]+$/;
const pciAddress = /^[\da-fA-F]{4}:[\da-fA-F]{2}:[\da-fA-F]{2}\.[0-7]$/;

function interfaceCauses(entry: Fields, path: string): readonly StatusCause[] {
  const causes: StatusCause[] = [];
  const about = `interface ${path}.name`;
  if (!interfaceName.test(String(entry.name ?? ''))) {
    const message =
      'Network interface name can only contain alphabetical characters, numbers, dashes (-) or underscores (_)';
    causes.push(invalid(`${path}.name`, message));
  }
  const model = text(entry.model);
  if (model !== undefined && !nicModels.some((known) => known === model)) {
    const message = `${about} uses model ${model} that is not supported.`;
    causes.push({ reason: 'FieldValueNotSupported', message, field: `${path}.model` });
  }
  const mac = text(entry.macAddress);
  const bytes = mac === undefined ? undefined : macBytes(mac);
  if (mac !== undefined && bytes === undefined)
    causes.push(invalid(`${path}.macAddress`, `${about} has malformed MAC address (${mac}).`));
  if (bytes !== undefined && bytes > 6)
    causes.push(invalid(`${path}.macAddress`, `${about} has too long MAC address (${mac}).`));
  const pci = text(entry.pciAddress);
  if (pci !== undefined && !pciAddress.test(pci))
    causes.push(invalid(`${path}.pciAddress`, `${about} has malformed PCI address (${pci}).`));
  return [...causes, ...portCauses(entry, path), ...dhcpCauses(fields(entry.dhcpOptions), path)];
}

/** Number of bytes of a hardware address as Go reads one: pairs by colon or dash, or quads by dot. */
function macBytes(mac: string): number | undefined {
  const pairs = /^[\da-f]{2}(?:([:-])[\da-f]{2}(?:\1[\da-f]{2})*)?$/i.test(mac) ? (mac.length + 1) / 3 : undefined;
  const quads = /^[\da-f]{4}(?:\.[\da-f]{4})+$/i.test(mac) ? ((mac.length + 1) / 5) * 2 : undefined;
  const bytes = pairs ?? quads;
  return bytes === 6 || bytes === 8 || bytes === 20 ? bytes : undefined;
}

function portCauses(entry: Fields, path: string): readonly StatusCause[] {
  return items(entry.ports)
    .map(fields)
    .flatMap(({ port, protocol }, index) => {
      const field = `${path}.ports[${index}]`;
      const inRange = typeof port === 'number' && port > 0 && port < 65536;
      const known = protocol === undefined || protocol === 'TCP' || protocol === 'UDP';
      return [
        ...(inRange ? [] : [invalid(field, 'Port field must be in range 0 < x < 65536.')]),
        ...(known ? [] : [invalid(`${field}.protocol`, 'Unknown protocol, only TCP or UDP allowed')]),
      ];
    });
}

function dhcpCauses(options: Fields, path: string): readonly StatusCause[] {
  const field = `${path}.dhcpOptions`;
  const servers = items(options.ntpServers).flatMap((server, index) =>
    isIpv4(server)
      ? []
      : [invalid(`${field}.ntpServers[${index}]`, 'NTP servers must be a list of valid IPv4 addresses.')],
  );
  const wrong = items(options.privateOptions)
    .map((option) => Number(fields(option).option))
    .some((option) => !(option >= 224 && option <= 254));
  const message = 'provided DHCPPrivateOptions are out of range, must be in range 224 to 254';
  return [...servers, ...(wrong ? [invalid(field, message)] : [])];
}

function isIpv4(server: unknown): boolean {
  const parts = typeof server === 'string' ? server.split('.') : [];
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
}
