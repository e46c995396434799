/** The declared number of ports as a JSON Patch on the VM template, which KubeVirt reads at the next start. */
import type { KubeObject, PatchOperation } from '../kube/cluster.ts';
import type { Action } from '../plan/model.ts';
import { fields, numeric, present, text } from '../systems/json-shape.ts';
import { annotations, portCountField, portFieldPath, slotCountTopology } from '../systems/kubevirt-names.ts';
import { parseSlotCount } from '../systems/kubevirt-ports.ts';
import { hookPorts, rootPortHook, withHook } from '../systems/kubevirt-sidecar.ts';
import type { Edit } from './patches.ts';

type SetPorts = Extract<Action, { kind: 'set-ports' }>;

const fieldPath = `/spec/template/spec/domain/devices/${portCountField}`;
const metadataPath = '/spec/template/metadata';
const annotationsPath = `${metadataPath}/annotations`;

/**
 * Sets the knob, and for the slot count the topology version that KubeVirt pairs with it. The ConfigMap of a hook is written before. A value that is as high
 * already stays: it was set by a run before, or by somebody who wants more.
 */
export function portEdit(action: SetPorts, vm: KubeObject): Edit {
  switch (action.knob) {
    case 'field':
      return fieldEdit(action.value, vm);
    case 'slot-count':
      return slotCountEdit(action.value, vm);
    case 'sidecar':
      return hookEdit(action.value, vm);
    default:
      return action.knob satisfies never;
  }
}

function hookEdit(ports: number, vm: KubeObject): Edit {
  const found = text(fields(fields(fields(fields(vm.spec).template).metadata).annotations)[annotations.hookSidecars]);
  if ((hookPorts(found) ?? 0) >= ports) return { kind: 'done' };
  const value = withHook(found, rootPortHook(vm.metadata, ports));
  if (value === undefined) return refused(`${annotations.hookSidecars} is no list of sidecars`);
  return annotate(vm, { [annotations.hookSidecars]: value });
}

function fieldEdit(value: number, vm: KubeObject): Edit {
  const spec = fields(fields(fields(vm.spec).template).spec);
  const found = fields(fields(spec.domain).devices)[portCountField];
  const number = numeric(found);
  if (present(found) && number === undefined) return refused(`${portFieldPath} is no number`);
  if (number !== undefined && number >= value) return { kind: 'done' };
  return patch(vm, [
    { op: 'test', path: fieldPath, value: number ?? null },
    { op: 'add', path: fieldPath, value },
  ]);
}

function slotCountEdit(value: number, vm: KubeObject): Edit {
  const template = fields(fields(vm.spec).template);
  const marks = fields(template.metadata).annotations;
  const found = text(fields(marks)[annotations.pciSlotCount]);
  const number = parseSlotCount(found);
  if (number === 'invalid')
    return refused(`${annotations.pciSlotCount} is ${JSON.stringify(found)}, which is no number`);
  if (number !== undefined && number >= value) return { kind: 'done' };
  return annotate(vm, {
    [annotations.pciSlotCount]: String(value),
    [annotations.pciTopologyVersion]: slotCountTopology,
  });
}

/** Sets annotations of the template. */
function annotate(vm: KubeObject, wanted: Readonly<Record<string, string>>): Edit {
  const template = fields(fields(vm.spec).template);
  const marks = fields(template.metadata).annotations;
  // `add` below a map that is missing is refused, and a `test` with null passes where the key is missing.
  if (!present(template.metadata)) {
    return patch(vm, [
      { op: 'test', path: metadataPath, value: null },
      { op: 'add', path: metadataPath, value: { annotations: wanted } },
    ]);
  }
  if (!present(marks)) {
    return patch(vm, [
      { op: 'test', path: annotationsPath, value: null },
      { op: 'add', path: annotationsPath, value: wanted },
    ]);
  }
  return patch(
    vm,
    Object.entries(wanted).flatMap(([name, text]): PatchOperation[] => {
      const path = `${annotationsPath}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      const before = fields(marks)[name];
      return [
        { op: 'test', path, value: typeof before === 'string' ? before : null },
        { op: 'add', path, value: text },
      ];
    }),
  );
}

function refused(reason: string): Edit {
  return { kind: 'refused', reason };
}

function patch(vm: KubeObject, operations: readonly PatchOperation[]): Edit {
  // A VM that was deleted and made again under its name is another VM.
  const { uid } = vm.metadata;
  const identity: PatchOperation[] = uid === undefined ? [] : [{ op: 'test', path: '/metadata/uid', value: uid }];
  return { kind: 'patch', operations: [...identity, ...operations] };
}
