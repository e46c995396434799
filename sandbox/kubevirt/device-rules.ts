/** What virt-api v1.9 checks of a VMI spec beside its networks, as far as NICs can run into it. */
import { type Fields, fields, items, numeric, present } from '../../reconcile/systems/json-shape.ts';
import type { StatusCause } from '../api/contract.ts';
import { invalid, type SpecPath } from './network-rules.ts';

/** Causes against boot orders, which disks and interfaces share, and against disks without a volume. */
export function deviceCauses(vmiSpec: unknown, path: SpecPath): readonly StatusCause[] {
  const spec = fields(vmiSpec);
  const devices = fields(fields(spec.domain).devices);
  const disks = items(devices.disks).map(fields);
  return [
    ...missingVolumes(disks, items(spec.volumes).map(fields), path),
    ...bootOrders(disks, items(devices.interfaces).map(fields), path),
  ];
}

function missingVolumes(disks: readonly Fields[], volumes: readonly Fields[], path: SpecPath): readonly StatusCause[] {
  const names = new Set(volumes.map(({ name }) => name));
  return disks.flatMap(({ name }, index) => {
    const field = `${path}.domain.devices.disks[${index}].Name`;
    return names.has(name) ? [] : [invalid(field, `${field} '${name ?? ''}' not found.`)];
  });
}

function bootOrders(disks: readonly Fields[], interfaces: readonly Fields[], path: SpecPath): readonly StatusCause[] {
  const seen = new Set<number>();
  const check = (entries: readonly Fields[], kind: string): readonly StatusCause[] =>
    entries.flatMap((entry, index) => {
      const order = numeric(entry.bootOrder);
      if (!present(entry.bootOrder) || order === undefined) return [];
      if (order < 1) {
        const field = `${path}[${index}]`;
        return [invalid(`${field}.bootOrder`, `${field} must have a boot order > 0, if supplied`)];
      }
      const field = `${path}.domain.devices.${kind}[${index}].bootOrder`;
      if (seen.has(order)) return [invalid(field, `Boot order for ${field} already set for a different device.`)];
      seen.add(order);
      return [];
    });
  return [...check(disks, 'disks'), ...check(interfaces, 'interfaces')];
}
